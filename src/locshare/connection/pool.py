"""The connections of one process: their nursery, their heartbeat, their orderly end.

The pool and the listener are two children of the supervisor on purpose. Connections live here, so
when the listener crashes and is started again nobody's connection ends; and the heartbeat is a
child of its own, so that a fault in it does not end them either.

There are three kinds of place. A socket whose request has not come whole has one of
``PoolLimits.handshakes``, in which the one that is idle longest gives way to a new one
(:mod:`locshare.connection.handshakes`). When its token is good it has one of ``max_connections``,
and one of those that its address may have. One that was refused keeps a place, of as many as there
are for handshakes, until its answer has arrived. So strangers cannot use up the places of
participants, and a client that is refused is told so: 503 with ``Retry-After``, or close code 1013.

Promises. A task that crashes here ends its own connection and no other. The pool holds at most
``max_connections`` and twice ``handshakes`` sockets. When :meth:`ConnectionPool.serve` is cancelled
it drains: every connection is told 1012, in batches, and is gone before ``drain_deadline``; the
child's shutdown time must be longer than that.
"""

import socket
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final
from uuid import UUID

import structlog
import trio
from msgspec import Struct

from locshare.connection.admission import (
    Claims,
    Sessions,
    Verifier,
    identify,
    identify_upgrade,
)
from locshare.connection.connection import Connection
from locshare.connection.context import ConnectionContext, ConnectionLimits
from locshare.connection.counters import ConnectionCounters, ConnectionStatistics
from locshare.connection.dialect import DEFAULT_DIALECTS, Dialects
from locshare.connection.handshakes import Handshakes
from locshare.connection.reconnects import ReconnectLimits, Reconnects
from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import Upgrade, answer_and_close
from locshare.model.reasons import CloseReason
from locshare.net.draining import open_draining_nursery
from locshare.telemetry.logs import stack_of

log = structlog.get_logger()

AddressOf = Callable[[str, Sequence[str], Sequence[str]], str | None]
"""What to count a client by: from its socket's peer and what proxies say, the values of
``X-Forwarded-For`` and of ``Forwarded``. None for a proxy itself, which speaks for many."""


class PoolLimits(Struct, frozen=True):
    """Counts and seconds."""

    max_connections: int = 20_000
    per_address: int = 5_000
    """Connections of one client address; a festival is behind one. 0 is no limit."""
    handshakes: int = 512
    """Sockets whose request is awaited, and as many that are being refused."""
    handshakes_per_address: int = 128
    reconnects: ReconnectLimits = ReconnectLimits()
    ping_interval: float = 20.0
    missed_pings: int = 2
    drain_batch: int = 500
    drain_interval: float = 0.1
    """Between two batches, so that not all clients come back in the same instant."""
    drain_deadline: float = 8.0
    connection: ConnectionLimits = ConnectionLimits()

    @property
    def sockets(self) -> int:
        """How many there may be at once."""
        return self.max_connections + 2 * self.handshakes


DEFAULT_LIMITS: Final = PoolLimits()


def _uncounted(*_: object) -> None:
    return None


