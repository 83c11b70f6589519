"""A server that does nothing but hand on: what its shape costs on Trio before anything else.

    python -m bench.solo.bare PORT --shape channel

Each connection is a task. With ``channel`` it puts what comes into its session's memory channel,
and the session, a task too, writes it to all others: the shape of locshare with everything else
left out (no token, no JSON, no limits, no slow receivers, no closing handshake). With ``direct``
the connection's task writes to the others itself. :mod:`bench.solo.floor` compares both with the
real program.

The session's name is the token up to its last dot. A client sends whole, final, masked text frames,
one in each segment, as a phone does on a quiet link; nothing else is understood.
"""

import argparse
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Final

import trio
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask

from bench.serving import HOST
from locshare.broadcast.fanout import text_frame

SHAPES: Final = ("channel", "direct")

_SNAPSHOT = text_frame(b'{"type":"session_state","data":{}}')
_READ_BYTES = 4096
_TEXT_FINAL = 0x81
_BEFORE = b'{"type":"location_update","data":{"user_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",'
"""As long as what the real program writes in this place."""

Send = Callable[[bytes], int]


class Session:
    """Who is there, and the channel to the task that writes to them."""

    def __init__(self) -> None:
        self.members: dict[socket.socket, Send] = {}
        self._orders, self._inbox = trio.open_memory_channel[tuple[socket.socket, bytes]](1024)

    async def order(self, sender: socket.socket, frame: bytes) -> None:
        """Have it handed on. Without giving way to others, unless the channel is full."""
        try:
            self._orders.send_nowait((sender, frame))
        except trio.WouldBlock:
            await self._orders.send((sender, frame))

    async def run(self) -> None:
        """Hand on what comes, until cancelled."""
        async for sender, frame in self._inbox:
            self.tell(sender, frame)

    def tell(self, sender: socket.socket, frame: bytes) -> None:
        """Write to everyone else. Who cannot take it gets nothing."""
        for member, send in self.members.items():
            if member is not sender:
                try:
                    send(frame)
                except OSError:
                    continue


class Server:
    """Connections and sessions, all in one nursery."""

    def __init__(self, shape: str, nursery: trio.Nursery) -> None:
        self._shape = shape
        self._nursery = nursery
        self._sessions: dict[str, Session] = {}

    def _session(self, name: str) -> Session:
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = Session()
            if self._shape == "channel":
                self._nursery.start_soon(session.run)
        return session

    async def serve(self, sock: socket.socket) -> None:
        """One connection, until it ends in whatever way."""
        session = None
        try:
            session = self._session(await _upgrade(sock))
            session.members[sock] = sock.send
            sock.send(_SNAPSHOT)
            while frame := _handed_on(await _read(sock)):
                if self._shape == "channel":
                    await session.order(sock, frame)
                else:
                    session.tell(sock, frame)
        except OSError:
            pass
        finally:
            if session is not None:
                session.members.pop(sock, None)
            trio.lowlevel.notify_closing(sock)
            sock.close()


async def _read(sock: socket.socket) -> bytes:
    await trio.lowlevel.wait_readable(sock)
    return sock.recv(_READ_BYTES)


async def _upgrade(sock: socket.socket) -> str:
    """Answer the request. Returns the session's name. Raises OSError when the peer has gone."""
    protocol = ServerProtocol()
    request = None
    while request is None:
        data = await _read(sock)
        if not data:
            raise ConnectionResetError
        protocol.receive_data(data)
        request = next((e for e in protocol.events_received() if isinstance(e, Request)), None)
    answer = protocol.accept(request)
    offered = request.headers["Sec-WebSocket-Protocol"].split(", ")
    answer.headers["Sec-WebSocket-Protocol"] = offered[0]
    protocol.send_response(answer)
    sock.send(b"".join(protocol.data_to_send()))
    return offered[1].rpartition(".")[0]


def _handed_on(data: bytes) -> bytes:
    """The frame for the others, or nothing when this is the end."""
    if not data or data[0] != _TEXT_FINAL:
        return b""
    start = 8 if data[1] & 0x7F == 126 else 6
    payload = apply_mask(data[start:], data[start - 4 : start])
    return text_frame(_BEFORE + payload[payload.index(b'"lat"') :])


async def listen(port: int, shape: str) -> None:
    """Serve until cancelled."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
        listener.setblocking(False)
        async with trio.open_nursery() as nursery:
            server = Server(shape, nursery)
            while True:
                await trio.lowlevel.wait_readable(listener)
                try:
                    sock, _ = listener.accept()
                except BlockingIOError:
                    continue
                sock.setblocking(False)
                nursery.start_soon(server.serve, sock)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; it ends when it is interrupted or terminated."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.bare", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("port", type=int)
    parser.add_argument("--shape", choices=SHAPES, default=SHAPES[0])
    options = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    trio.run(listen, options.port, options.shape)


if __name__ == "__main__":
    main()
