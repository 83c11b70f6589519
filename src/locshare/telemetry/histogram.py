"""Histograms for busy places: an observation is one search in a short tuple and two additions.

The library's own takes a lock and finds its child by labels, which is for HTTP requests and not for
the way of a position. Like every other number of a room, a histogram is read at scrape time
(:mod:`locshare.telemetry.metrics`).
"""

from bisect import bisect_left
from typing import Final, final

from msgspec import Struct

DURATIONS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds in seconds, for what takes a fraction of a millisecond and must not take a second.
0.5 and 1.0 are the bounds of the alerts."""
LIFETIMES_S: Final = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0)
"""Upper bounds in seconds, for what lasts as long as an outing does."""


class Distribution(Struct, frozen=True):
    """What a histogram holds at one moment. ``counts`` has one more entry than ``bounds``, for what
    is above them all; an observation is in one entry only.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float
    """The sum of all observations."""

    def since(self, earlier: "Distribution") -> "Distribution":
        """What came after ``earlier``, which is of the same histogram."""
        counts = tuple(new - old for new, old in zip(self.counts, earlier.counts, strict=True))
        return Distribution(self.bounds, counts, self.total - earlier.total)

    def quantile(self, share: float) -> float | None:
        """The value that ``share`` of the observations do not exceed, as Prometheus estimates it:
        evenly spread within a bucket; the highest bound for what is above all. None without any.
        """
        wanted = share * sum(self.counts)
        if not wanted:
            return None
        below, seen = 0.0, 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            if count and seen + count >= wanted:
                return below + (bound - below) * (wanted - seen) / count
            below, seen = bound, seen + count
        return self.bounds[-1]


@final
class Histogram:
    """Counts observations by the lowest of ``bounds`` (ascending) that they do not exceed."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...] = DURATIONS_S) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count ``value``."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Distribution:
        """As of now."""
        return Distribution(self._bounds, tuple(self._counts), self._total)
