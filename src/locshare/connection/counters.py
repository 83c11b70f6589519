"""Counters of all connections of a pool, and the statistics that metrics read."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from locshare.broadcast.native import WriteCounters
from locshare.model.reasons import CloseReason


class ConnectionCounters:
    """One instance for all connections of a pool, which add to it.

    ``bytes_in`` counts ended connections; a pool's ``statistics()`` adds those of the open ones.
    """

    __slots__ = (
        "accepted", "bad", "bytes_in", "closed", "crashes", "leaves", "opened", "pings",
        "positions", "rate_limited", "refused", "written",
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
        self.bad = 0
        self.rate_limited = 0
        self.bytes_in = 0
        self.written = WriteCounters()


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
    messages_in: Mapping[str, int]
    """By type: location_update, ping, leave, bad (answered with an error)."""
    rate_limited: int
    bytes_in: int
    bytes_out: int
    writes: int
    """Successful ``send`` calls."""
    stalls: int
    """Times that a receiver's socket was full."""
    blocked: int
    """Receivers that have a backlog now."""
    backlog_bytes: int
    """What waits for those."""
