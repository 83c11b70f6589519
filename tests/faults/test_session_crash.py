"""A session crashes under traffic, over real sockets: nobody's connection notices."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import trio
import trio_websocket
from msgspec import Struct
from tests.connection.kit import trio_client
from tests.session.kit import House, house

from locshare.auth import TokenKeys
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool, PoolLimits

DEADLINE_S = 10


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

    async def move(self, lat: float) -> None:
        data = {"lat": lat, "lng": 13.4, "accuracy": 5, "timestamp": "2026-03-01T12:00:00Z"}
        await self.socket.send_message(json.dumps({"type": "location_update", "data": data}))


class Served:
    """Sessions with sockets in front of them."""

    def __init__(self, home: House, keys: TokenKeys, listener: Listener) -> None:
        self.home = home
        self.keys = keys
        self.listener = listener

    @asynccontextmanager
    async def client(self, session: UUID, name: str) -> AsyncIterator[Client]:
        user_id = await self.home.join(session, name)
        token = self.keys.issue(
            session_id=session,
            user_id=user_id,
            role="participant",
            expires_at=self.home.store.sessions[session].expires_at,
        )
        url = f"ws://127.0.0.1:{self.listener.addresses[0][1]}/ws"
        async with trio_client(url, ["locshare.v1", f"locshare.bearer.{token}"]) as socket:
            client = Client(user_id, socket)
            assert (await client.next())["type"] == "session_state"
            yield client


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    async with house() as home, trio.open_nursery() as nursery:
        keys = TokenKeys("s" * 32, now=home.clock)
        pool = ConnectionPool(keys, home.manager, PoolLimits())
        listener = Listener("127.0.0.1:0", pool)
        await nursery.start(pool.serve)
        await nursery.start(listener.serve)
        yield Served(home, keys, listener)
        nursery.cancel_scope.cancel()


async def test_both_sockets_stay_open_and_every_later_update_arrives() -> None:
    async with serving() as served:
        home = served.home
        session, other = await home.session(), await home.session()
        async with (
            served.client(session, "Ada") as ada,
            served.client(session, "Bo") as bo,
            served.client(other, "Cy") as cy,
            served.client(other, "Di") as di,
        ):
            untouched = home.actor(other)
            await ada.until("participant_joined")
            for round_ in range(3):
                before = home.actor(session)
                before.cast("a message that no session knows")
                await ada.move(10 + round_)
                await bo.move(20 + round_)
                assert (await bo.until("location_update"))["lat"] == 10 + round_
                assert (await ada.until("location_update"))["lat"] == 20 + round_
                assert not before.alive
            await cy.move(30)
            assert (await di.until("location_update"))["lat"] == 30
            assert home.actor(other) is untouched, "no other session was restarted"
            assert home.manager.statistics().restarts == 3
            async with served.client(session, "Late") as late:
                assert (await ada.until("participant_joined"))["user_id"] == late.user_id


async def test_when_it_keeps_crashing_its_sockets_are_closed_with_the_reason() -> None:
    async with serving() as served:
        home = served.home
        session = await home.session()
        async with served.client(session, "Ada") as ada:
            for _ in range(4):
                await home.crash(session)
            assert await ada.until("session_ended") == {"reason": "internal_error"}
            code = None
            try:
                await ada.next()
            except trio_websocket.ConnectionClosed as end:
                code = end.reason.code if end.reason else None
            assert code == 4410
