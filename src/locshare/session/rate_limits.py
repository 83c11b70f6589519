"""How often the others hear that somebody came or went. Pure: the time is given.

Coming and going costs a server nothing and everybody else an event, so one phone that reconnects
in a loop, or one stranger who joins and leaves, could send hundreds of events a second to a whole
group. An :class:`TokenBucket` bounds that: some at once, as a group that meets needs it, then a
steady few. What is beyond it is not lost: of a presence only the newest state counts, and it is
told as soon as there is something to spend; a join is refused and can be tried again.
"""

from typing import Final

from msgspec import Struct

PRESENCE_BURST: Final = 6.0
"""Changes of one participant that are told at once: three short losses of the network."""
PRESENCE_RATE: Final = 0.5
"""And how many per second in the long run."""
JOIN_BURST_BEYOND_FULL: Final = 10
"""How many may join at once when everybody who fits in has just joined."""
JOIN_TURNOVER_S: Final = 60.0
"""In the long run the whole session may be replaced by others once in so many seconds."""


class TokenBucket(Struct, frozen=True, gc=False):
    """A token bucket: ``level`` were left at ``at``, in seconds of a clock that only goes ahead."""

    level: float
    at: float

    def spent(self, rate: float, burst: float, now: float) -> "TokenBucket | None":
        """What is left after one was taken at ``now``; None when there is none to take."""
        level = min(burst, self.level + (now - self.at) * rate)
        return TokenBucket(level - 1.0, now) if level >= 1.0 else None

    def ready_at(self, rate: float) -> float:
        """From when on there is one to take."""
        return self.at + max(1.0 - self.level, 0.0) / rate


class ShownPresence(Struct, frozen=True, gc=False):
    """What the others were last told of one participant, and what may still be told."""

    online: bool
    allowance: TokenBucket

    def announce(self, online: bool, now: float) -> "ShownPresence | None":
        """After telling them; None when that has to wait until :meth:`ready_at`."""
        allowance = self.allowance.spent(PRESENCE_RATE, PRESENCE_BURST, now)
        return None if allowance is None else ShownPresence(online, allowance)

    def ready_at(self) -> float:
        """From when on a change may be told."""
        # A hair later, so that the sum in `spent` does not round to just below one.
        return self.allowance.ready_at(PRESENCE_RATE) + 1e-3


NEVER_SEEN: Final = ShownPresence(False, TokenBucket(PRESENCE_BURST, 0.0))
"""Of somebody who has not connected yet."""


class JoinRate(Struct, frozen=True):
    """How many may join a session of so many places."""

    rate: float
    burst: float

    @classmethod
    def of(cls, max_participants: int) -> "JoinRate":
        """Everybody at once, and then the turnover that a large session has."""
        return cls(
            max(max_participants / JOIN_TURNOVER_S, 0.5), max_participants + JOIN_BURST_BEYOND_FULL
        )
