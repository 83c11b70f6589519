"""Sessions with real sockets in front of them, and phones that speak the contract over one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import trio

from locshare.auth.tokens import TokenKeys
from locshare.connection.listener import Listener
from locshare.connection.pool import ConnectionPool, PoolLimits
from tests.phones import Phone, connected
from tests.session.kit import House, house


class Served:
    """Sessions with sockets in front of them."""

    def __init__(self, home: House, keys: TokenKeys, listener: Listener) -> None:
        self.home = home
        self.keys = keys
        self.listener = listener

    @asynccontextmanager
    async def client(self, session: UUID, name: str) -> AsyncIterator[Phone]:
        """Somebody new joins and connects."""
        async with self.connection(session, await self.home.join(session, name)) as client:
            yield client

    @asynccontextmanager
    async def connection(self, session: UUID, user_id: str) -> AsyncIterator[Phone]:
        """One more connection of a participant. The snapshot has been read."""
        url = f"ws://127.0.0.1:{self.port}/ws"
        async with connected(url, self.token(session, user_id), user_id) as phone:
            yield phone

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
