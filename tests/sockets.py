"""WebSocket clients of the tests, from raw bytes to a library: :class:`Raw` sends any bytes, and
parses frames by the book; :class:`SansIOClient` is the protocol of `websockets` on a Trio socket;
:func:`trio_client` is a client of trio-websocket. :mod:`tests.phones` speaks the plain dialect.
"""

import math
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
import trio_websocket
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.http11 import Response
from websockets.uri import parse_uri
from wsproto.utilities import LocalProtocolError

from tests.running import LAST_RESORT_S


class Raw:
    """A client that sends exactly the bytes it is told to, and parses what comes by the book."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = bytearray()
        self.ended = False

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _fill(self) -> None:
        data = await self.stream.receive_some(65536)
        if not data:
            self.ended = True
            raise EOFError
        self._buffer += data

    async def exactly(self, size: int) -> bytes:
        with trio.fail_after(LAST_RESORT_S):
            while len(self._buffer) < size:
                await self._fill()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def head(self) -> bytes:
        """Up to the empty line of an HTTP answer."""
        with trio.fail_after(LAST_RESORT_S):
            while b"\r\n\r\n" not in self._buffer:
                await self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        return head

    async def frame(self) -> tuple[int, bytes]:
        """The next frame as (first byte, payload). A server's frames are not masked."""
        first, second = await self.exactly(2)
        assert not second & 0x80, "a server must not mask"
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", await self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.exactly(8))
        return first, await self.exactly(size)

    async def close_code(self) -> int:
        """The code of the close frame; frames before it are skipped."""
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                return int(struct.unpack("!H", payload[:2])[0])

    async def end(self) -> None:
        """Until the server has closed the socket in an orderly way."""
        with trio.fail_after(LAST_RESORT_S):
            try:
                while True:
                    await self._fill()
            except EOFError:
                pass


def client_frame(
    payload: bytes, opcode: int = 1, *, fin: bool = True, mask: bytes = b"\x11\x22\x33\x44"
) -> bytes:
    """A masked frame; with an empty ``mask`` an unmasked one."""
    first = (0x80 if fin else 0) | opcode
    flag = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return head + mask + payload


def request(
    target: str, *, headers: Sequence[str] = (), method: str = "GET", port: int = 80
) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


@asynccontextmanager
async def trio_client(
    url: str,
    subprotocols: Sequence[str] | None = None,
    extra_headers: list[tuple[bytes, bytes]] | None = None,
) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """A client of trio-websocket. It does not close its socket after the server has closed the
    WebSocket, so that is done here. And it tries to answer a ping that comes while it closes, which
    wsproto refuses: out of it comes that error, or the Cancelled of its own nursery.
    """
    closing = False
    try:
        async with trio_websocket.open_websocket_url(
            url, subprotocols=subprotocols, extra_headers=extra_headers
        ) as client:
            try:
                yield client
            finally:
                if client.closed is not None:
                    await client._close_stream()
            closing = True
    except (LocalProtocolError, trio.Cancelled):
        if not closing or trio.current_effective_deadline() == -math.inf:
            raise


class SansIOClient:
    """The `websockets` library's own client protocol on a Trio socket."""

    def __init__(self, stream: trio.SocketStream, url: str) -> None:
        self._stream = stream
        self.protocol = ClientProtocol(parse_uri(url))
        self._events: list[Frame | Response] = []

    async def connect(self) -> None:
        self.protocol.send_request(self.protocol.connect())
        await self.flush()
        response = await self.event()
        assert isinstance(response, Response)
        assert response.status_code == 101
        assert self.protocol.handshake_exc is None

    async def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                await self._stream.send_all(data)
            else:
                await self._stream.send_eof()

    async def event(self) -> Frame | Response:
        while not self._events:
            with trio.fail_after(LAST_RESORT_S):
                data = await self._stream.receive_some(65536)
            if data:
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            self._events += self.protocol.events_received()  # type: ignore[arg-type] # no requests
            await self.flush()
            if not data and not self._events:
                raise EOFError
        return self._events.pop(0)
