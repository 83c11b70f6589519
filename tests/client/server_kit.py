"""A group on the real rooms of the server, what their clients tell, and a network that fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

import trio

from locshare.client import (
    Client,
    ClientError,
    NotConnected,
    SessionCreated,
    SessionJoined,
    Watcher,
)
from locshare.model.events import Event
from locshare.model.position import Position
from locshare.model.session import Snapshot
from locshare.wire.messages import ServerMessage
from tests.running import LAST_RESORT_S
from tests.simulate.kit import Server


def position(lat: float = 52.5) -> Position:
    return Position(lat, 13.4, 5.0, datetime.now(UTC))


@asynccontextmanager
async def group(
    server: Server, *names: str
) -> AsyncIterator[tuple[Client, SessionCreated, list[SessionJoined]]]:
    """A session that these have joined."""
    async with Client(server.addresses.http_url) as client:
        session = await client.create_session("Alps")
        yield client, session, [await client.join(session.session_id, name) for name in names]


class Diary(Watcher):
    """Notes everything, and wakes who waits for something of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.missed_events: list[Event] = []
        self.snapshots: list[Snapshot] = []
        self.waits: list[float | None] = []
        self._changed = trio.Event()

    def _note(self, line: str) -> None:
        self.lines.append(line)
        self._changed.set()
        self._changed = trio.Event()

    def connected(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._note("connected")

    def missed(self, event: Event) -> None:
        self.missed_events.append(event)

    def received(self, message: ServerMessage) -> None:
        self._note(type(message).__name__)

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        self.waits.append(retry_in)
        again = "for good" if retry_in is None else "for now"
        name = cause.end.reason if isinstance(cause, NotConnected) else type(cause)
        self._note(f"{getattr(name, '__name__', None) or getattr(name, 'name', name)} {again}")

    async def until(self, line: str, times: int = 1) -> None:
        with trio.fail_after(LAST_RESORT_S):
            while self.lines.count(line) < times:
                await self._changed.wait()


class CuttingProxy:
    """A network that fails: passes bytes on, or drops its connections without a close frame."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.tunnel = False
        """Nobody gets through."""
        self.deaf = False
        """The server hears nothing from its clients."""
        self._scopes: list[trio.CancelScope] = []

    def cut(self) -> None:
        for scope in self._scopes:
            scope.cancel()
        self._scopes.clear()

    async def handle(self, port: int, client: trio.SocketStream) -> None:
        if self.tunnel:
            return
        self.connections += 1
        with trio.CancelScope() as scope:
            self._scopes.append(scope)
            server = await trio.open_tcp_stream("127.0.0.1", port)
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(self._pass, client, server, scope, True)
                nursery.start_soon(self._pass, server, client, scope, False)

    async def _pass(
        self,
        source: trio.SocketStream,
        target: trio.SocketStream,
        scope: trio.CancelScope,
        up: bool,
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(65_536):
                if not (up and self.deaf):
                    await target.send_all(data)
        scope.cancel()


@asynccontextmanager
async def cutting_proxy(ws: str) -> AsyncIterator[CuttingProxy]:
    proxy, port = CuttingProxy(), urlsplit(ws).port
    assert port is not None
    async with trio.open_nursery() as nursery:
        handle = partial(proxy.handle, port)
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        proxy.url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws"
        yield proxy
        nursery.cancel_scope.cancel()
