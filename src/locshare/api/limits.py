"""How often one client address may create, join and ask: token buckets in bounded memory.

Whose address that is: :mod:`locshare.net.client_address`.

The table of buckets never grows beyond its bound: the address not seen for longest is forgotten,
and so starts again with a full bucket. Pure: the time is given, nothing awaits.
"""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from locshare.net.client_address import ForwardedHeader


class Rate(Struct, frozen=True):
    """``burst`` requests at once, then ``per_second``. A rate of zero means no limit."""

    per_second: float
    burst: int


class ApiLimits(Struct, frozen=True):
    """What the API takes from clients. Bytes, seconds, and rates per client address."""

    body_bytes: int = 16 * 1024
    body_timeout_s: float = 10.0
    """For the whole body, however slowly it drips."""
    answer_timeout_s: float = 20.0
    """For a handler, the body's arrival included; then 503."""
    create: Rate = Rate(per_second=5, burst=200)
    join: Rate = Rate(per_second=250, burst=500)
    """As many as can fill the sessions that one address may create: a festival behind one
    carrier's address joins at once."""
    read: Rate = Rate(per_second=500, burst=1000)
    """Of all other calls. Reading a session costs the server 0.3 ms, so this is a seventh of a
    core; a page reads once when it opens, so it is ten times what joining needs."""
    addresses: int = 10_000
    """Buckets of each kind that are remembered."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose word about their clients' addresses is believed. A peer on the loopback
    interface is the reverse proxy of this machine; a client from outside cannot be one."""
    forwarded_header: ForwardedHeader = "auto"
    """The header in which they give it."""


DEFAULT_LIMITS: Final = ApiLimits()


class RateLimiter:
    """One bucket per key; ``size`` keys at most."""

    __slots__ = ("_buckets", "_rate", "_size")

    def __init__(self, rate: Rate, size: int) -> None:
        self._rate = rate
        self._size = size
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """0 when ``key`` may go on; otherwise the seconds until it may. ``now`` is monotonic."""
        rate = self._rate
        if rate.per_second <= 0:
            return 0.0
        level, since = self._buckets.pop(key, (float(rate.burst), now))
        level = min(rate.burst, level + (now - since) * rate.per_second)
        allowed = level >= 1
        self._buckets[key] = (level - 1 if allowed else level, now)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) / rate.per_second
