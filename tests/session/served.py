"""Sessions with real sockets in front of them, and phones that speak the contract over one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import trio
import trio_websocket
from msgspec import Struct

from locshare.auth.tokens import TokenKeys
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool, PoolLimits
from tests.connection.kit import Raw, request, trio_client
from tests.running import LAST_RESORT_S
from tests.session.kit import House, house

DEADLINE_S = LAST_RESORT_S


class Client(Struct):
    """A phone over a real socket."""

    user_id: str
    socket: trio_websocket.WebSocketConnection

    async def next(self) -> dict[str, Any]:
        with trio.fail_after(DEADLINE_S):
            message: dict[str, Any] = json.loads(await self.socket.get_message())
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            message = await self.next()
            if message["type"] == kind:
                data: dict[str, Any] = message["data"]
                return data

    async def close_code(self) -> int | None:
        """Until the server closes; nothing may come before."""
        try:
            message = await self.next()
        except trio_websocket.ConnectionClosed as end:
            return end.reason.code if end.reason else None
        raise AssertionError(f"{message['type']} instead of the end")

    async def send(self, kind: str, **data: object) -> None:
        await self.socket.send_message(json.dumps({"type": kind, "data": data}))

    async def move(self, lat: float) -> None:
        await self.send(
            "location_update", lat=lat, lng=13.4, accuracy=5, timestamp="2026-03-01T12:00:00Z"
        )


class Served:
    """Sessions with sockets in front of them."""

    def __init__(self, home: House, keys: TokenKeys, listener: Listener) -> None:
        self.home = home
        self.keys = keys
        self.listener = listener

    @asynccontextmanager
    async def client(self, session: UUID, name: str) -> AsyncIterator[Client]:
        """Somebody new joins and connects."""
        async with self.connection(session, await self.home.join(session, name)) as client:
            yield client

    @asynccontextmanager
    async def connection(self, session: UUID, user_id: str) -> AsyncIterator[Client]:
        """One more connection of a participant. The snapshot has been read."""
        url = f"ws://127.0.0.1:{self.port}/ws"
        token = f"locshare.bearer.{self.token(session, user_id)}"
        async with trio_client(url, ["locshare.v1", token]) as socket:
            client = Client(user_id, socket)
            assert (await client.next())["type"] == "session_state"
            yield client

    async def refusal(self, session: UUID, user_id: str) -> int:
        """The HTTP status of the answer to a connection that is not let in."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            raw = Raw(stream)
            await raw.send(request(f"/ws?token={self.token(session, user_id)}"))
            return int((await raw.head()).split()[1])

    @property
    def port(self) -> int:
        return self.listener.addresses[0][1]

    def token(self, session: UUID, user_id: str) -> str:
        return self.keys.issue(
            session_id=session,
            user_id=user_id,
            role="participant",
            expires_at=self.home.store.sessions[session].expires_at,
        )


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """On a free port; everything has ended when the block ends."""
    async with house() as home, trio.open_nursery() as nursery:
        keys = TokenKeys("s" * 32, now=home.clock)
        pool = ConnectionPool(keys, home.manager, PoolLimits())
        listener = Listener("127.0.0.1:0", pool)
        await nursery.start(pool.serve)
        await nursery.start(listener.serve)
        yield Served(home, keys, listener)
        nursery.cancel_scope.cancel()
