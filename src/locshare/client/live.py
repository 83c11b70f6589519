"""A participant who stays connected: reconnects until that cannot succeed any more.

:meth:`Live.run` is the task. It keeps :attr:`Live.replica` up to date and notifies a
:class:`Watcher`. Between two checkpoints the replica is consistent. A position that is sent while
there is no connection is dropped: the next one will be newer.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from typing import final

import trio

from locshare.client.backoff import Backoff
from locshare.client.connection import CONNECT_TIMEOUT_S, Connection, connect
from locshare.client.errors import ClientError, End, NotConnected
from locshare.client.replica import Replica
from locshare.model.position import Position
from locshare.model.session import Snapshot
from locshare.wire.messages import ServerMessage


class WentOffline(ClientError):
    """A connection ended by :meth:`Live.go_offline`."""

    reconnect = True


class Watcher:
    """Notified by :meth:`Live.run`, in its task. Methods must be quick and not raise."""

    def connected(self, snapshot: Snapshot) -> None:
        """Connected, for the first time or again."""

    def received(self, message: ServerMessage) -> None:
        """A message after the snapshot; it is applied to the replica already."""

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        """A connection has ended, or could not be opened. ``retry_in``: seconds until the next
        attempt, None for no further one.
        """


@final
class Live:
    """Keeps one participant connected to ``url`` with ``token``."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        watcher: Watcher | None = None,
        backoff: Backoff | None = None,
        random: Random | None = None,
        timeout: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self.url = url
        self.replica: Replica | None = None
        """None before the first snapshot."""
        self.has_connected = trio.Event()
        """Set with the first snapshot, and never reset."""
        self.unreadable = 0
        """Messages skipped because they are none of the contract."""
        self._token = token
        self._watcher = watcher or Watcher()
        self._backoff = backoff or Backoff()
        self._random = random or Random()  # noqa: S311 - jitter, not a secret
        self._timeout = timeout
        self._connection: Connection | None = None
        self._scope: trio.CancelScope | None = None
        self._may_connect = trio.Event()
        self._may_connect.set()

    @property
    def connected(self) -> bool:
        """True while there is a connection to send on."""
        return self._connection is not None

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> ClientError:
        """Stay connected; started with the first snapshot. Returns why reconnecting cannot
        succeed: the session has ended, this participant has left, was removed or replaced, or the
        token is not accepted. Cancellation closes the connection.
        """
        attempt = 0
        while True:
            await self._may_connect.wait()
            began: float | None = None
            cause: ClientError | None = None
            with trio.CancelScope() as self._scope:
                try:
                    async with connect(self.url, self._token, timeout=self._timeout) as connection:
                        began = trio.current_time()
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        cause = await self._follow(connection)
                except ClientError as error:
                    cause = error
            self._scope = None
            if cause is None:
                self._watcher.disconnected(WentOffline("went offline"), 0.0)
                attempt = 0
                continue
            if not cause.reconnect:
                self._watcher.disconnected(cause, None)
                return cause
            if began is not None and trio.current_time() - began >= self._backoff.reset_after_s:
                attempt = 0
            delay = self._backoff.delay(attempt, cause, self._random)
            attempt += 1
            self._watcher.disconnected(cause, delay)
            await trio.sleep(delay)

    async def _follow(self, connection: Connection) -> ClientError:
        """Handle messages until the connection has ended. Returns how it ended."""
        if self.replica is None:
            self.replica = Replica.of(connection.snapshot, datetime.now(UTC))
        else:
            self.replica.replace(connection.snapshot, datetime.now(UTC))
        self._connection = connection
        self.has_connected.set()
        self._watcher.connected(connection.snapshot)
        try:
            async for message in connection:
                self.replica.apply(message, datetime.now(UTC))
                self._watcher.received(message)
        finally:
            self._connection = None
            self.unreadable += connection.unreadable
        return NotConnected(connection.end or End.of(1006))

    async def send_position(self, position: Position) -> bool:
        """Report a position. Returns False, and drops it, when there is no connection. A position
        whose fix is not current must carry its ``age_ms``.
        """
        return await self._if_connected(lambda connection: connection.send_position(position))

    async def leave(self) -> bool:
        """Leave for good; :meth:`run` then returns. False when there is no connection."""
        return await self._if_connected(lambda connection: connection.leave())

    async def _if_connected(self, act: Callable[[Connection], Awaitable[None]]) -> bool:
        if self._connection is None:
            return False
        try:
            await act(self._connection)
        except NotConnected:
            return False
        return True

    def go_offline(self) -> None:
        """Close the connection and open none before :meth:`go_online`, as in a tunnel."""
        if self._may_connect.is_set():
            # Not when offline already: a waiting task has the old event, which nothing would set.
            self._may_connect = trio.Event()
        if self._scope is not None:
            self._scope.cancel()

    def go_online(self) -> None:
        """Connect again."""
        self._may_connect.set()
