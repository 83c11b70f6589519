"""Connections to PostgreSQL for Trio tasks: :meth:`Database.run`, with a bound on every wait.

It defines "the database is away" as one error, StoreUnavailable, whatever the cause: no server, a
server that stops or is read-only, a connection lost in the middle, a full disk, a renamed table, a
revoked privilege, no answer in time. Only a fault of one row (``causes.DATA``) is raised as it is.

There is no state "away" here. A connection on which something failed leaves the pool, and so does
an old one; after a failover all do. The next call opens another, resolves the host again, and
works as soon as a writable server is there.

A pooler in transaction mode (pgbouncer) is detected. Behind one, each use is a transaction, and no
statement is prepared beyond it.
"""

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

import asyncpg
import trio
from asyncpg import exceptions as pg

from locshare.config.database_url import DatabaseUrl, parse_database_url
from locshare.model.errors import LocshareError
from locshare.store import causes
from locshare.store.bridge import Bridge, BridgeClosed
from locshare.store.group_commit import UncertainWrite
from locshare.store.port import StoreUnavailable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Connection: TypeAlias = Any  # asyncpg has no types

DATABASE_ERRORS: Final[tuple[type[Exception], ...]] = (
    OSError,
    pg.PostgresError,
    pg.InterfaceError,
    pg.InternalClientError,
)
"""OSError has TimeoutError and TLS."""
MAX_AGE_S: Final = 600.0
"""Of a connection, so that a change of DNS to another server is followed within this time."""
_KEEP: Final = (*causes.DATA, pg.TransactionRollbackError, pg.LockNotAvailableError, TimeoutError)
"""After these the connection can be used on."""
_PERMANENT: Final[tuple[type[Exception], ...]] = (*causes.PERMANENT, ValueError, KeyError)
_CLOSE_S: Final = 0.1
_RELEASE_S: Final = 0.2


class DatabaseRefused(LocshareError):
    """The database cannot be used, and waiting will not help. The text says what to do."""


