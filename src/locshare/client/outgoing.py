"""Which position a participant sends next, and when. Pure.

Nothing is queued: a newer fix replaces one that waits. It waits for a connection, and for the pace
that the server asks for. What was sent last is sent again on the next connection, because a server
that was restarted has no positions.

Invariant: at most one position waits, and it is the newest that was given.
"""

import math
from typing import Final, final

from msgspec import structs

from locshare.model.distance import metres
from locshare.model.pace import NORMAL, Pace
from locshare.model.position import LIVE_WITHIN_MS, MAX_AGE_MS, Position

RENEW_S: Final = 15.0
"""A sender that does not move renews its position this often all the same, because the others show
it as old after 30 s.
"""


@final
class Outgoing:
    """Instants are seconds: ``now`` on Trio's clock, ``clock`` on one that also counts while the
    machine sleeps.
    """

    def __init__(self) -> None:
        self.pace: Pace = NORMAL
        self._newest: Position | None = None
        self._given_at = 0.0
        self._waits = False
        self._sent: Position | None = None
        self._sent_at = -math.inf

    def give(self, position: Position, clock: float) -> None:
        """``position`` is the newest."""
        self._newest, self._given_at, self._waits = position, clock, True

    def forget(self) -> None:
        """Send nothing before the next position is given."""
        self._newest, self._waits = None, False

    def connected(self) -> None:
        """On a new connection the newest position comes first, and no pace is asked for yet."""
        self.pace, self._sent, self._sent_at = NORMAL, None, -math.inf
        self._waits = self._newest is not None

    def wait(self, now: float) -> float | None:
        """Seconds until a position is due; None while none waits."""
        if not self._waits or self._newest is None:
            return None
        interval = self.pace.interval_s
        sent = self._sent
        if sent is not None and metres(sent, self._newest) < self.pace.min_distance_m:
            interval = max(interval, RENEW_S)
        return max(self._sent_at + interval - now, 0.0)

    def take(self, now: float, clock: float) -> Position | None:
        """The position that is due, with the age of its fix; None if it has become too old."""
        position = self._newest
        if position is None:
            return None
        self._waits, self._sent, self._sent_at = False, position, now
        age_ms = (position.age_ms or 0.0) + max(clock - self._given_at, 0.0) * 1000
        if age_ms > MAX_AGE_MS:  # no server takes it
            return None
        if position.age_ms is None and age_ms < LIVE_WITHIN_MS:
            return position
        return structs.replace(position, age_ms=float(round(age_ms)))
