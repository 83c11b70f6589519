"""Sums that a reader can check with pencil and paper."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.anchors import rounded, weighted


@pytest.mark.parametrize(
    ("scores", "mean"),
    [((8.24, 8.25), 8.25), ((1.0, 1.01), 1.01), ((9.99, 10.0), 10.0), ((2.67,), 2.67)],
)
def test_halves_go_up(scores: tuple[float, ...], mean: float) -> None:
    assert weighted([(1, score) for score in scores]) == mean


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1000)), min_size=1, max_size=6))
def test_the_mean_is_that_of_the_printed_scores(terms: list[tuple[int, int]]) -> None:
    exact = Fraction(sum(w * c for w, c in terms), sum(w for w, _ in terms))  # in hundredths
    up = int(exact + Fraction(1, 2))
    assert weighted([(w, c / 100) for w, c in terms]) == up / 100


def test_a_value_is_rounded_as_it_is_printed() -> None:
    assert f"{rounded(3.14159):.2f}" == "3.14"
