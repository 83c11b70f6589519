"""Plain counters of all connections, and the picture that metrics read."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from locshare.broadcast.outbox import WriteCounters
from locshare.model.reasons import CloseReason


class ConnectionCounters:
    """What happened so far. One instance for all connections of a pool; connections add to it.

    Bytes that came in are added when a connection ends; a pool's ``statistics()`` adds those of the
    open ones.
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
    """A picture of the connections at one moment. Totals are since the pool was made."""

    open: int
    """Sockets being served now, those in the handshake included."""
    handshakes: int
    """Of those, the ones whose request has not come whole."""
    accepted: int
    opened: int
    """How many were upgraded and admitted to a session."""
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
    """Successful ``send`` calls: frames per write is what the joined flush gains."""
    stalls: int
    """How often a receiver's socket was full."""
    blocked: int
    """Receivers that have a backlog now."""
    backlog_bytes: int
    """What waits for them."""
