"""How long to wait before the next try to connect. Pure.

Growing, so that a server that is away is not hammered, but slowly: of one that was away for two
seconds everybody should be back within three more, and not half of them still be waiting. Jitter,
so that a thousand clients that lost it in the same moment do not come back in the same moment. And
never sooner than the server asked for, by ``Retry-After`` or by what its close code means
(docs/reference/protocol.md).
"""

from random import Random
from typing import Final

from msgspec import Struct

from locshare.client.errors import ApiProblem, ClientError, NotConnected
from locshare.model.reasons import CloseReason

LEAST_S: Final = {
    CloseReason.RESTART: 1.0,
    CloseReason.OVERLOADED: 5.0,
    CloseReason.RATE_LIMITED: 10.0,
}


class Backoff(Struct, frozen=True):
    """The rule. Times in seconds."""

    first: float = 0.5
    factor: float = 1.5
    longest: float = 30.0
    """Of one wait, unless the server asks for more."""
    settled_after: float = 5.0
    """A connection that lived so long was a good one: the next try counts as the first again."""

    def delay(self, attempt: int, cause: ClientError, random: Random) -> float:
        """Before try number ``attempt`` (from 0) after ``cause``: from half to all of the grown
        wait, on top of what the server asked for.
        """
        # The exponent is bounded, or it overflows after some hours of trying.
        wait = min(self.first * self.factor ** min(attempt, 32), self.longest)
        return _asked_for(cause) + wait * random.uniform(0.5, 1.0)


def _asked_for(cause: ClientError) -> float:
    if isinstance(cause, ApiProblem):
        return cause.retry_after or 0.0
    if isinstance(cause, NotConnected) and cause.end.reason is not None:
        return LEAST_S.get(cause.end.reason, 0.0)
    return 0.0
