"""Counters of all sessions of a process."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct, field

from locshare.model.reasons import EndReason


class SessionCounters(Struct):
    """Since the process began. Session actors, the façade, the life cycle and the reaper count."""

    created: int = 0
    loaded: int = 0
    """Sessions read back from the store."""
    joined: int = 0
    attached: int = 0
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
    updates: int
    flushes: int
    events: int
    pace_requests: int
    restarts: int
    slept: int
    ended: Mapping[str, int]
