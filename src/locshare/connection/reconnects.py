"""How often one participant may connect: a token bucket for each, in bounded memory. Pure.

A connection's own limits begin anew with each connection, and each one costs its session a
snapshot and everybody else two events. A phone on a bad network, or a page that is reloaded again
and again, stays far below this.
"""

from collections import OrderedDict
from collections.abc import Hashable

from msgspec import Struct


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
    """The record of everybody who connected lately. ``now`` is in seconds and never goes back."""

    __slots__ = ("_limits", "_spent")

    def __init__(self, limits: ReconnectLimits) -> None:
        self._limits = limits
        self._spent: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._spent)

    def take(self, key: Hashable, now: float) -> bool:
        """Count a connection of ``key``. False when it is one too many."""
        level = self._level(key, now)
        allowed = level >= 1.0
        self._note(key, level - 1.0 if allowed else level, now)
        return allowed

    def penalise(self, key: Hashable, now: float) -> None:
        """Let nobody in as ``key`` until the penalty is over."""
        self._note(key, 1.0 - self._limits.penalty * self._limits.rate, now)

    def _level(self, key: Hashable, now: float) -> float:
        limits = self._limits
        level, at = self._spent.get(key, (limits.burst, now))
        return min(level + (now - at) * limits.rate, limits.burst)

    def _note(self, key: Hashable, level: float, now: float) -> None:
        self._spent[key] = (level, now)
        self._spent.move_to_end(key)
        if len(self._spent) > self._limits.remembered:
            self._spent.popitem(last=False)
