"""The connections of one process: their nursery, their heartbeat, their orderly end.

The pool and the listener are two children of the supervisor on purpose. Connections live here, so
when the listener crashes and is started again nobody's connection ends; and the heartbeat is a
child of its own, so that a fault in it does not end them either.

Promises. A task that crashes here ends its own connection and no other. The pool holds at most
``PoolLimits.max_connections``; those beyond get a 503 (1013), and beyond a small margin the socket
is closed without a word. When :meth:`ConnectionPool.serve` is cancelled it drains: every
connection is told 1012, in batches, and is gone before ``drain_deadline``; the child's shutdown
time must be longer than that.
"""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog
import trio
from msgspec import Struct

from locshare.connection.admission import Refusal, Sessions, Verifier
from locshare.connection.connection import Connection, ConnectionLimits
from locshare.connection.tally import ConnectionStatistics, Tally
from locshare.errors import CloseReason
from locshare.logs import stack_of

log = structlog.get_logger()

_REFUSING_MARGIN = 256
"""How many sockets beyond the limit are told so in HTTP, before telling costs too much as well."""


class PoolLimits(Struct, frozen=True):
    """Counts and seconds."""

    max_connections: int = 20_000
    ping_interval: float = 20.0
    missed_pings: int = 2
    drain_batch: int = 500
    drain_interval: float = 0.1
    """Between two batches, so that not all clients come back in the same instant."""
    drain_deadline: float = 8.0
    connection: ConnectionLimits = ConnectionLimits()


DEFAULT_LIMITS: Final = PoolLimits()


