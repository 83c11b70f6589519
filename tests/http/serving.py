"""An HTTP server on a real socket, and a client that writes raw bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from locshare.http import HttpServer, ServerLimits


@asynccontextmanager
async def serving(
    app: Any, limits: ServerLimits | None = None, bind: str = "127.0.0.1:0"
) -> AsyncIterator[HttpServer]:
    server = HttpServer(app, bind, limits or ServerLimits())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield server
        nursery.cancel_scope.cancel()


async def connect(server: HttpServer) -> trio.SocketStream:
    return await trio.open_tcp_stream(*server.addresses[0])


async def read_answer(stream: trio.abc.ReceiveStream) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and the body that Content-Length promises."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = await stream.receive_some(65_536)
        assert chunk, f"closed after {data!r}"
        data += bytes(chunk)
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    while len(body) < int(headers.get("content-length", "0")):
        chunk = await stream.receive_some(65_536)
        assert chunk, "closed in the body"
        body += bytes(chunk)
    return int(status.split()[1]), headers, body


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    try:
        async for chunk in stream:
            data += bytes(chunk)
    except trio.BrokenResourceError:
        pass  # a reset: it was closed with bytes of ours unread
    return data
