"""When people come: within the span, evenly where that is said, in rushes where that is."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.people.arrivals import AllAtOnce, Arrivals, Evenly, Peaks

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=40)
WAYS = st.one_of(
    st.builds(AllAtOnce, st.just(0.0)),
    st.builds(Evenly, st.floats(0.1, 600)),
    st.builds(Peaks, span_s=st.floats(0.1, 600), peaks=st.integers(1, 6)),
)


@given(WAYS, SIZES, st.integers())
def test_everybody_comes_once_within_the_span(way: Arrivals, sizes: list[int], seed: int) -> None:
    times = way.times(sizes, Random(seed))
    assert len(times) == sum(sizes)
    assert all(0 <= time <= getattr(way, "span_s", 0.0) for time in times)
    assert times == way.times(sizes, Random(seed))


def test_evenly_is_the_same_number_in_every_part_and_mixes_groups() -> None:
    times = Evenly(60).times([50] * 20, Random(1))
    assert busiest(times, 60, parts=60) <= 17 + 1
    first = times[:50]
    assert max(first) - min(first) > 40


def test_peaks_are_a_few_rushes() -> None:
    """Two thirds come within a fifth of the time, which holds a fifth of those who come evenly."""
    sizes = [10] * 100
    way = Peaks(span_s=600, peaks=3)
    times = way.times(sizes, Random(1))
    moments = way.moments(Random(1))
    about = [any(abs(time - each) < 2 * way.spread_s for each in moments) for time in times]
    assert 4 * way.spread_s * 3 == pytest.approx(600 / 5)
    assert sum(about) > 2 / 3 * len(times)
    evenly = Evenly(600).times(sizes, Random(1))
    assert busiest(times, 600, parts=60) > 4 * busiest(evenly, 600, parts=60)


def test_most_of_a_group_comes_to_the_same_rush() -> None:
    way = Peaks(span_s=600, peaks=3, stragglers=0.0)
    times = way.times([20] * 30, Random(7))
    together = [times[at : at + 20] for at in range(0, 600, 20)]
    assert all(max(group) - min(group) < 10 * way.spread_s for group in together)
    assert max(times) - min(times) > 300


@pytest.mark.parametrize(
    ("peaks", "stragglers", "names"), [(0, 0.1, "peaks 0"), (1, 1.5, "stragglers 1.5")]
)
def test_an_invalid_pattern_of_arrivals_is_named(peaks: int, stragglers: float, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        Peaks(span_s=1, peaks=peaks, stragglers=stragglers)


def busiest(times: list[float], span: float, parts: int) -> int:
    """The most in one of so many parts of the span."""
    counts = [0] * (parts + 1)
    for time in times:
        counts[int(time / span * parts)] += 1
    return max(counts)
