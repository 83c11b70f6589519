"""Latencies in logarithmic buckets: any number of them, in constant memory.

A bucket is 1 % wide, so a percentile is at most 0.5 % wrong; the count and the maximum are exact.
Pure.
"""

from math import exp, log

from bench.results import Latencies

_PER_E = 100
"""Buckets while a latency grows e-fold."""
_BUCKETS = 2100
"""From a microsecond to 1,300 s; the last takes all beyond."""
_DRAWN = 10
"""Buckets per bucket of the result's histogram, each 10.5 % wider than the one before."""


class Histogram:
    """Of latencies in seconds."""

    __slots__ = ("_counts", "count", "max_s")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.max_s = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count ``times`` deliveries."""
        place = int(log(seconds * 1e6) * _PER_E) if seconds > 1e-6 else 0
        self._counts[min(place, _BUCKETS - 1)] += times
        self.count += times
        if seconds > self.max_s:
            self.max_s = seconds

    def merge(self, other: "Histogram") -> None:
        """Add all that ``other`` has."""
        mine = self._counts
        for place, count in enumerate(other._counts):
            if count:
                mine[place] += count
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def percentile_ms(self, share: float) -> float:
        """The latency that ``share`` of them did not exceed; 0.0 when there are none."""
        if not self.count:
            return 0.0
        rank = max(-int(-share * self.count // 1), 1)  # the ceiling
        seen = 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return round(min(_middle_ms(place), self.max_s * 1e3), 4)
        raise AssertionError("the buckets hold less than was counted")

    def latencies(self) -> Latencies:
        return Latencies(
            count=self.count,
            p50_ms=self.percentile_ms(0.5),
            p95_ms=self.percentile_ms(0.95),
            p99_ms=self.percentile_ms(0.99),
            max_ms=round(self.max_s * 1e3, 4),
            histogram=self._drawn(),
        )

    def _drawn(self) -> tuple[tuple[float, int], ...]:
        counts = self._counts
        sums = [sum(counts[at : at + _DRAWN]) for at in range(0, _BUCKETS, _DRAWN)]
        filled = [place for place, count in enumerate(sums) if count]
        if not filled:
            return ()
        return tuple(
            (round(exp((place + 1) * _DRAWN / _PER_E) / 1e3, 6), sums[place])
            for place in range(filled[0], filled[-1] + 1)
        )


def _middle_ms(place: int) -> float:
    return exp((place + 0.5) / _PER_E) / 1e3