class ConnectionPool:
    """Takes accepted sockets (:meth:`adopt`) and serves them as connections."""

    _SLOTS = 200
    """At 20,000 connections a hundred pings at a time: these and their answers, which come all at
    once, hold everyone else up for two milliseconds."""

    def __init__(
        self,
        verifier: Verifier,
        sessions: Sessions,
        limits: PoolLimits = DEFAULT_LIMITS,
        address_of: AddressOf = _uncounted,
        dialects: Dialects = DEFAULT_DIALECTS,
    ) -> None:
        self._verifier = verifier
        self._limits = limits
        self._address_of = address_of
        self._handshakes: Handshakes[Connection] = Handshakes(
            limits.handshakes, limits.handshakes_per_address
        )
        self._leaving: OrderedDict[Connection, None] = OrderedDict()  # refused; oldest first
        self._let_in: dict[Connection, str | None] = {}  # connections, each with its address
        self._by_address: Counter[str] = Counter()
        self._reconnects = Reconnects(limits.reconnects)
        self._counters = ConnectionCounters()
        self._nursery: trio.Nursery | None = None
        self._context = ConnectionContext(
            limits.connection, self._counters, sessions, self, self._spawn, dialects
        )
        self._draining = False
        self._next_number = 0
        # The heartbeat looks at one slot at a time, which spreads the pings over the interval.
        self._slots: tuple[dict[int, Connection], ...] = tuple({} for _ in range(self._SLOTS))
        self._sockets = 0
        self._fewer: trio.Event | None = None  # made only while somebody waits for it

    def __len__(self) -> int:
        return self._sockets

    # --- children of the supervisor -------------------------------------------------------------

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the connections until cancelled, then drain them."""
        self._draining = False
        async with open_draining_nursery(self._drain) as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def _drain(self) -> None:
        await self.drain()
        self._nursery = None

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

    def adopt(self, sock: socket.socket, peer: str) -> None:
        """Serve a non-blocking socket that was just accepted from ``peer``. Never blocks, never
        raises.
        """
        self._counters.accepted += 1
        if self._nursery is None:
            refusal = Refusal.DRAINING
            self._counters.refused[refusal.label] += 1
            answer_and_close(sock, refusal.status, refusal.problem(), refusal.retry_after)
            return
        self._next_number += 1
        connection = Connection(sock, self._next_number, peer, self._context)
        self._sockets += 1
        self._slots[connection.number % self._SLOTS][connection.number] = connection
        crowded_out = self._handshakes.enter(connection, self._address_of(peer, (), ()))
        if crowded_out is not None:
            self._leave(crowded_out)
            crowded_out.refuse(Refusal.CROWDED_OUT)
        if self._draining:
            connection.refuse(Refusal.DRAINING)
        self._nursery.start_soon(self._run, connection)

    def make_room(self) -> bool:
        """Close a socket that is no connection, when there is no file descriptor left. False when
        there is none.
        """
        connection = next(iter(self._leaving), None) or self._handshakes.longest_idle()
        if connection is None:
            return False
        self._give_back(connection)
        connection.kill()
        return True

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
        """Until no more than ``count`` sockets are open, those in the handshake included."""
        while self._sockets > count:
            if self._fewer is None:
                self._fewer = trio.Event()
            await self._fewer.wait()

    def kill(self, user_id: str) -> bool:
        """Cancel the task of a participant's connection, as a fault would. False when there is
        none. Takes a step per open connection.
        """
        for connection in self._connections():
            if connection.is_open and any(
                subscription.user_id == user_id for subscription in connection.subscriptions()
            ):
                connection.kill()
                return True
        return False

    # --- for the connections (Gate) -------------------------------------------------------------

    def progressed(self, connection: Connection) -> None:
        """See :meth:`locshare.connection.context.Gate.progressed`."""
        self._handshakes.touch(connection)

    def admit(self, connection: Connection, upgrade: Upgrade) -> Claims | Refusal:
        """See :meth:`locshare.connection.context.Gate.admit`."""
        claims = identify_upgrade(upgrade, self._verifier)
        if isinstance(claims, Refusal):
            return claims
        return self._count_in(connection, claims, upgrade) or claims

    def _count_in(self, connection: Connection, claims: Claims, upgrade: Upgrade) -> Refusal | None:
        limits = self._limits
        if self._draining:
            return Refusal.DRAINING
        if len(self._let_in) >= limits.max_connections:
            return Refusal.FULL
        address = self._address_of(
            connection.peer, upgrade.values("X-Forwarded-For"), upgrade.values("Forwarded")
        )
        if address is not None and 0 < limits.per_address <= self._by_address[address]:
            return Refusal.ADDRESS_FULL
        if (refusal := self._count_attempt(claims)) is not None:
            return refusal
        self._handshakes.leave(connection)
        self._let_in[connection] = address
        if address is not None:
            self._by_address[address] += 1
        return None

    def _count_attempt(self, claims: Claims) -> Refusal | None:
        participant = claims.session_id, claims.user_id
        taken = self._reconnects.take(participant, trio.current_time())
        return None if taken else Refusal.TOO_OFTEN

    def refused(self, connection: Connection) -> None:
        """See :meth:`locshare.connection.context.Gate.refused`."""
        if connection not in self._leaving:
            self._leave(connection)

    def admit_subscription(self, token: str) -> Claims | Refusal:
        """See :meth:`locshare.connection.context.Gate.admit_subscription`."""
        claims = identify(token, self._verifier)
        if isinstance(claims, Refusal):
            return claims
        return self._count_attempt(claims) or claims

    def penalise(self, participant: tuple[UUID, str]) -> None:
        """See :meth:`locshare.connection.context.Gate.penalise`."""
        self._reconnects.penalise(participant, trio.current_time())

    def _leave(self, connection: Connection) -> None:
        """Give its place to others. The oldest of those that are refused is cut when they become
        too many.
        """
        self._give_back(connection)
        self._leaving[connection] = None
        if len(self._leaving) > self._limits.handshakes:
            oldest, _ = self._leaving.popitem(last=False)
            oldest.kill()

    def _give_back(self, connection: Connection) -> None:
        self._handshakes.leave(connection)
        self._leaving.pop(connection, None)
        address = self._let_in.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    # --- inside ---------------------------------------------------------------------------------

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception as error:  # noqa: BLE001 - a crash ends this connection only
            self._report(error)
        finally:
            del self._slots[connection.number % self._SLOTS][connection.number]
            self._give_back(connection)
            self._sockets -= 1
            if self._fewer is not None:
                self._fewer.set()
                self._fewer = None

    def _spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(task)

    def _report(self, error: Exception) -> None:
        self._counters.crashes += 1
        log.error(
            "connection_crashed",
            error=type(error).__name__,
            stack=stack_of(error),
        )

    def _check_pulse(self, connection: Connection) -> None:
        if not connection.is_open:
            return  # the handshake and the close have deadlines of their own
        if connection.transport.heard:
            connection.transport.heard = False
            connection.missed_pings = 0
        else:
            connection.missed_pings += 1
            if connection.missed_pings >= self._limits.missed_pings:
                if connection.backlog_bytes:  # it does not read, so it has not seen the pings
                    connection.close_slow()
                else:
                    connection.close(CloseReason.SILENT)
                return
        connection.ping()

    def _connections(self) -> Iterator[Connection]:
        for slot in self._slots:
            yield from slot.values()

    def statistics(self) -> ConnectionStatistics:
        """A picture of now. Takes a step per open connection."""
        counters = self._counters
        backlogs = [connection.backlog_bytes for connection in self._connections()]
        refused: Counter[str] = Counter({refusal.label: 0 for refusal in Refusal})
        refused.update(counters.refused)
        return ConnectionStatistics(
            open=self._sockets,
            handshakes=len(self._handshakes),
            accepted=counters.accepted,
            opened=counters.opened,
            refused=dict(refused),
            closed={reason.label: counters.closed[reason] for reason in CloseReason},
            crashes=counters.crashes,
            messages_in={
                "location_update": counters.positions,
                "ping": counters.pings,
                "leave": counters.leaves,
                "bad": counters.bad,
            },
            rate_limited=counters.rate_limited,
            bytes_in=counters.bytes_in + sum(c.transport.bytes_in for c in self._connections()),
            bytes_out=counters.written.size,
            writes=counters.written.writes,
            stalls=counters.written.stalls,
            blocked=sum(size > 0 for size in backlogs),
            backlog_bytes=sum(backlogs),
        )
