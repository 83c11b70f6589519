"""How long to wait before the next attempt to connect. Pure.

Growing, so that a server that is down is not hammered, but slowly: after an outage of two seconds,
all clients should be back within three more. Jittered, so that a thousand clients that lost the
server at the same moment do not return at the same moment. Never sooner than the server asked for,
by ``Retry-After`` or by the meaning of its close code (docs/reference/protocol.md).
"""

from random import Random
from typing import Final

from msgspec import Struct

from locshare.client.errors import ApiProblem, ClientError, NotConnected
from locshare.model.reasons import CloseReason

MIN_DELAY_S: Final = {
    CloseReason.RESTART: 1.0,
    CloseReason.OVERLOADED: 5.0,
    CloseReason.RATE_LIMITED: 10.0,
}


class Backoff(Struct, frozen=True):
    """Exponential back-off with equal jitter."""

    initial_s: float = 0.5
    factor: float = 1.5
    max_s: float = 30.0
    """Of one wait, unless the server asks for more."""
    reset_after_s: float = 5.0
    """A connection that lived at least this long resets the attempts."""

    def delay(self, attempt: int, cause: ClientError, random: Random) -> float:
        """Seconds before attempt number ``attempt`` (from 0) after ``cause``: between half and all
        of the grown wait, on top of what the server asked for.
        """
        # The exponent is bounded: it would overflow after some hours of attempts.
        wait = min(self.initial_s * self.factor ** min(attempt, 32), self.max_s)
        return _server_minimum(cause) + wait * random.uniform(0.5, 1.0)


def _server_minimum(cause: ClientError) -> float:
    if isinstance(cause, ApiProblem):
        return cause.retry_after or 0.0
    if isinstance(cause, NotConnected) and cause.end.reason is not None:
        return MIN_DELAY_S.get(cause.end.reason, 0.0)
    return 0.0
