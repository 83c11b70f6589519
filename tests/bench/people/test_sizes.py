"""Group sizes: the sum is exact, and the tail is the one that was asked for."""

from math import exp, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.people.sizes import SMALLEST, power_law


@given(st.integers(2, 3_000), st.integers(3, 200), st.floats(0.5, 4), st.integers())
def test_sizes_sum_to_the_people_and_keep_within_their_limits(
    people: int, largest: int, exponent: float, seed: int
) -> None:
    sizes = power_law(people, largest=largest, exponent=exponent, random=Random(seed))
    assert sum(sizes) == people
    assert all(SMALLEST <= size <= largest for size in sizes)


@pytest.mark.parametrize("exponent", [1.5, 2.0, 2.5])
def test_the_tail_falls_with_the_exponent(exponent: float) -> None:
    """Of 20,000 groups each share of "at least s people" is the law's, within four of its own
    standard deviations; a law of another exponent would not be.
    """
    largest = 100
    sizes: list[int] = []
    while len(sizes) < 20_000:
        sizes += power_law(
            100_000, largest=largest, exponent=exponent, random=Random(f"{exponent} {len(sizes)}")
        )[:-1]

    def at_least(size: int, exponent: float) -> float:
        weights = [exp(-exponent * log(each)) for each in range(SMALLEST, largest + 1)]
        return sum(weights[size - SMALLEST :]) / sum(weights)

    for size in (3, 10, 30):
        found = sum(each >= size for each in sizes) / len(sizes)
        expected = at_least(size, exponent)
        deviation = (expected * (1 - expected) / len(sizes)) ** 0.5
        assert abs(found - expected) < 4 * deviation
        assert abs(found - at_least(size, exponent + 0.4)) > 4 * deviation


def test_the_tail_is_heavy() -> None:
    """Groups of ten times the mean are rare; if sizes fell geometrically there would be none."""
    sizes = power_law(50_000, largest=200, exponent=2.0, random=Random(1))
    mean = sum(sizes) / len(sizes)
    crowds = sum(size >= 10 * mean for size in sizes)
    of_geometric = len(sizes) * (1 - 1 / (mean - 1)) ** (10 * mean - 2)
    assert crowds > 20 * of_geometric
    assert crowds < len(sizes) / 50
    top = sorted(sizes, reverse=True)[: len(sizes) // 10]
    assert sum(top) > 0.4 * sum(sizes)
    assert log(sizes.count(2) / sizes.count(4)) / log(2) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("people", "largest", "exponent", "names"),
    [(1, 10, 2.0, "people 1"), (10, 2, 2.0, "largest 2"), (10, 10, 0.0, "exponent 0")],
)
def test_what_cannot_be_says_which_value_and_what_is_allowed(
    people: int, largest: int, exponent: float, names: str
) -> None:
    with pytest.raises(ValueError, match=names):
        power_law(people, largest=largest, exponent=exponent, random=Random(0))
