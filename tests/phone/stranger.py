"""A server that says what it likes, for an app that has followed a stranger's link."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

ID = "0b8e0000-0000-4000-8000-000000000001"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Answers = Mapping[str, bytes]
"""By the end of the path."""


class Stranger:
    """``answer`` is what every request gets, or by the end of its path; after an ``endless`` one
    the last byte is repeated. ``frames`` are sent on each WebSocket, which then stays open.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.accepts = True
        """Whether an upgrade is answered rightly."""
        self.endless = False
        self.frames: tuple[bytes, ...] = ()
        self.url = ""
        self.upgrades = 0
        self.written = 0

    def says(self, path: str, body: object, status: str = "200 OK", **headers: str) -> None:
        """Answer ``path`` properly, with JSON or with these bytes."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.answers[path] = "\r\n".join([*lines, "", ""]).encode() + data

    def hosts(self, name: str = "Alps", **more: Any) -> None:
        """Have a session that can be joined."""
        now = datetime.now(UTC)
        session = {
            "id": ID, "name": name, "created_at": now, "expires_at": now + timedelta(hours=1),
            "participant_count": 1, "is_active": True,
        }  # fmt: skip
        self.says(ID, session | more)
        joined = {"user_id": "me", "websocket_token": "t" * 20}
        self.says("join", joined | {"websocket_url": f"{self.url.replace('http', 'ws')}/ws"})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1].partition("?")[0]
            if "upgrade: websocket" in head.lower():
                await self._upgrade(head, reader, writer)
            found = next((self.answers[end] for end in self.answers if path.endswith(end)), b"")
            writer.write(found)
            while self.endless and found:
                writer.write(found[-1:] * 65_536)
                self.written += 65_536
                await writer.drain()
        writer.close()

    async def _upgrade(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.upgrades += 1
        key = re.findall(r"(?i)sec-websocket-key: (\S+)", head)[0]
        if not self.accepts:
            key = ""
        sha1 = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False)
        digest = base64.b64encode(sha1.digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {digest}\r\n\r\n".encode()
        )
        for each in self.frames:
            writer.write(text_frame(each))
        await writer.drain()
        await reader.read()  # until the app hangs up


def text_frame(payload: bytes) -> bytes:
    """One unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes([0x81, size]) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload


@asynccontextmanager
async def stranger(set_up: Callable[[Stranger], None]) -> AsyncIterator[Stranger]:
    """One that listens; ``set_up`` is called when its address is known."""
    made = Stranger()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    set_up(made)
    try:
        yield made
    finally:
        server.close()
