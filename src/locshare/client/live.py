"""A participant who stays connected: reconnects until that cannot succeed any more.

:meth:`Live.run` is the task. It keeps :attr:`Live.replica` up to date and notifies a
:class:`Watcher`. Between two checkpoints the replica is consistent. Of the positions given while
none can be sent only the newest is kept: it is the first thing that the next connection sends.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from random import Random
from typing import Final, Protocol, final

import trio

from locshare.client.backoff import Backoff, least_delay
from locshare.client.codecs import DIALECTS
from locshare.client.connection import CONNECT_TIMEOUT_S, Connection, connect, valid_interval
from locshare.client.errors import ClientError, End, NotConnected, Unreachable
from locshare.client.network import boot_clock, watch_sleep
from locshare.client.outgoing import Outgoing
from locshare.client.replica import Replica
from locshare.model.events import Event, SessionEvent
from locshare.model.pace import Pace
from locshare.model.participant import PresenceState
from locshare.model.position import Position
from locshare.model.session import Snapshot
from locshare.wire.messages import Error, Pong, ServerMessage

KEEPALIVE_S: Final = 30.0
"""After so long without a message the server is asked for one."""
ANSWER_S: Final = 10.0
"""A connection that does not answer within this time is dead…"""
CHECK_ANSWER_S: Final = 4.0
"""…and within this one if the network has changed: then it probably is, and a new one costs less
than ten more seconds without news.
"""
MIN_GAP_S: Final = 1.0
"""What an attempt to connect has at least, and the time between the beginnings of two, however
often :meth:`Live.network_changed` is called.
"""


class WentOffline(ClientError):
    """A connection ended by :meth:`Live.go_offline`."""

    reconnect = True


class Watcher:
    """Notified by :meth:`Live.run`, in its task. Methods must be quick and not raise."""

    def connected(self, snapshot: Snapshot) -> None:
        """Connected, for the first time or again."""

    def missed(self, event: Event) -> None:
        """Something that happened while there was no connection, as the server kept it: after
        :meth:`connected`, in order, before anything is received. The snapshot, and so the replica,
        includes it already. ``snapshot.resumed`` is False when the server does not know what was
        missed, and then nothing comes.
        """

    def received(self, message: ServerMessage) -> None:
        """A message after the snapshot; it is applied to the replica already."""

    def sending(self, position: Position) -> None:
        """A position is about to be written, for the first time or again, perhaps with its age."""

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        """A connection has ended, or could not be opened. ``retry_in``: seconds until the next
        attempt, None for no further one.
        """


class Opener(Protocol):
    """Opens one connection, as :func:`~locshare.client.connection.connect` does."""

    def __call__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        dialects: Sequence[str],
        resume: str | None,
        pace: float | None,
        presence: PresenceState,
    ) -> AbstractAsyncContextManager[Connection]:
        """See :func:`~locshare.client.connection.connect`."""


@final
class Live:
    """Keeps one participant connected to ``url`` with ``token``.

    ``dialects`` are offered as by :func:`~locshare.client.connection.connect`. ``clock`` counts
    while the machine sleeps too. ``opener`` is for servers that speak something else.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        watcher: Watcher | None = None,
        backoff: Backoff | None = None,
        random: Random | None = None,
        timeout: float = CONNECT_TIMEOUT_S,
        dialects: Sequence[str] = DIALECTS,
        clock: Callable[[], float] = boot_clock,
        opener: Opener | None = None,
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
        self._dialects = tuple(dialects)
        self._clock = clock
        self._opener = opener
        self._outgoing = Outgoing()
        self._pace_s: float | None = None
        self._state: PresenceState = "active"
        self._said: tuple[float | None, PresenceState] = None, "active"
        """Pace and state that the last attempt to connect named, or that were sent since."""
        self._known: tuple[str, int] | None = None
        """Epoch and number of the last event that is known."""
        self._connection: Connection | None = None
        self._scope: trio.CancelScope | None = None
        """Of a connection, and of the attempt before it."""
        self._began = 0.0
        self._cut: ClientError | None = None
        """Why the scope is cancelled, other than to go offline."""
        self._hurry = False
        """The next attempt need not wait: what failed was this machine's network."""
        self._may_connect = trio.Event()
        self._may_connect.set()
        self._woken = trio.Event()
        """Set by :meth:`network_changed`."""
        self._answered = trio.Event()
        self._to_send = trio.Event()
        self._heard_at = 0.0

    @property
    def connected(self) -> bool:
        """True while there is a connection to send on."""
        return self._connection is not None

    @property
    def dialect(self) -> str | None:
        """The name of the dialect that the server chose; None while there is no connection."""
        return None if self._connection is None else self._connection.dialect

    @property
    def pace(self) -> Pace:
        """How often the server wants this participant's positions. It is obeyed."""
        return self._outgoing.pace

    # --- staying connected ----------------------------------------------------------------------

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> ClientError:
        """Stay connected; started with the first snapshot. Returns why reconnecting cannot
        succeed: the session has ended, this participant has left, was removed or replaced, or the
        token is not accepted. Cancellation closes the connection.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_sleep, self.network_changed, self._clock)
            cause = await self._run(task_status)
            nursery.cancel_scope.cancel()
        return cause

    async def _run(self, task_status: trio.TaskStatus[None]) -> ClientError:
        attempt = 0
        while True:
            await self._may_connect.wait()
            self._began = trio.current_time()
            opened: float | None = None
            cause: ClientError | None = None
            self._cut, self._hurry = None, False
            with trio.CancelScope() as self._scope:
                try:
                    async with self._connect() as connection:
                        opened = trio.current_time()
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        cause = await self._follow(connection)
                except ClientError as error:
                    cause = error
            self._scope = None
            cause = cause or self._cut
            if cause is None:
                self._watcher.disconnected(WentOffline("went offline"), 0.0)
                attempt = 0
                continue
            if not cause.reconnect:
                self._watcher.disconnected(cause, None)
                return cause
            now = trio.current_time()
            if opened is not None and now - opened >= self._backoff.reset_after_s:
                attempt = 0
            soonest = max(least_delay(cause), self._began + MIN_GAP_S - now)
            if self._hurry:
                attempt, delay = 0, soonest
            else:
                delay = self._backoff.delay(attempt, cause, self._random)
                attempt += 1
            self._watcher.disconnected(cause, delay)
            if await self._wait(delay, soonest):
                attempt = 0

    def _connect(self) -> AbstractAsyncContextManager[Connection]:
        known = self._known
        self._said = self._pace_s, self._state
        return (self._opener or connect)(
            self.url,
            self._token,
            timeout=self._timeout,
            dialects=self._dialects,
            resume=None if known is None else f"{known[0]}.{known[1]}",
            pace=self._pace_s,
            presence=self._state,
        )

    async def _wait(self, delay: float, soonest: float) -> bool:
        """Wait for ``delay`` seconds; when the network changes only until ``soonest``, which the
        server or :data:`MIN_GAP_S` asks for. Returns whether it changed.
        """
        self._woken = trio.Event()
        began = trio.current_time()
        with trio.move_on_after(delay):
            await self._woken.wait()
            await trio.sleep_until(began + soonest)
        return self._woken.is_set()

    def network_changed(self) -> None:
        """The network is back, or it is another one: reconnect now rather than at the end of a
        wait, and find out now whether an open connection still works.

        For applications that hear it from their system
        (:func:`~locshare.client.network.watch_network` does on Linux). That the machine has slept
        is noticed without it. What the server asked to wait is waited.
        """
        self._woken.set()
        if self._connection is None and self._scope is not None:
            # What was sent to open it may have gone into the old network. An attempt that is young
            # is not cut short: a network that keeps changing would prevent every one.
            self._hurry = True
            self._cut = Unreachable("the network changed while connecting")
            self._scope.deadline = self._began + MIN_GAP_S

    def _give_up(self, why: str) -> None:
        """End the connection, and begin the next without a wait."""
        self._cut, self._hurry = Unreachable(why), True
        if self._scope is not None:
            self._scope.cancel()

    def go_offline(self) -> None:
        """Close the connection and open none before :meth:`go_online`, as in a tunnel."""
        if self._may_connect.is_set():
            # Not when offline already: a waiting task has the old event, which nothing would set.
            self._may_connect = trio.Event()
        self._cut = None
        if self._scope is not None:
            self._scope.cancel()

    def go_online(self) -> None:
        """Connect again."""
        self._may_connect.set()

    # --- one connection -------------------------------------------------------------------------

    async def _follow(self, connection: Connection) -> ClientError:
        """Handle messages until the connection has ended. Returns how it ended."""
        replica = self._begin(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_what_waits, connection)
            nursery.start_soon(self._keep_alive, connection)
            try:
                async for message in connection:
                    self._take(message, replica)
            finally:
                self._connection = None
                self.unreadable += connection.unreadable
            nursery.cancel_scope.cancel()
        return NotConnected(connection.end or End.of(1006))

    def _begin(self, connection: Connection) -> Replica:
        snapshot = connection.snapshot
        if self._scope is not None and not self._scope.cancel_called:
            self._cut, self._hurry = None, False
            self._scope.deadline = math.inf
        replica = self.replica
        if replica is None:
            replica = self.replica = Replica.of(snapshot, datetime.now(UTC))
        else:
            replica.replace(snapshot, datetime.now(UTC))
        self._known = snapshot.epoch, snapshot.seq
        self._heard_at = trio.current_time()
        self._woken = trio.Event()
        self._outgoing.connected()
        self._connection = connection
        self.has_connected.set()
        self._watcher.connected(snapshot)
        for missed in snapshot.missed or ():
            self._watcher.missed(missed.data)
        return replica

    def _take(self, message: ServerMessage, replica: Replica) -> None:
        self._heard_at = trio.current_time()
        if isinstance(message, Pong | Error):
            self._answered.set()
        elif isinstance(message, Pace):
            self._outgoing.pace = message
            self._to_send.set()
        elif isinstance(message, SessionEvent) and self._known is not None:
            self._known = self._known[0], max(self._known[1], message.seq)
        replica.apply(message, datetime.now(UTC))
        self._watcher.received(message)

    async def _keep_alive(self, connection: Connection) -> None:
        """Ask a silent server for an answer, at once when the network has changed. Without one give
        the connection up.
        """
        while True:
            with trio.move_on_at(self._heard_at + KEEPALIVE_S):
                await self._woken.wait()
            woken = self._woken.is_set()
            self._woken = trio.Event()
            if not woken and trio.current_time() < self._heard_at + KEEPALIVE_S:
                continue
            self._answered = trio.Event()
            answer_s = CHECK_ANSWER_S if woken else ANSWER_S
            with trio.move_on_after(answer_s) as answer:
                try:
                    await connection.ping()
                except NotConnected:
                    return
                await self._answered.wait()
            if answer.cancelled_caught:
                self._give_up(f"no answer within {answer_s:g} s")
                return

    # --- what is sent ---------------------------------------------------------------------------

    async def send_position(self, position: Position) -> bool:
        """Report a position. A position whose fix is not current must carry its ``age_ms``.

        Returns whether it was sent. If not, it is kept until the connection and the pace that the
        server asks for allow it, with its age, unless a newer one comes first. Cancelled while it
        is written: the connection is lost, and the position is sent on the next.
        """
        self._outgoing.give(position, self._clock())
        connection = self._connection
        if connection is not None and self._outgoing.wait(trio.current_time()) == 0:
            return await self._send_position(connection)
        self._to_send.set()
        await trio.lowlevel.checkpoint()
        return False

    def forget_position(self) -> None:
        """Do not send what was given so far, not even after a reconnect."""
        self._outgoing.forget()

    async def _send_position(self, connection: Connection) -> bool:
        position = self._outgoing.take(trio.current_time(), self._clock())
        if position is None:
            return False
        self._watcher.sending(position)
        return await _sent(connection.send_position(position))

    async def _send_what_waits(self, connection: Connection) -> None:
        """The newest position first; then each that waits, when it is due."""
        if self._outgoing.wait(trio.current_time()) is not None:
            await self._send_position(connection)
        # The two may have been chosen anew while it connected.
        if self._pace_s != self._said[0]:
            await _sent(self._say_pace(connection))
        if self._state != self._said[1]:
            await _sent(self._say_presence(connection))
        while True:
            self._to_send = trio.Event()
            wait = self._outgoing.wait(trio.current_time())
            if wait is None:
                await self._to_send.wait()
            elif wait > 0:
                with trio.move_on_after(wait):
                    await self._to_send.wait()
            else:
                await self._send_position(connection)

    async def set_pace(self, interval_s: float) -> bool:
        """Ask for positions at most every ``interval_s`` seconds, from 0 (as they come) to 60: for
        a map that nobody looks at, a low battery, a slow link. Events come at once all the same.
        Kept over reconnects. Returns whether it was sent now. Raises ValueError.
        """
        self._pace_s = valid_interval(interval_s)
        return await self._if_connected(self._say_pace)

    async def set_presence(self, state: PresenceState) -> bool:
        """Show the others that this participant is ``active``, ``paused`` or ``hidden``. Kept over
        reconnects; pausing also forgets the newest position. Returns whether it was sent now.
        """
        self._state = state
        if state == "paused":
            self.forget_position()
        return await self._if_connected(self._say_presence)

    async def _say_pace(self, connection: Connection) -> None:
        self._said = self._pace_s, self._said[1]
        await connection.set_pace(self._pace_s or 0.0)

    async def _say_presence(self, connection: Connection) -> None:
        self._said = self._said[0], self._state
        await connection.set_presence(self._state)

    async def leave(self) -> bool:
        """Leave for good; :meth:`run` then returns. False when there is no connection."""
        return await self._if_connected(lambda connection: connection.leave())

    async def _if_connected(self, act: Callable[[Connection], Awaitable[None]]) -> bool:
        if self._connection is None:
            await trio.lowlevel.checkpoint()
            return False
        return await _sent(act(self._connection))


async def _sent(sending: Awaitable[None]) -> bool:
    """Whether it was sent before the connection ended."""
    try:
        await sending
    except NotConnected:
        return False
    return True
