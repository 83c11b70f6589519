"""Token buckets: some at once, then a steady rate. Pure: the time is given, nothing awaits.

Every rate limit of the program is one of these: calls per client address, connections per
participant, messages per connection, joins and changes of presence per session. Times are seconds
of a monotonic clock.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from msgspec import Struct

A_TOKEN: Final = 1.0 - 1e-6
"""What is there to be taken as one. At :meth:`TokenBucket.ready_at` a bucket grants one, although
the sum of a level and a product may round to just below one. What is granted early is owed: the
level goes below zero."""


_FORGOTTEN_AT_ONCE: Final = 2
"""Keys, for each that is seen. What a crowd has left is gone after half as many calls."""


class Rate(Struct, frozen=True):
    """``burst`` at once, then ``per_second`` in the long run."""

    per_second: float
    burst: float


class TokenBucket(Struct, frozen=True, gc=False):
    """A bucket that held ``level`` tokens at time ``at``. Immutable, so that it can be part of a
    state that is replaced whole.
    """

    level: float
    at: float

    def take(self, rate: Rate, now: float) -> "TokenBucket | None":
        """The bucket after one token was taken; None when it has none."""
        level = self.level + (now - self.at) * rate.per_second
        if level > rate.burst:
            level = rate.burst
        return None if level < A_TOKEN else TokenBucket(level - 1.0, now)

    def is_full(self, rate: Rate, now: float) -> bool:
        """Whether it is as one that begins."""
        return self.level + (now - self.at) * rate.per_second >= rate.burst

    def ready_at(self, rate: Rate) -> float:
        """The time from which there is a token to take."""
        return self.at + max(1.0 - self.level, 0.0) / rate.per_second


class RateLimiter:
    """One bucket, used in place. It begins full.

    What :class:`TokenBucket` computes, on its own three fields: each message of each connection
    takes from two of these, and an object for each token would be a fifth of what a message costs.
    """

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = rate.burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        rate = self._rate
        level = self._level + (now - self._at) * rate.per_second
        if level > rate.burst:
            level = rate.burst
        if level < A_TOKEN:
            return False
        self._level = level - 1.0
        self._at = now
        return True

    def ready_at(self) -> float:
        """The time from which there is a token to take."""
        return TokenBucket(self._level, self._at).ready_at(self._rate)


class KeyedRateLimiter:
    """One bucket for each key, of which at most ``size`` are remembered.

    A key whose bucket is full again is forgotten: it would begin with a full one. Beyond ``size``
    the key not seen for longest is, and so begins anew too early. A rate of zero means no limit.
    """

    __slots__ = ("_buckets", "_rate", "_size")

    def __init__(self, rate: Rate, size: int) -> None:
        self._rate = rate
        self._size = size
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float) -> float:
        """Take a token of ``key``. 0 when there was one; otherwise the seconds until there is."""
        rate = self._rate
        if rate.per_second <= 0:
            return 0.0
        bucket = self._buckets.get(key) or TokenBucket(rate.burst, now)
        left = bucket.take(rate, now)
        self._remember(key, left or bucket, now)
        return 0.0 if left is not None else bucket.ready_at(rate) - now

    def penalise(self, key: Hashable, now: float, seconds: float) -> None:
        """Leave ``key`` without a token for ``seconds``."""
        self._remember(key, TokenBucket(1.0 - seconds * self._rate.per_second, now), now)

    def _remember(self, key: Hashable, bucket: TokenBucket, now: float) -> None:
        buckets = self._buckets
        buckets[key] = bucket
        buckets.move_to_end(key)
        for _ in range(_FORGOTTEN_AT_ONCE):
            oldest, its_bucket = next(iter(buckets.items()))
            if len(buckets) <= self._size and not its_bucket.is_full(self._rate, now):
                break
            del buckets[oldest]
