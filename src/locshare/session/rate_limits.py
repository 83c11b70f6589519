"""How often the others hear that somebody came or went. Pure: the time is given.

Coming and going costs a server nothing and everybody else an event, so one phone that reconnects
in a loop, or one stranger who joins and leaves, could send hundreds of events a second to a whole
group. A :class:`TokenBucket` bounds that: some at once, as a group that meets needs it, then a
steady few. What is beyond it is not lost: of a presence only the newest state counts, and it is
told as soon as there is something to spend; a join is refused and can be tried again.
"""

from typing import Final

from msgspec import Struct

from locshare.model.rate import Rate, TokenBucket

PRESENCE_RATE: Final = Rate(per_second=0.5, burst=6.0)
"""Changes of one participant that are sent. The burst is three short losses of the network."""
JOIN_BURST_BEYOND_FULL: Final = 10
"""How many may join at once when everybody who fits in has just joined."""
JOIN_TURNOVER_S: Final = 60.0
"""In the long run the whole session may be replaced by others once in so many seconds."""


class ShownPresence(Struct, frozen=True, gc=False):
    """What the others were last told of one participant, and what may still be told."""

    online: bool
    allowance: TokenBucket

    def announce(self, online: bool, now: float) -> "ShownPresence | None":
        """After telling them; None when that has to wait until :meth:`ready_at`."""
        allowance = self.allowance.take(PRESENCE_RATE, now)
        return None if allowance is None else ShownPresence(online, allowance)

    def ready_at(self) -> float:
        """From when on a change may be told."""
        return self.allowance.ready_at(PRESENCE_RATE)


NEVER_SEEN: Final = ShownPresence(False, TokenBucket(PRESENCE_RATE.burst, 0.0))
"""Of somebody who has not connected yet."""


def join_rate(max_participants: int) -> Rate:
    """The rate of joins of one session: everybody at once, then the turnover of a large session."""
    return Rate(
        max(max_participants / JOIN_TURNOVER_S, 0.5), max_participants + JOIN_BURST_BEYOND_FULL
    )
