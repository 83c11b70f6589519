"""Counters of all sessions of a process."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import trio
from msgspec import Struct, field

from locshare.model.reasons import EndReason
from locshare.session.sizes import Waiting
from locshare.telemetry.histogram import Distribution, Histogram

Resume = Literal["complete", "too_late"]


class PositionTimes:
    """How long positions take, of the first position of a flush, every ``_EVERY_S`` at most.

    An observation with its clock costs half a microsecond, which was 2 % of a flush to eight (the
    session's part, 20 µs): a quiet server observes every flush, a busy one 500 a second.
    """

    _EVERY_S = 0.002

    __slots__ = ("delivery", "due", "routing")

    def __init__(self) -> None:
        self.routing = Histogram()
        """Seconds from the socket to the session's actor."""
        self.delivery = Histogram()
        """From the socket until the last receiver was written to."""
        self.due = 0.0
        """When the next flush is to be noted; those before it are not."""

    def note(self, received: float, handled: float, now: float) -> None:
        """A flush that began at ``now`` is written. All times by Trio's clock."""
        self.due = now + self._EVERY_S
        self.routing.observe(handled - received)
        self.delivery.observe(trio.current_time() - received)


class SessionCounters(Struct):
    """Since the process began. Session actors, the façade, the life cycle and the reaper count."""

    created: int = 0
    loaded: int = 0
    """Sessions read back from the store."""
    joined: int = 0
    attached: int = 0
    reconnected: int = 0
    """Of those, connections of participants who had connected before."""
    resumes: Counter[Resume] = field(default_factory=Counter)
    """By whether the client got all that it had missed."""
    updates: int = 0
    """Positions sent, without those that a newer one of the same flush replaced."""
    flushes: int = 0
    events: int = 0
    pace_requests: int = 0
    """Requests to senders to send slower, or as they like again."""
    restarts: int = 0
    """Crashes of session actors."""
    slept: int = 0
    """Sessions put to sleep."""
    ended: Counter[EndReason] = field(default_factory=Counter)
    times: PositionTimes = field(default_factory=PositionTimes)


class SessionStatistics(Struct, frozen=True):
    """The state of now; totals are since the process began."""

    live: int
    online: int
    paced: int
    """Connected participants who chose a pace."""
    participants: int
    created: int
    loaded: int
    joined: int
    attached: int
    reconnected: int
    resumes: Mapping[str, int]
    updates: int
    flushes: int
    events: int
    pace_requests: int
    restarts: int
    slept: int
    ended: Mapping[str, int]
    routing: Distribution
    delivery: Distribution
    mailboxes: Waiting
    positions: int
    """Held now."""
    table_bytes: int
    """About what the tables of the sessions hold."""