class _LeanConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Saves the round trip of a reset per use: nothing here changes the state of a session. And no
    rollback waits for a server that has gone silent.
    """

    __slots__ = ("good_until",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Spread, so that connections do not all expire at once.
        self.good_until = self._loop.time() + MAX_AGE_S * random.uniform(0.9, 1.1)  # noqa: S311

    def get_reset_query(self) -> str:
        return ""

    def transaction(self, **options: Any) -> AbstractAsyncContextManager[None]:
        return _rolled_back_in_time(self, super().transaction(**options))


@asynccontextmanager
async def _rolled_back_in_time(connection: Connection, transaction: Any) -> AsyncIterator[None]:
    """asyncpg's ``transaction``, but that its rollback takes at most ``_RELEASE_S``; then the
    connection is dropped, which rolls back too. asyncpg waits without a bound: after a failover by
    address, when the old server sends no reset, for as long as TCP tries. Raises the block's error.
    """
    await transaction.__aenter__()
    try:
        yield
    except BaseException as error:
        try:
            async with asyncio.timeout(_RELEASE_S):
                await transaction.__aexit__(type(error), error, error.__traceback__)
        except DATABASE_ERRORS:
            _drop(connection)
        raise
    await transaction.__aexit__(None, None, None)


class Database:
    """Made by :func:`open_database`."""

    def __init__(
        self, bridge: Bridge, url: DatabaseUrl, *, connections: int, timeout_s: float
    ) -> None:
        self._bridge = bridge
        self.url = url
        self._connections = connections
        self._timeout_s = timeout_s
        self._pool: Any = None
        self._pooler = False

    async def run(self, work: Callable[[Connection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """``await work(connection, *args)`` in the asyncio loop, on a connection of the pool.

        Raises StoreUnavailable with the cause when the database is away; UncertainWrite when the
        work may have taken effect. On cancellation or timeout the query is cancelled at the server;
        if that takes longer than ``_RELEASE_S``, its connection is dropped.
        """
        begun: list[Connection] = []
        try:
            return await self._bridge.call(self._use, begun, work, *args)
        except causes.DATA as error:
            if begun:
                raise
            raise StoreUnavailable from error
        except DATABASE_ERRORS as error:
            uncertain = begun and not causes.is_certain(error)
            raise (UncertainWrite if uncertain else StoreUnavailable) from error
        except ValueError as error:
            if begun:
                raise
            raise StoreUnavailable from error  # what the URL names is no longer there

    async def _use(
        self,
        begun: list[Connection],
        work: Callable[[Connection, *Ts], Awaitable[T]],
        *args: *Ts,
    ) -> T:
        """In the asyncio loop. The connection is in ``begun`` once the work may have begun."""
        async with asyncio.timeout(self._timeout_s):
            connection = await self._pool.acquire()
            begun.append(connection)
            try:
                async with connection.transaction() if self._pooler else nullcontext():
                    result = await work(connection, *args)
            except Exception as error:
                if not isinstance(error, _KEEP):
                    _drop(connection)
                if isinstance(error, causes.READ_ONLY):
                    await self._pool.expire_connections()
                raise
            else:
                if connection.good_until < asyncio.get_running_loop().time():
                    with suppress(*DATABASE_ERRORS):  # the work is done, however this ends
                        await connection.close(timeout=_RELEASE_S)
                return result
            finally:
                # asyncpg has asked the server to cancel a query that was cancelled here, so that it
                # does not take effect later. A server that does not answer is not awaited.
                with suppress(TimeoutError, pg.InterfaceError):
                    await self._pool.release(connection, timeout=_RELEASE_S)

    async def open(self, prepare: Callable[[Connection], Awaitable[T]]) -> T:
        """``await prepare(connection)`` on a separate connection, without a timeout; then make the
        pool.

        Raises StoreUnavailable with the cause; DatabaseRefused when waiting will not help.
        """

        async def use() -> T:
            connection = await asyncpg.connect(
                # A statement that was prepared in one transaction is, behind a pooler, lost in the
                # next one.
                **self._arguments(),
                statement_cache_size=0,
                timeout=self.url.connect_timeout_s or self._timeout_s,
                connection_class=_LeanConnection,
            )
            try:
                self._pooler = await has_pooler(connection, self.url)
                result = await prepare(connection)
            finally:
                connection.terminate()
            if self._pool is None:
                self._pool = await self._make_pool()
            return result

        try:
            return await self._bridge.call(use)
        except LocshareError:
            raise
        except (*_PERMANENT, *DATABASE_ERRORS) as error:
            if isinstance(error, _PERMANENT) or _is_nameless(error):
                raise DatabaseRefused(_explain(error, self.url)) from error
            raise StoreUnavailable from error

    async def _make_pool(self) -> Any:
        arguments = self._arguments()
        if self._pooler:
            arguments["statement_cache_size"] = 0
        return await asyncpg.create_pool(
            **arguments,
            min_size=0,
            max_size=self._connections,
            connection_class=_LeanConnection,
            # Never: each use of a connection would leave a timer of five minutes in the loop's
            # heap, holding the context of its request.
            max_inactive_connection_lifetime=0.0,
        )

    def _arguments(self) -> dict[str, Any]:
        _check_files(self.url)
        arguments: dict[str, Any] = {"dsn": self.url.dsn}
        if "application_name" not in self.url.parameters:
            arguments["server_settings"] = {"application_name": "locshare"}
        if (context := _system_trust(self.url)) is not None:
            arguments["ssl"] = context
        return arguments

    async def close(self) -> None:
        """Close idle connections; terminate busy ones after ``_CLOSE_S``. Shielded."""

        async def shut() -> None:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

        if self._pool is not None:
            with trio.CancelScope(shield=True), suppress(BridgeClosed):
                await self._bridge.call(shut)


async def has_pooler(connection: Connection, url: DatabaseUrl) -> bool:
    """Whether a pooler is between: then the process id sent at the start of the connection, which
    the pooler makes up, differs from that of the executing backend.
    """
    if url.pooler is not None:
        return url.pooler
    async with connection.transaction():
        backend: int = await connection.fetchval("SELECT pg_backend_pid()")
    announced: int = connection.get_server_pid()
    return backend != announced


def _check_files(url: DatabaseUrl) -> None:
    """Raises DatabaseRefused that names the file; the libraries do not, or ignore a missing one."""
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"):
        path = url.parameters.get(name)
        if path is None or (name, path) == ("sslrootcert", "system"):
            continue
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            raise DatabaseRefused(
                f"LOCSHARE_DATABASE_URL names {name}={path}, which cannot be read:"
                f" {error.strerror}. Correct the path, or let this process's user read it"
            ) from None


def _system_trust(url: DatabaseUrl) -> ssl.SSLContext | None:
    """For verify-full without a configured root certificate: the system's. (libpq fails there,
    unless sslrootcert=system.)
    """
    given = url.parameters.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if url.parameters.get("sslmode") != "verify-full" or (given and given != "system"):
        return None
    if not given:
        with suppress(RuntimeError):  # no home directory
            if (Path.home() / ".postgresql" / "root.crt").exists():
                return None
    context = ssl.create_default_context()
    if (certificate := url.parameters.get("sslcert")) is not None:
        password = url.parameters.get("sslpassword", "")
        context.load_cert_chain(certificate, url.parameters.get("sslkey"), lambda: password)
    return context


def _is_nameless(error: BaseException) -> bool:
    """Whether getpass did not find a name for this process's user: a KeyError, from Python 3.13 on
    an OSError caused by one.
    """
    return isinstance(error, KeyError) or isinstance(error.__cause__, KeyError)


def _explain(error: BaseException, url: DatabaseUrl) -> str:
    if _is_nameless(error):
        return (
            "LOCSHARE_DATABASE_URL names no user, and this process's user id has no name either:"
            " put the database's user into the URL (postgresql://user:password@host/database)"
        )
    return causes.sentence(error, url)


def _drop(connection: Connection) -> None:
    with suppress(pg.InterfaceError):
        connection.terminate()


@asynccontextmanager
async def open_database(
    bridge: Bridge, url: str, *, connections: int, timeout_s: float
) -> AsyncIterator[Database]:
    """A database around a block; :meth:`Database.open` connects. Raises DatabaseRefused for a wrong
    ``url``.
    """
    try:
        parsed = parse_database_url(url)
    except ValueError as error:
        raise DatabaseRefused(f"LOCSHARE_DATABASE_URL {error}") from None
    database = Database(bridge, parsed, connections=connections, timeout_s=timeout_s)
    try:
        yield database
    finally:
        await database.close()
