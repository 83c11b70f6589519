"""How long to wait before the next attempt to connect. Pure.

The bound of the wait grows, so that a server that is down is not hammered, but slowly: an outage
should last a third longer for a client than for the server, and no phone should miss one of a few
seconds. The wait is anything up to that bound ("full jitter"), so that a thousand clients that lost
the server at the same moment come back evenly spread. Never sooner than the server asked for, by
``Retry-After`` or by the table of close codes (:mod:`locshare.model.reasons`).
"""

from random import Random

from msgspec import Struct

from locshare.client.errors import ApiProblem, ClientError, NotConnected
from locshare.model.reasons import FIRST_WAIT_S, MOST_WAIT_S, NO_WAIT, WAIT_GROWTH


class Backoff(Struct, frozen=True):
    """Exponential back-off with full jitter. Times in seconds."""

    initial_s: float = FIRST_WAIT_S
    """The bound of the first wait."""
    factor: float = WAIT_GROWTH
    max_s: float = MOST_WAIT_S
    """Of one wait, unless the server asks for more."""
    reset_after_s: float = 5.0
    """A connection that lived at least this long resets the attempts."""

    def delay(self, attempt: int, cause: ClientError, random: Random) -> float:
        """Seconds before attempt number ``attempt`` (from 0) after ``cause``.

        Between nothing and the grown bound, on top of a ``Retry-After``. After a close code with a
        range of its own: within this range the first time, and up to the grown bound later.
        """
        # The exponent is bounded: it would overflow after some hours of attempts.
        bound = min(self.initial_s * self.factor ** min(attempt, 32), self.max_s)
        low, high = _range_of(cause)
        if high:
            return random.uniform(low, high if attempt == 0 else max(high, low + bound))
        return low + random.uniform(0.0, bound)


def least_delay(cause: ClientError) -> float:
    """What the server asked to wait at least after ``cause``, in seconds."""
    return _range_of(cause)[0]


def _range_of(cause: ClientError) -> tuple[float, float]:
    """What the server asked for; an upper end of 0 is none."""
    if isinstance(cause, ApiProblem):
        return cause.retry_after or 0.0, 0.0
    if isinstance(cause, NotConnected) and cause.end.reason is not None:
        return cause.end.reason.wait_s
    return NO_WAIT
