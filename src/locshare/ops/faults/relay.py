"""A relay in front of the database that can cut and delay: on real sockets, the store sees what a
broken network or a dead server looks like.

The relay listens on a Unix socket, so a database on TCP is reached without TLS while faults are on.
"""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Final, final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import trio

from locshare.model.errors import LocshareError
from locshare.ops.faults.hooks import Database

_CHUNK: Final = 65_536
_DEFAULT_PORT: Final = 5432
_SOCKET: Final = f".s.PGSQL.{_DEFAULT_PORT}"

Dial = Callable[[], Awaitable[trio.SocketStream]]


@final
class Relay:
    """Carries bytes between its clients and the database."""

    def __init__(self) -> None:
        self._delay = 0.0
        self._cut = False
        self._changed = trio.Event()
        self._open: set[trio.CancelScope] = set()

    @property
    def sentence(self) -> str | None:
        """The active fault, or None."""
        if self._cut:
            return "the database is cut off"
        return f"the database answers {self._delay:g} s late" if self._delay else None

    def cut(self) -> None:
        """Break open connections and refuse new ones."""
        self._set(cut=True, delay=0.0)
        for scope in self._open:
            scope.cancel()

    def delay(self, seconds: float) -> None:
        """Delay everything that the database sends."""
        self._set(cut=False, delay=seconds)

    def restore(self) -> None:
        """Relay without faults."""
        self._set(cut=False, delay=0.0)

    def _set(self, *, cut: bool, delay: float) -> None:
        self._cut, self._delay = cut, delay
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def around(self, database: Database) -> Database:
        """``database``, reached through this relay."""
        return partial(self._around, database)

    @asynccontextmanager
    async def _around(self, database: Database) -> AsyncIterator[str]:
        error: BaseException | None = None
        with tempfile.TemporaryDirectory(prefix="locshare-relay-") as folder:
            async with database() as url:
                dial, relayed = _reroute(url, folder)
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._serve, Path(folder) / _SOCKET, dial)
                    try:
                        yield relayed
                    except BaseException as caught:  # noqa: BLE001 - raised again, not in a group
                        error = caught
                    nursery.cancel_scope.cancel()
                if error is not None:
                    raise error

    async def _serve(
        self,
        path: Path,
        dial: Dial,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await listening.bind(str(path))
        listening.listen()
        task_status.started()
        await trio.serve_listeners(partial(self._carry, dial), [trio.SocketListener(listening)])

    async def _carry(self, dial: Dial, client: trio.SocketStream) -> None:
        async with client:
            if self._cut:
                return
            with trio.CancelScope() as scope:
                self._open.add(scope)
                try:
                    async with await dial() as server, trio.open_nursery() as nursery:
                        nursery.start_soon(self._pump, client, server, False, scope)
                        await self._pump(server, client, True, scope)
                except* (OSError, trio.BrokenResourceError):
                    pass  # the database is away: the client sees its connection end
                finally:
                    self._open.discard(scope)

    async def _pump(
        self,
        source: trio.SocketStream,
        target: trio.SocketStream,
        late: bool,
        scope: trio.CancelScope,
    ) -> None:
        """Pump one direction until either end is gone, then end the other direction too."""
        try:
            async for chunk in source:
                if late:
                    await self._wait()
                await target.send_all(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()

    async def _wait(self) -> None:
        until = trio.current_time() + self._delay
        while self._delay and trio.current_time() < until:
            with trio.move_on_at(until if self._delay < inf else inf):
                await self._changed.wait()


def _reroute(url: str, folder: str) -> tuple[Dial, str]:
    """How to reach the server of ``url``, and ``url`` with the relay in its place."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    host = query.pop("host", None) or parts.hostname or "localhost"
    port = int(query.pop("port", None) or parts.port or _DEFAULT_PORT)
    if "," in host or "," in parts.netloc:
        raise LocshareError("--faults needs a database_url with one host")
    query.pop("sslmode", None)
    query["host"] = folder
    user = parts.netloc.rpartition("@")[0]
    relayed = urlunsplit(
        (parts.scheme, f"{user}@", parts.path, urlencode(query, quote_via=quote, safe="/"), "")
    )
    if host.startswith("/"):
        return partial(trio.open_unix_socket, f"{host}/.s.PGSQL.{port}"), relayed
    return partial(trio.open_tcp_stream, host, port), relayed
