"""Counters of all sessions of a process."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from locshare.model.session import EndReason


class SessionCounters:
    """Since the process began. Session actors, the façade, the life cycle and the reaper count."""

    __slots__ = (
        "attached", "created", "ended", "events", "flushes", "joined", "loaded", "restarts",
        "slept", "updates",
    )  # fmt: skip

    def __init__(self) -> None:
        self.created = 0
        self.loaded = 0
        """Sessions read back from the store."""
        self.slept = 0
        """Sessions put to sleep."""
        self.joined = 0
        self.attached = 0
        self.updates = 0
        """Positions sent, without those that a newer one of the same flush replaced."""
        self.flushes = 0
        self.events = 0
        self.restarts = 0
        """Crashes of session actors."""
        self.ended: Counter[EndReason] = Counter()


class SessionStatistics(Struct, frozen=True):
    """The state of now; totals are since the process began."""

    live: int
    online: int
    participants: int
    created: int
    loaded: int
    joined: int
    attached: int
    updates: int
    flushes: int
    events: int
    restarts: int
    slept: int
    ended: Mapping[str, int]
