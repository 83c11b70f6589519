"""Counters of all connections of a pool, and the statistics that metrics read."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import Struct

from locshare.broadcast.native import WriteCounters
from locshare.model.reasons import CloseReason
from locshare.telemetry.histogram import LIFETIMES_S, Distribution, Histogram
from locshare.wire.messages import ErrorCode

DialectLabel = Literal["none", "plain", "compact", "phoenix"]
"""A dialect as metrics name it; ``none`` before the upgrade, and for what is refused."""
DIALECT_LABELS: Final[tuple[DialectLabel, ...]] = get_args(DialectLabel)


class ConnectionCounters:
    """One instance for all connections of a pool, which add to it.

    ``bytes_in`` counts ended connections; a pool's ``statistics()`` adds those of the open ones.
    """

    __slots__ = (
        "accepted", "bad", "bytes_in", "closed", "crashes", "leaves", "lifetimes", "opened",
        "paces", "pings", "positions", "presences", "rate_limited", "refused", "upgrades",
        "written",
    )  # fmt: skip

    def __init__(self) -> None:
        self.accepted = 0
        self.opened = 0
        self.crashes = 0
        self.closed: Counter[CloseReason] = Counter()
        self.refused: Counter[str] = Counter()
        self.positions = 0
        self.pings = 0
        self.leaves = 0
        self.paces = 0
        self.presences = 0
        self.bad: Counter[ErrorCode] = Counter()
        self.rate_limited = 0
        self.bytes_in: Counter[DialectLabel] = Counter()
        self.written = {label: WriteCounters() for label in DIALECT_LABELS}
        self.upgrades = Histogram()
        self.lifetimes = Histogram(LIFETIMES_S)


class ConnectionStatistics(Struct, frozen=True):
    """The connections at one moment. Totals are since the pool was created."""

    open: int
    """Sockets served now, those in the handshake included."""
    handshakes: int
    """Of those, sockets whose request has not come whole."""
    accepted: int
    opened: int
    """Connections that were upgraded."""
    refused: Mapping[str, int]
    """By :attr:`Refusal.label`, ``not_an_upgrade`` or ``lost_in_handshake``."""
    closed: Mapping[str, int]
    """By :attr:`CloseReason.label`; every reason is present."""
    crashes: int
    upgrades: Distribution
    """Seconds from the accepted socket to the answered upgrade, of admitted connections."""
    lifetimes: Distribution
    """Seconds from there to the end."""
    dialects: Mapping[str, int]
    """The sockets of ``open``."""
    messages_in: Mapping[str, int]
    """By type: location_update, ping, leave, set_pace, presence, bad (answered with an error)."""
    errors: Mapping[str, int]
    """The bad ones, by their answer."""
    rate_limited: int
    received: Mapping[str, int]
    """Bytes."""
    sent: Mapping[str, int]
    """Bytes."""
    writes: int
    """Successful ``send`` calls."""
    stalls: int
    """Times that a receiver's socket was full."""
    blocked: int
    """Receivers that have a backlog now."""
    backlog_bytes: int
    """What waits for those."""
    limit: int
    """The most that are admitted."""

    @property
    def bytes_in(self) -> int:
        """From all sockets."""
        return sum(self.received.values())

    @property
    def bytes_out(self) -> int:
        """To all sockets."""
        return sum(self.sent.values())
