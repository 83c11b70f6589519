"""What all connections of a pool share."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from msgspec import Struct

from locshare.broadcast.outbox import OutboxLimits
from locshare.connection.admission import Identity, SessionOpener
from locshare.connection.counters import ConnectionCounters
from locshare.connection.dialect import Dialects
from locshare.connection.rate_policy import RateLimits
from locshare.connection.reader import Reader
from locshare.connection.refusal import Refusal
from locshare.connection.transport_limits import TransportLimits
from locshare.connection.upgrade import Upgrade
from locshare.telemetry.traces import OFF, Tracer

if TYPE_CHECKING:
    from locshare.connection.connection import Connection


class ConnectionLimits(Struct, frozen=True):
    """Everything that bounds one connection. Seconds."""

    transport: TransportLimits = TransportLimits()
    outbox: OutboxLimits = OutboxLimits()
    rates: RateLimits = RateLimits()
    open_timeout: float = 5.0
    """How long a session may take to be found or started."""
    max_subscriptions: int = 20
    """On one socket, where its dialect allows several."""


class Gate(Protocol):
    """Which sockets have a place, and of which kind
    (:class:`locshare.connection.pool.ConnectionPool`).
    """

    def progressed(self, connection: "Connection") -> None:
        """A part of its request came."""
        ...

    def admit(self, connection: "Connection", upgrade: Upgrade) -> Identity | Refusal:
        """Its request came: when its token is good it counts as a connection from now on."""
        ...

    def refused(self, connection: "Connection") -> None:
        """It only stays until its refusal has arrived."""
        ...

    def admit_subscription(self, wanted: str | Identity) -> Identity | Refusal:
        """Check a token that came in a message, and how often its participant subscribes. Of an
        identity, which comes from a token that was checked, only the latter.
        """
        ...

    def penalise(self, participant: tuple[UUID, str]) -> None:
        """A connection of this participant (session and user id) was closed for flooding."""
        ...


class ConnectionContext(Struct, frozen=True):
    """What a connection needs of its pool. ``spawn`` starts a task beside the connection's own."""

    limits: ConnectionLimits
    counters: ConnectionCounters
    sessions: SessionOpener
    gate: Gate
    spawn: Callable[[Callable[[], Awaitable[None]]], None]
    dialects: Dialects
    reader: Reader
    tracer: Tracer = OFF
