"""When people arrive: all at once, evenly, or in bursts. Pure functions of a random source.

Times are seconds after the beginning of the run.
"""

from collections.abc import Sequence
from random import Random
from typing import Protocol

from msgspec import Struct


class Arrivals(Protocol):
    """A pattern of arrivals."""

    def times(self, sizes: Sequence[int], random: Random) -> list[float]:
        """The arrival of each person of groups of these sizes, group by group."""


class AllAtOnce(Struct, frozen=True):
    """Everybody at ``at_s``."""

    at_s: float = 0.0

    def times(self, sizes: Sequence[int], random: Random) -> list[float]:  # noqa: ARG002 - as all
        return [self.at_s] * sum(sizes)


class Evenly(Struct, frozen=True):
    """Over ``span_s`` at an even rate, in an order that mixes the groups."""

    span_s: float

    def times(self, sizes: Sequence[int], random: Random) -> list[float]:
        people = sum(sizes)
        slot = self.span_s / max(people, 1)
        times = [(turn + random.random()) * slot for turn in range(people)]
        random.shuffle(times)
        return times


class Peaks(Struct, frozen=True, kw_only=True):
    """In bursts within ``span_s``, as people arrive who have agreed on a time: each group meets at
    one of ``peaks`` moments and arrives around it, except the share ``stragglers``, who arrive at
    any time from then to the end.
    """

    span_s: float
    peaks: int = 3
    stragglers: float = 0.15

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.peaks < 1:
            raise ValueError(f"peaks {self.peaks}: must be 1 or more")
        if not 0 <= self.stragglers <= 1:
            raise ValueError(f"stragglers {self.stragglers}: must be a share from 0 to 1")

    @property
    def spread_s(self) -> float:
        """The standard deviation of the punctual arrivals."""
        return self.span_s / self.peaks / 20

    def moments(self, random: Random) -> list[float]:
        """The agreed times: one somewhere in the middle of each part of the span."""
        part = self.span_s / self.peaks
        return [(number + random.uniform(0.3, 0.6)) * part for number in range(self.peaks)]

    def times(self, sizes: Sequence[int], random: Random) -> list[float]:
        moments = self.moments(random)
        times = []
        for size in sizes:
            moment = random.choice(moments)
            for _ in range(size):
                if random.random() < self.stragglers:
                    time = random.uniform(moment, self.span_s)
                else:
                    time = random.gauss(moment, self.spread_s)
                times.append(min(max(time, 0.0), self.span_s))
        return times
