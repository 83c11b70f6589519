"""Connections to PostgreSQL for Trio tasks: :meth:`Database.run`, with a bound on every wait.

It decides what "the database is away" means. That is one error, StoreUnavailable, whatever the
cause: no server, a server that stops or starts, a connection lost in the middle, a full disk, too
many connections, no answer in time, a deadlock. Every other error is passed on as it is: it is a
fault of ours, and must be seen.

There is no state "away" here. A connection that was lost leaves the pool; the next call opens
another one, and works as soon as the server is back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

import asyncpg
import trio
from asyncpg import exceptions as pg

from locshare.errors import LocshareError
from locshare.store.bridge import Bridge, BridgeClosed
from locshare.store.port import StoreUnavailable
from locshare.store.writer import DoubtfulWrite

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Connection: TypeAlias = Any  # asyncpg has no types

REFUSED: Final[tuple[type[Exception], ...]] = (
    pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError,
)
AWAY: Final[tuple[type[Exception], ...]] = (
    OSError,  # TimeoutError is one
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,  # shutting down, starting up
    pg.InsufficientResourcesError,
    pg.PostgresSystemError,
    pg.TransactionRollbackError,  # deadlock
    pg.LockNotAvailableError,
    pg.ReadOnlySQLTransactionError,  # a standby that is not promoted yet
    *REFUSED,
)
_CLOSE_S: Final = 0.1
_RELEASE_S: Final = 0.2


class DatabaseRefused(LocshareError):
    """The URL is wrong, or the server does not let us in. Waiting does not help."""


class _LeanConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Saves a round trip for each use: nothing here changes the state of a session."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Made by :func:`open_database`."""

    def __init__(self, bridge: Bridge, url: str, pool: Any, timeout_s: float) -> None:
        self._bridge = bridge
        self._url = url
        self._pool = pool
        self._timeout_s = timeout_s

    async def run(self, work: Callable[[Connection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """``await work(connection, *args)`` in the asyncio loop, on a connection of the pool.

        Raises StoreUnavailable when the database is away: DoubtfulWrite once ``work`` was begun.
        Cancelled or out of time, the query is cancelled at the server; if that takes longer than
        ``_RELEASE_S``, its connection is dropped.
        """
        began = False

        async def use() -> T:
            nonlocal began
            async with asyncio.timeout(self._timeout_s):
                connection = await self._pool.acquire()
                try:
                    began = True
                    return await work(connection, *args)
                except pg.InterfaceError as error:
                    if _is_lost(connection):  # otherwise it is a misuse, ours
                        raise ConnectionResetError("the connection was lost") from error
                    raise
                except pg.InternalClientError as error:
                    # asyncpg's state after it has read "terminating connection" on an idle
                    # connection, and before it has read the end of it.
                    _drop(connection)
                    raise ConnectionResetError("the connection was broken") from error
                finally:
                    # asyncpg has asked the server to cancel a query that was cancelled here, so
                    # that it does not take effect later; a server that is mute is not waited for.
                    with suppress(TimeoutError):
                        await self._pool.release(connection, timeout=_RELEASE_S)

        try:
            return await self._bridge.call(use)
        except AWAY as error:
            away = DoubtfulWrite if began else StoreUnavailable
            raise away from error

    async def run_alone(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """``await work(connection)`` on a connection of its own, for as long as it takes.

        Raises StoreUnavailable, DatabaseRefused.
        """

        async def use() -> T:
            try:
                connection = await asyncpg.connect(self._url, timeout=self._timeout_s)
            except (ValueError, pg.InterfaceError):
                # Not chained, and not quoted: the library's text may show the password.
                raise DatabaseRefused(
                    "LOCSHARE_DATABASE_URL is not a PostgreSQL URL"
                    " such as postgresql://user:password@host:5432/locshare"
                ) from None
            try:
                return await work(connection)
            finally:
                connection.terminate()

        try:
            return await self._bridge.call(use)
        except REFUSED as error:
            raise DatabaseRefused(
                f"the database server refuses: {error}. Check LOCSHARE_DATABASE_URL"
            ) from error
        except AWAY as error:
            raise StoreUnavailable from error

    async def close(self) -> None:
        """Idle connections are closed, busy ones cut after a moment. Shielded."""

        async def shut() -> None:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

        with trio.CancelScope(shield=True), suppress(BridgeClosed):
            await self._bridge.call(shut)


def _is_lost(connection: Connection) -> bool:
    try:
        lost: bool = connection.is_closed()
    except pg.InterfaceError:
        return True  # so much so that the pool has taken it away from us
    return lost


def _drop(connection: Connection) -> None:
    with suppress(pg.InterfaceError):
        connection.terminate()


@asynccontextmanager
async def open_database(
    bridge: Bridge, url: str, *, connections: int, timeout_s: float
) -> AsyncIterator[Database]:
    """A pool around a block. Nothing is connected yet, so that no server need be there; nor is
    ``url`` looked at.
    """

    async def make() -> Any:
        return await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=connections,
            connection_class=_LeanConnection,
            # Never: each use of a connection would leave a timer of five minutes in the loop's
            # heap, and in it the context of the request that asked.
            max_inactive_connection_lifetime=0.0,
            server_settings={"application_name": "locshare"},
        )

    pool = await bridge.call(make)
    database = Database(bridge, url, pool, timeout_s)
    try:
        yield database
    finally:
        await database.close()
