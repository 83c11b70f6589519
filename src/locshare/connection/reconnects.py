"""How often one participant may connect: a token bucket for each, in bounded memory. Pure.

A connection's own limits begin anew with each connection, and each one costs its session a
snapshot and everybody else two events. A phone on a bad network, or a page that is reloaded again
and again, stays far below this.
"""

from collections.abc import Hashable

from msgspec import Struct

from locshare.model.rate import KeyedRateLimiter, Rate


class ReconnectLimits(Struct, frozen=True):
    """Counts and seconds."""

    rate: float = 0.5
    """Connections per second in the long run…"""
    burst: float = 20.0
    """…and at once, after a pause."""
    penalty: float = 10.0
    """How long somebody whose connection was closed for flooding has to stay away."""
    remembered: int = 20_000
    """Participants. The one that has not connected for longest is forgotten, and so forgiven."""


class Reconnects:
    """The connections of each participant. ``now`` is in seconds and never goes back."""

    __slots__ = ("_limiter", "_penalty_s")

    def __init__(self, limits: ReconnectLimits) -> None:
        self._limiter = KeyedRateLimiter(Rate(limits.rate, limits.burst), limits.remembered)
        self._penalty_s = limits.penalty

    def __len__(self) -> int:
        return len(self._limiter)

    def take(self, key: Hashable, now: float) -> bool:
        """Count a connection of ``key``. False when it is one too many."""
        return not self._limiter.take(key, now)

    def penalise(self, key: Hashable, now: float) -> None:
        """Refuse every connection of ``key`` until the penalty is over."""
        self._limiter.penalise(key, now, self._penalty_s)
