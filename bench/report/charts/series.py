"""Data of the charts: distributions, and the seconds of a run reduced to few points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, isnan, nan

from bench.results import Latencies, Moment

MOST_POINTS = 300
"""More than one point per 1.5 pixels only makes the file larger."""

Reduce = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Series:
    """``y`` is NaN where nothing was measured, which leaves a gap in the line."""

    x: list[float]
    y: list[float]
    each_s: int
    """Seconds per point."""

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
        """The points without a neighbour, which a line does not show."""
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
    """Milliseconds, and the percentage that took at most that; both empty without a histogram. The
    first point is the end of the first bucket, because its beginning is not stored.
    """
    x, y, seen = [], [], 0
    whole = sum(many for _, many in latencies.histogram)
    for upper, many in latencies.histogram:
        seen += many
        if many and upper > 0:
            x.append(upper)
            y.append(100 * seen / whole)
    return x, y
