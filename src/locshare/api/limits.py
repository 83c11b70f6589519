"""How often one client address may create and join: token buckets in bounded memory.

A client address is the peer's, or, when the peer is a trusted proxy, what that proxy says in
``X-Forwarded-For``. An IPv6 client counts by its /64, which is what one household gets.

The table of buckets never grows beyond its bound: the address not seen for longest is forgotten,
and so starts again with a full bucket. Pure: the time is given, nothing awaits.
"""

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from msgspec import Struct

Network = IPv4Network | IPv6Network


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
    addresses: int = 10_000
    """Buckets of each kind that are remembered."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose ``X-Forwarded-For`` is believed. A peer on the loopback interface is the
    reverse proxy of this machine; a client from outside cannot be one."""


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


class ClientAddress:
    """Finds the address of the client behind trusted proxies."""

    __slots__ = ("_trusted",)

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        """Raises ValueError when one is not a network in CIDR notation."""
        self._trusted: tuple[Network, ...] = tuple(
            ip_network(network, strict=False) for network in trusted_proxies
        )

    def key(self, peer: str | None, forwarded_for: str | None) -> str:
        """What to count by. ``forwarded_for`` is the header, all of its lines joined by commas.

        Read from the right: each trusted proxy appended the address that it saw, and what stands
        left of the first untrusted one could be anyone's invention.
        """
        address = _parse(peer or "")
        if address is None:
            return peer or "local"  # a Unix socket, or a test
        for entry in reversed((forwarded_for or "").split(",")):
            if not self._is_trusted(address):
                break
            previous = _parse(entry.strip())
            if previous is None:
                break
            address = previous
        if isinstance(address, IPv6Address):
            return str(ip_network((address, 64), strict=False))
        return str(address)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A socket of both families shows ::ffff:192.0.2.1 for 192.0.2.1.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
