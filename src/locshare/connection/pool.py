"""The connections of one process: their tasks, their heartbeat, their orderly end.

The pool, the heartbeat and the listener are three children of the supervisor on purpose.
Connections live in the pool, so no connection ends when the listener or the heartbeat crashes and
is restarted.

A task that crashes here ends its own connection and no other. The pool holds at most
``max_connections`` and twice ``handshakes`` sockets (:mod:`locshare.connection.places`). When
:meth:`ConnectionPool.serve` is cancelled it drains: every connection is closed with 1012, in
batches, and is gone before ``drain_deadline``. The child's shutdown time must be longer than that.
"""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, get_args
from uuid import UUID

import structlog
import trio

from locshare.config.sections import ConnectionSettings, ReconnectSettings
from locshare.connection.admission import (
    Identity,
    SessionOpener,
    Verifier,
    identify,
    identify_upgrade,
)
from locshare.connection.connection import Connection
from locshare.connection.context import ConnectionContext, ConnectionLimits
from locshare.connection.counters import (
    DIALECT_LABELS,
    ConnectionCounters,
    ConnectionStatistics,
    DialectLabel,
)
from locshare.connection.dialect import DEFAULT_DIALECTS, Dialects
from locshare.connection.places import Places
from locshare.connection.reader import Reader
from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import Upgrade, respond_and_close
from locshare.model.rate import KeyedRateLimiter, Rate
from locshare.model.reasons import CloseReason
from locshare.net.draining import open_draining_nursery
from locshare.net.observer import NOBODY, PARAMETER, RequestObserver
from locshare.net.slots import SlotLimits
from locshare.telemetry.redaction import stack_of
from locshare.telemetry.traces import OFF, Tracer
from locshare.wire.messages import ErrorCode

log = structlog.get_logger()

AddressOf = Callable[[str, Sequence[str], Sequence[str]], str | None]
"""The address to count a client by, from its socket's peer and the values of ``X-Forwarded-For``
and of ``Forwarded``. None for a proxy itself, which speaks for many clients."""


class ReconnectLimits(ReconnectSettings, frozen=True):
    """How often one participant may connect. Counts and seconds.

    A connection's own limits begin anew with each connection, and each costs its session a snapshot
    and two events for everyone else. A phone on a bad network, or a page that is reloaded again and
    again, stays far below this.
    """

    penalty: float = 10.0
    """How long a participant whose connection was closed for flooding is refused."""
    remembered: int = 20_000
    """Participants. The one that has not connected for longest is forgotten, and so forgiven."""


class PoolLimits(ConnectionSettings, frozen=True):
    """Counts and seconds."""

    handshakes: int = 512
    """Sockets whose request is awaited; as many again may be being refused."""
    handshakes_per_address: int = 128
    reconnects: ReconnectLimits = ReconnectLimits()
    drain_batch: int = 500
    drain_interval: float = 0.1
    """Between two batches, so that not all clients come back at the same instant."""
    connection: ConnectionLimits = ConnectionLimits()

    @property
    def sockets(self) -> int:
        """The largest number at once."""
        return self.max_connections + 2 * self.handshakes


DEFAULT_LIMITS: Final = PoolLimits()


def _uncounted(*_: object) -> None:
    return None