class ConnectionPool:
    """Takes accepted sockets (:meth:`adopt`) and serves them as connections."""

    _SLOTS = 200
    """At 20,000 connections a hundred pings at a time: these and their answers, which come all at
    once, hold everyone else up for two milliseconds."""

    def __init__(
        self, verifier: Verifier, sessions: Sessions, limits: PoolLimits = DEFAULT_LIMITS
    ) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self._limits = limits
        self._tally = Tally()
        self._nursery: trio.Nursery | None = None
        self._draining = False
        self._next_number = 0
        # The heartbeat looks at one slot at a time, which spreads the pings over the interval.
        self._slots: tuple[dict[int, Connection], ...] = tuple({} for _ in range(self._SLOTS))
        self._open = 0
        self._fewer: trio.Event | None = None  # made only while somebody waits for it

    def __len__(self) -> int:
        return self._open

    # --- children of the supervisor -------------------------------------------------------------

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the connections until cancelled, then drain them."""
        self._draining = False
        async with trio.open_nursery() as host:
            nursery: trio.Nursery = await host.start(self._host_connections)
            self._nursery = nursery
            try:
                task_status.started()
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await self.drain()
                self._nursery = None
                nursery.cancel_scope.cancel()

    async def heartbeat(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Ping everyone once in ``ping_interval``, and close who was silent ``missed_pings``
        times in a row. Any bytes from the peer are a sign of life.
        """
        task_status.started()
        pause = self._limits.ping_interval / self._SLOTS
        while True:
            for slot in self._slots:
                await trio.sleep(pause)
                for connection in list(slot.values()):
                    self._check_pulse(connection)

    # --- for the listener -----------------------------------------------------------------------

    def adopt(self, sock: socket.socket) -> None:
        """Serve a non-blocking socket that was just accepted. Never blocks, never raises."""
        self._tally.accepted += 1
        limit = self._limits.max_connections
        if self._nursery is None or self._draining or self._open >= limit + _REFUSING_MARGIN:
            self._tally.refused["turned_away"] += 1
            sock.close()
            return
        self._next_number += 1
        connection = Connection(
            sock,
            self._next_number,
            verifier=self._verifier,
            sessions=self._sessions,
            limits=self._limits.connection,
            tally=self._tally,
            spawn=self._spawn,
            refusal=Refusal.FULL if self._open >= limit else None,
        )
        self._open += 1
        self._slots[connection.number % self._SLOTS][connection.number] = connection
        self._nursery.start_soon(self._run, connection)

    async def drain(self) -> None:
        """Take no more connections, tell those there are to come back (1012), wait for them to
        go, at most until ``drain_deadline``. Those that are left then are cut when
        :meth:`serve` ends.
        """
        self._draining = True
        limits = self._limits
        with trio.move_on_after(limits.drain_deadline):
            waiting = [connection for slot in self._slots for connection in slot.values()]
            for start in range(0, len(waiting), limits.drain_batch):
                if start:
                    await trio.sleep(limits.drain_interval)
                for connection in waiting[start : start + limits.drain_batch]:
                    connection.close(CloseReason.RESTART)
            await self.wait_at_most(0)

    async def wait_at_most(self, count: int) -> None:
        """Until no more than ``count`` connections are open, those in the handshake included."""
        while self._open > count:
            if self._fewer is None:
                self._fewer = trio.Event()
            await self._fewer.wait()

    def kill(self, user_id: str) -> bool:
        """Cancel the task of a participant's connection, as a fault would. False when there is
        none. Takes a step per open connection.
        """
        for connection in self._connections():
            outbox = connection.outbox
            if outbox is not None and outbox.user_id == user_id and not outbox.closed:
                connection.kill()
                return True
        return False

    # --- inside ---------------------------------------------------------------------------------

    async def _host_connections(
        self, *, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """The nursery of all connections, shielded so that a cancelled pool can drain first.

        The shield begins with the handshake. Before it, a cancelled start would never return:
        its child is not cancelled, and nobody has the nursery that would end it.
        """
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await trio.lowlevel.checkpoint_if_cancelled()
                task_status.started(nursery)
                scope.shield = True
                await trio.sleep_forever()

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception as error:  # noqa: BLE001 - a crash ends this connection only
            self._report(error)
        finally:
            del self._slots[connection.number % self._SLOTS][connection.number]
            self._open -= 1
            if self._fewer is not None:
                self._fewer.set()
                self._fewer = None

    def _spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(task)

    def _report(self, error: Exception) -> None:
        self._tally.crashes += 1
        log.error(
            "connection_crashed",
            error=type(error).__name__,
            stack=stack_of(error),
        )

    def _check_pulse(self, connection: Connection) -> None:
        outbox = connection.outbox
        if outbox is None or outbox.closed:
            return  # the handshake and the close have deadlines of their own
        if connection.transport.heard:
            connection.transport.heard = False
            connection.missed_pings = 0
        else:
            connection.missed_pings += 1
            if connection.missed_pings >= self._limits.missed_pings:
                # Whoever does not read has not seen the pings either.
                slow = outbox.backlog_bytes > 0
                connection.close(CloseReason.TOO_SLOW if slow else CloseReason.SILENT)
                return
        connection.ping()

    def _connections(self) -> Iterator[Connection]:
        for slot in self._slots:
            yield from slot.values()

    def statistics(self) -> ConnectionStatistics:
        """A picture of now. Takes a step per open connection."""
        tally = self._tally
        outboxes = [c.outbox for c in self._connections() if c.outbox is not None]
        refused: Counter[str] = Counter({refusal.label: 0 for refusal in Refusal})
        refused.update(tally.refused)
        return ConnectionStatistics(
            open=self._open,
            accepted=tally.accepted,
            opened=tally.opened,
            refused=dict(refused),
            closed={reason.label: tally.closed[reason] for reason in CloseReason},
            crashes=tally.crashes,
            messages_in={
                "location_update": tally.positions,
                "ping": tally.pings,
                "leave": tally.leaves,
                "bad": tally.bad,
            },
            rate_limited=tally.rate_limited,
            bytes_in=tally.bytes_in + sum(c.transport.bytes_in for c in self._connections()),
            bytes_out=tally.written.size,
            writes=tally.written.writes,
            stalls=tally.written.stalls,
            blocked=sum(outbox.backlog_bytes > 0 for outbox in outboxes),
            backlog_bytes=sum(outbox.backlog_bytes for outbox in outboxes),
        )
