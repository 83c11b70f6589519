"""Coming and going: in order, apart, as often as was asked for."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.people.visits import Churn, Visit, visits

SHARES = st.floats(0, 1)
HABITS = st.builds(
    Churn,
    duration_s=st.floats(1, 3600),
    late=SHARES,
    early=SHARES,
    losses_per_hour=st.floats(0, 600),
    closing=SHARES,
)


@given(HABITS, SHARES, st.integers())
def test_visits_are_in_order_and_apart(churn: Churn, when: float, seed: int) -> None:
    arrives_s = when * churn.duration_s * 0.99
    found = visits(arrives_s, churn, Random(seed))
    assert found
    assert found[0].arrives_s >= arrives_s
    for one, other in pairwise(found):
        assert one.leaves_s is not None
        away = other.arrives_s - one.leaves_s
        assert churn.shortest_away_s - 1e-6 <= away <= churn.longest_away_s + 1e-6
    for visit in found:
        assert 0 <= visit.arrives_s < churn.duration_s
        if visit.leaves_s is not None:
            assert visit.arrives_s < visit.leaves_s <= churn.duration_s
    assert found == visits(arrives_s, churn, Random(seed))


def test_without_churn_everybody_stays() -> None:
    calm = Churn(duration_s=600, late=0, early=0, losses_per_hour=0)
    assert visits(3.0, calm, Random(1)) == (Visit(3.0, None, True),)


def test_the_rates_are_those_asked_for() -> None:
    churn = Churn(duration_s=3600, late=0.25, early=0.1, losses_per_hour=6, closing=0.3)
    random = Random(3)
    people = [visits(0.0, churn, random) for _ in range(2_000)]
    late = sum(found[0].arrives_s > 0 for found in people)
    assert late / 2_000 == pytest.approx(0.25, abs=0.04)
    connected = losses = breaks = 0.0
    for found in people:
        for visit in found:
            connected += (3600 if visit.leaves_s is None else visit.leaves_s) - visit.arrives_s
        lost = [*found[:-1], *(each for each in found[-1:] if not each.gracefully)]
        losses += len(lost)
        breaks += sum(not each.gracefully for each in lost)
    assert losses / connected * 3600 == pytest.approx(6, rel=0.05)
    assert breaks / losses == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"late": 1.2}, "late 1.2"),
        ({"early": -0.1}, "early -0.1"),
        ({"closing": 2.0}, "closing 2.0"),
        ({"duration_s": 0.0}, "duration_s 0.0"),
        ({"losses_per_hour": -1.0}, "losses_per_hour -1.0"),
        ({"shortest_away_s": 70.0}, "shortest_away_s 70.0"),
    ],
)
def test_what_cannot_be_names_the_field(changes: dict[str, float], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        Churn(**({"duration_s": 60.0} | changes))


def test_nobody_comes_after_the_end() -> None:
    with pytest.raises(ValueError, match=r"arrives_s 60\.0: must be in the run, of 60"):
        visits(60.0, Churn(duration_s=60.0), Random(0))
