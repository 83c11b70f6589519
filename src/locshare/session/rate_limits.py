"""Rate limits of presence changes and joins. Pure: the time is given.

A connection costs the server little and every other participant an event. So one phone that
reconnects in a loop, or one stranger who joins and leaves, could send hundreds of events a second
to a whole group. A token bucket bounds that: a burst, as a group that meets needs it, then a steady
few. Nothing beyond it is lost: only the newest presence counts, and it is sent with the next token;
a join is refused and can be tried again.
"""

from typing import Final

from msgspec import Struct

from locshare.model.participant import PresenceState
from locshare.model.rate import Rate, TokenBucket

PRESENCE_RATE: Final = Rate(per_second=0.5, burst=6.0)
"""Changes of one participant that are sent. The burst is three short losses of the network."""
JOIN_BURST_BEYOND_FULL: Final = 10
"""Further joins at once, after as many as the session has seats."""
JOIN_TURNOVER_S: Final = 60.0
"""The rate allows to replace all participants of a session once in this time."""


class ShownPresence(Struct, frozen=True, gc=False):
    """The presence of one participant as last sent to the others, and the tokens left."""

    online: bool
    state: PresenceState
    allowance: TokenBucket

    def announce(self, online: bool, state: PresenceState, now: float) -> "ShownPresence | None":
        """The presence after sending these; None while no token is left."""
        allowance = self.allowance.take(PRESENCE_RATE, now)
        return None if allowance is None else ShownPresence(online, state, allowance)

    def ready_at(self) -> float:
        """When the next change may be sent."""
        return self.allowance.ready_at(PRESENCE_RATE)


NEVER_SEEN: Final = ShownPresence(False, "active", TokenBucket(PRESENCE_RATE.burst, 0.0))
"""Of a participant who has not connected yet."""


def join_rate(max_participants: int) -> Rate:
    """The rate of joins of one session: everybody at once, then the turnover of a large session."""
    return Rate(
        max(max_participants / JOIN_TURNOVER_S, 0.5), max_participants + JOIN_BURST_BEYOND_FULL
    )