class ConnectionPool:
    """Takes accepted sockets (:meth:`adopt`) and serves them as connections."""

    _SLOTS = 200
    """At 20,000 connections a hundred pings at a time: these and their answers, which all come at
    once, delay everything else by two milliseconds."""

    def __init__(
        self,
        verifier: Verifier,
        sessions: SessionOpener,
        limits: PoolLimits = DEFAULT_LIMITS,
        address_of: AddressOf = _uncounted,
        dialects: Dialects = DEFAULT_DIALECTS,
        observer: RequestObserver = NOBODY,
        tracer: Tracer = OFF,
    ) -> None:
        self._verifier = verifier
        self._observer = observer
        self._tracer = tracer
        self._limits = limits
        self._address_of = address_of
        self._places: Places[Connection] = Places(
            limits.max_connections,
            limits.per_address,
            SlotLimits(limits.handshakes, limits.handshakes_per_address, reserved=0),
        )
        reconnects = limits.reconnects
        self._reconnects = KeyedRateLimiter(
            Rate(reconnects.rate, reconnects.burst), reconnects.remembered
        )
        self._counters = ConnectionCounters()
        self._nursery: trio.Nursery | None = None
        self.reader = Reader()
        self._context = ConnectionContext(
            limits.connection,
            self._counters,
            sessions,
            self,
            self._spawn,
            dialects,
            self.reader,
            tracer,
        )
        self._draining = False
        self._next_number = 0
        # The heartbeat looks at one slot at a time, which spreads the pings over the interval.
        self._slots: tuple[dict[int, Connection], ...] = tuple({} for _ in range(self._SLOTS))
        self._sockets = 0
        self._fewer: trio.Event | None = None  # made only while a task waits for it

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
        """Ping every connection once per ``ping_interval``. Close any that misses ``missed_pings``
        in a row; any bytes from the peer are a sign of life.
        """
        task_status.started()
        pause = self._limits.ping_interval / self._SLOTS
        while True:
            for slot in self._slots:
                await trio.sleep(pause)
                for connection in list(slot.values()):
                    self._check_heartbeat(connection)

    # --- for the listener -----------------------------------------------------------------------

    def adopt(self, sock: socket.socket, peer: str) -> None:
        """Serve a non-blocking socket just accepted from ``peer``. Never blocks, never raises."""
        self._counters.accepted += 1
        if self._nursery is None:
            refusal = Refusal.DRAINING
            self._counters.refused[refusal.label] += 1
            respond_and_close(sock, refusal.response())
            return
        self._next_number += 1
        connection = Connection(sock, self._next_number, peer, self._context)
        self._sockets += 1
        self._slots[connection.number % self._SLOTS][connection.number] = connection
        crowded_out = self._places.enter(connection, self._address_of(peer, (), ()))
        if crowded_out is not None:
            self.refused(crowded_out)
            crowded_out.refuse(Refusal.CROWDED_OUT)
        if self._draining:
            connection.refuse(Refusal.DRAINING)
        self._nursery.start_soon(self._run, connection)

    def make_room(self) -> bool:
        """Free a file descriptor: close a socket that is not admitted. False if there is none."""
        connection = self._places.shed()
        if connection is None:
            return False
        connection.kill()
        return True

    async def drain(self) -> None:
        """Admit no more connections, close the others with 1012, and wait until they are gone or
        ``drain_deadline`` passes. Those left then are cut when :meth:`serve` ends.
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
        """Wait until at most ``count`` sockets are open, those in the handshake included."""
        while self._sockets > count:
            if self._fewer is None:
                self._fewer = trio.Event()
            await self._fewer.wait()

    def kill(self, user_id: str) -> bool:
        """Cancel the task of a participant's connection, to inject a fault. False when there is
        none. O(connections).
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
        self._places.handshakes.mark_waiting(connection)

    def admit(self, connection: Connection, upgrade: Upgrade) -> Identity | Refusal:
        """See :meth:`locshare.connection.context.Gate.admit`."""
        if self._observer.armed:
            name = upgrade.query.get(PARAMETER, "")
            self._observer.note("websocket", name, (connection.peer, None), upgrade.values)
        identity = identify_upgrade(upgrade, self._verifier)
        if isinstance(identity, Refusal):
            return identity
        if self._draining:
            return Refusal.DRAINING
        address = self._address_of(
            connection.peer, upgrade.values("X-Forwarded-For"), upgrade.values("Forwarded")
        )
        refusal = self._places.why_full(address) or self._count_attempt(identity)
        if refusal is not None:
            return refusal
        self._places.admit(connection, address)
        return identity

    def refused(self, connection: Connection) -> None:
        """See :meth:`locshare.connection.context.Gate.refused`."""
        oldest = self._places.refuse(connection)
        if oldest is not None:
            oldest.kill()

    def admit_subscription(self, wanted: str | Identity) -> Identity | Refusal:
        """See :meth:`locshare.connection.context.Gate.admit_subscription`."""
        identity = identify(wanted, self._verifier) if isinstance(wanted, str) else wanted
        if isinstance(identity, Refusal):
            return identity
        return self._count_attempt(identity) or identity

    def _count_attempt(self, identity: Identity) -> Refusal | None:
        participant = identity.session_id, identity.user_id
        wait_s = self._reconnects.take(participant, trio.current_time())
        return Refusal.TOO_OFTEN if wait_s else None

    def penalise(self, participant: tuple[UUID, str]) -> None:
        """See :meth:`locshare.connection.context.Gate.penalise`."""
        self._reconnects.penalise(participant, trio.current_time(), self._limits.reconnects.penalty)

    # --- inside ---------------------------------------------------------------------------------

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception as error:  # noqa: BLE001 - a crash ends this connection only
            self._report(error)
        finally:
            del self._slots[connection.number % self._SLOTS][connection.number]
            self._places.release(connection)
            self._sockets -= 1
            if self._fewer is not None:
                self._fewer.set()
                self._fewer = None

    def _spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(task)

    def _report(self, error: Exception) -> None:
        self._counters.crashes += 1
        kind = type(error).__name__
        self._tracer.record("crash", trio.current_time(), {"of": "connection"}, kind)
        log.error(
            "connection_crashed",
            error=type(error).__name__,
            stack=stack_of(error),
        )

    def _check_heartbeat(self, connection: Connection) -> None:
        if not connection.is_open:
            return  # the handshake and the close have their own deadlines
        if connection.transport.heard:
            connection.transport.heard = False
            connection.missed_pings = 0
        else:
            connection.missed_pings += 1
            if connection.missed_pings >= self._limits.missed_pings:
                if connection.backlog_bytes:  # it does not read, so it has not seen the pings
                    connection.too_slow()
                else:
                    connection.close(CloseReason.SILENT)
                return
        connection.ping()

    def _connections(self) -> Iterator[Connection]:
        for slot in self._slots:
            yield from slot.values()

    def statistics(self) -> ConnectionStatistics:
        """As of now. O(connections)."""
        counters = self._counters
        received, dialects = counters.bytes_in.copy(), Counter[DialectLabel]()
        blocked = backlog_bytes = 0
        for connection in self._connections():
            dialects[connection.dialect] += 1
            received[connection.dialect] += connection.transport.bytes_in
            if waits := connection.backlog_bytes:
                blocked += 1
                backlog_bytes += waits
        written = counters.written
        refused: Counter[str] = Counter({refusal.label: 0 for refusal in Refusal})
        refused.update(counters.refused)
        return ConnectionStatistics(
            open=self._sockets,
            handshakes=len(self._places.handshakes),
            accepted=counters.accepted,
            opened=counters.opened,
            refused=dict(refused),
            closed={reason.label: counters.closed[reason] for reason in CloseReason},
            crashes=counters.crashes,
            upgrades=counters.upgrades.read(),
            lifetimes=counters.lifetimes.read(),
            dialects={label: dialects[label] for label in DIALECT_LABELS},
            messages_in={
                "location_update": counters.positions,
                "ping": counters.pings,
                "leave": counters.leaves,
                "set_pace": counters.paces,
                "presence": counters.presences,
                "bad": counters.bad.total(),
            },
            errors={code: counters.bad[code] for code in get_args(ErrorCode)},
            rate_limited=counters.rate_limited,
            received={label: received[label] for label in DIALECT_LABELS},
            sent={label: written[label].size for label in DIALECT_LABELS},
            writes=sum(each.writes for each in written.values()),
            stalls=sum(each.stalls for each in written.values()),
            blocked=blocked,
            backlog_bytes=backlog_bytes,
            limit=self._limits.max_connections,
        )
