"""Percentiles from buckets are those of the sorted values, within a percent."""

import random

import pytest

from bench.driver.latency import Histogram
from bench.stats import percentile


def test_percentiles_are_half_a_percent_wrong_at_most() -> None:
    dice = random.Random(1)
    values = [dice.lognormvariate(-6, 1.5) for _ in range(20_000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    for share in (0.01, 0.5, 0.95, 0.99, 0.9999):
        assert histogram.percentile_ms(share) == pytest.approx(
            percentile(ordered, share) * 1e3, rel=0.0051
        )
    found = histogram.latencies()
    assert found.count == 20_000
    assert found.max_ms == pytest.approx(ordered[-1] * 1e3, abs=1e-3)
    below = 0
    for upper_ms, count in found.histogram:
        below += count
        assert below == pytest.approx(sum(each * 1e3 <= upper_ms for each in values), abs=2)
    assert below == 20_000


@pytest.mark.parametrize("seconds", [0.0, -1e-9, 1e-9, 1e4])
def test_latencies_beyond_the_buckets_are_counted(seconds: float) -> None:
    histogram = Histogram()
    histogram.add(seconds)
    assert histogram.count == 1
    assert len(histogram.latencies().histogram) == 1


def test_none_at_all_is_zero_and_two_merge() -> None:
    one, two = Histogram(), Histogram()
    assert one.percentile_ms(0.5) == 0.0
    assert one.latencies().histogram == ()
    one.add(0.001)
    two.add(0.1, times=3)
    one.merge(two)
    assert one.count == 4
    assert one.max_s == 0.1
    assert one.percentile_ms(0.5) == pytest.approx(100, rel=0.01)
