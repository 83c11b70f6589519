"""The decision matrix against sums made by hand, and what must hold for any values."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.report.matrix import ASPECTS, Measure, TargetScore, rounded, scores, weighted
from bench.results import Disruption, Facts, Latencies, Run
from tests.bench.report.synthetic import NOTHING, USAGE, results, run, target

FACTS = Facts(
    language="Python", lines_of_code=3_000, dependencies=10, services=("redis",), processes=10
)


def step(people: int = 1_000, p95_ms: float = 100, name: str = "one") -> Run:
    """Everything halfway between its anchors, when there are 1,000 people."""
    return run(
        "ladder",
        name,
        people=people,
        delivery=Latencies(count=1, p50_ms=1, p95_ms=p95_ms, p99_ms=p95_ms, max_ms=p95_ms),
        usage=replace(USAGE, cpu_share=1.0, us_per_delivery=10, rss_peak_bytes=100 * 1_024_000),
        expected=1_000_000,
        lost=1_000,
        connections=1_000,
        disconnects=10,
    )


def faults(*recovery_s: float | None, stale_pairs: int = 0) -> Run:
    disruptions = tuple(
        Disruption(at_s=each, kind="kill_process", recovery_s=seconds)
        for each, seconds in enumerate(recovery_s)
    )
    return run("faults", disruptions=disruptions, stale_pairs=stale_pairs)


def total(*runs: Run, facts: Facts | None = FACTS) -> TargetScore:
    (found,) = scores(results(runs, target("one", facts=facts)))
    return found


def aspects(score: TargetScore) -> dict[str, float | None]:
    return {each.aspect.title: each.score for each in score.aspects}


def test_weights_are_those_of_the_requirements() -> None:
    assert [(each.title, each.weight) for each in ASPECTS] == [
        ("Performance", 30),
        ("Reliability", 25),
        ("Development experience", 20),
        ("Operations", 15),
        ("Cost", 10),
    ]


def test_a_matrix_made_by_hand() -> None:
    """Stale pairs: 2,000 for 2,000 people score 0, so reliability is (5 + 0 + 5 + 5) / 4; one
    service scores 8 and ten processes 5, so operations is 6.5; all else is halfway.
    """
    found = total(step(), faults(0.1, 5.0, stale_pairs=2_000))
    assert aspects(found) == {
        "Performance": 5.0,
        "Reliability": 3.75,
        "Development experience": 5.0,
        "Operations": 6.5,
        "Cost": 5.0,
    }
    assert found.total == 4.91
    assert found.unweighted == 5.05
    assert not found.partial
    assert found.arithmetic == (
        "(30 * 5.00 + 25 * 3.75 + 20 * 5.00 + 15 * 6.50 + 10 * 5.00) / 100 = 4.91"
    )


def test_a_measure_of_several_steps_is_the_mean_of_their_scores() -> None:
    found = total(step(500, p95_ms=10), step(1_000, p95_ms=100), step(2_000, p95_ms=1_000))
    latency = found.aspects[0].measures[0]
    assert [each.score for each in latency.readings.values() if each] == [10.0, 5.0, 0.0]
    assert latency.score == 5.0


def test_of_a_step_that_was_repeated_the_median_counts_in_whatever_order() -> None:
    for order in ((10, 1_000, 100), (100, 1_000, 10), (1_000, 10, 100)):
        latency = total(*(step(p95_ms=each) for each in order)).aspects[0].measures[0]
        assert latency.score == 5.0
    silent = replace(step(), delivery=NOTHING, delivered=0)
    assert total(step(p95_ms=10), silent).aspects[0].measures[0].score == 0.0


def test_what_was_not_measured_is_left_out_and_marked() -> None:
    found = total(facts=FACTS)
    assert aspects(found)["Performance"] is None
    assert found.weight == 35
    assert found.partial
    assert found.arithmetic == "(20 * 5.00 + 15 * 6.50) / 35 = 5.64"
    nothing = total(facts=None)
    assert nothing.total is None
    assert nothing.unweighted is None
    assert nothing.arithmetic == "nothing was measured"


def test_what_another_target_has_makes_a_column_partial() -> None:
    both = results((step(), step(name="two"), step(2_000)), target("one"), target("two"))
    one, two = scores(both)
    assert not one.aspects[0].partial
    assert two.aspects[0].partial
    assert two.aspects[0].measures[0].readings["2,000 people"] is None


def test_cost_is_compared_at_one_load() -> None:
    both = results((step(), step(name="two"), step(2_000)), target("one"), target("two"))
    for each in scores(both):
        assert list(each.aspects[4].measures[0].readings) == ["1,000 people"]


def test_not_to_recover_or_to_deliver_scores_nothing() -> None:
    recovery = total(faults(0.1, None)).aspects[1].measures[2]
    assert recovery.score == 0.0
    silent = replace(step(), delivery=NOTHING, delivered=0)
    assert total(silent).aspects[0].measures[0].score == 0.0


@given(st.floats(0.001, 1_000), st.floats(1.01, 1_000), st.booleans(), st.lists(st.floats(0, 1e7)))
def test_a_worse_value_never_scores_more(
    ten: float, times: float, log: bool, values: list[float]
) -> None:
    anchors = Measure("", ten, ten * times, str, "", lambda _: {}, log=log)
    found = [anchors.score(each) for each in sorted(values)]
    assert found == sorted(found, reverse=True)
    assert all(0 <= each <= 10 for each in found)
    assert anchors.score(ten) == 10
    assert anchors.score(ten * times) == 0


@given(st.permutations(["one", "two", "three"]), st.lists(st.floats(1, 5_000), min_size=3))
def test_a_target_scores_the_same_wherever_it_stands(names: list[str], p95: list[float]) -> None:
    runs = [step(p95_ms=each, name=name) for name, each in zip(names, p95, strict=False)]
    there = {each.target: each.total for each in scores(results(runs))}
    back = {each.target: each.total for each in scores(results(runs[::-1]))}
    assert there == back


@given(st.floats(1, 5_000), st.floats(1, 100))
def test_a_slower_server_never_scores_more(p95_ms: float, times: float) -> None:
    fast, slow = total(step(p95_ms=p95_ms)).total, total(step(p95_ms=p95_ms * times)).total
    assert fast is not None
    assert slow is not None
    assert slow <= fast


# --- sums that a reader can check with pencil and paper -----------------------------------------


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
