"""What is drawn, as plain numbers: distributions, and the seconds of a run in few enough points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan, nan

from bench.results import Latencies, Moment

MOST_POINTS = 300
"""More than one to a pixel and a half only makes the file larger."""

Reduce = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Series:
    """``y`` is NaN where there was nothing to measure, so a line has a gap there."""

    x: list[float]
    y: list[float]
    each_s: int
    """How many seconds one point stands for."""

    @property
    def highest(self) -> float:
        """-inf when there is no value."""
        return max((y for y in self.y if not isnan(y)), default=-inf)

    @property
    def lowest(self) -> float:
        """inf when there is no value."""
        return min((y for y in self.y if not isnan(y)), default=inf)

    @property
    def alone(self) -> "Series":
        """The points without a neighbour, of which a line shows nothing."""
        padded = [nan, *self.y, nan]
        places = [
            place
            for place, y in enumerate(self.y)
            if not isnan(y) and isnan(padded[place]) and isnan(padded[place + 2])
        ]
        return Series([self.x[each] for each in places], [self.y[each] for each in places], 1)


def over_time(
    moments: Sequence[Moment], read: Callable[[Moment], float | None], reduce: Reduce
) -> Series:
    """One point for each second, or for several when there are many: then ``reduce`` of them."""
    each = max(ceil(len(moments) / MOST_POINTS), 1)
    x, y = [], []
    for start in range(0, len(moments), each):
        part = moments[start : start + each]
        values = [value for moment in part if (value := read(moment)) is not None]
        x.append(part[0].at_s)
        y.append(reduce(values) if values else nan)
    return Series(x, y, each)


def cumulative(latencies: Latencies) -> tuple[list[float], list[float]]:
    """Milliseconds, and how many percent took at most that; both empty without a histogram. The
    first point is where the first bin ends: where it begins is not kept.
    """
    x, y, seen = [], [], 0
    whole = sum(many for _, many in latencies.histogram)
    for upper, many in latencies.histogram:
        seen += many
        if many and upper > 0:
            x.append(upper)
            y.append(100 * seen / whole)
    return x, y
