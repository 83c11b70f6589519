"""Pass, fail or not measured: by which runs, and by which of their values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.criteria import CRITERIA, Criterion, Finding, Verdict, judge
from bench.report.forms import shortness
from bench.results import Disruption, Latencies, RestCall, Run
from tests.bench.report.synthetic import NOTHING, run

PASS, FAIL, NOT_MEASURED = Verdict.PASS, Verdict.FAIL, Verdict.NOT_MEASURED
LATENCY = {500: 500.0, 1_000: 300.0, 2_000: 200.0}


def found(title: str, *runs: Run) -> Finding:
    return judge(next(each for each in CRITERIA if each.title == title), runs)


def took(p95_ms: float) -> Latencies:
    return Latencies(count=10, p50_ms=0.1, p95_ms=p95_ms, p99_ms=9_000, max_ms=9_000)


def broken(recovery_s: float | None) -> Disruption:
    return Disruption(at_s=60, kind="kill_process", recovery_s=recovery_s)


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda each: each.title)
def test_without_a_run_nothing_was_measured(criterion: Criterion) -> None:
    assert judge(criterion, []) == Finding(NOT_MEASURED)


@pytest.mark.parametrize(("people", "limit_ms"), LATENCY.items())
def test_a_step_of_the_ladder_must_stay_below_its_own_limit(people: int, limit_ms: float) -> None:
    title = f"{people:,} people: p95 latency"
    below = run("ladder", people=people, delivery=took(limit_ms - 0.1))
    at = run("ladder", people=people, delivery=took(limit_ms))
    assert found(title, below).verdict is PASS
    assert found(title, at).verdict is FAIL
    other = run("ladder", people=people * 3, delivery=took(9_999))
    assert found(title, below, other).verdict is PASS
    assert found(title, other, run("stress", people=people)).verdict is NOT_MEASURED


def test_the_worst_of_several_runs_decides() -> None:
    runs = [run("ladder", people=500, delivery=took(each)) for each in (20, 501, 30)]
    finding = found("500 people: p95 latency", *runs)
    assert finding.verdict is FAIL
    assert finding.worst is not None
    assert finding.worst.value == 501


def test_when_nothing_arrived_that_should_have_latency_fails() -> None:
    silent = run("ladder", people=500, delivery=NOTHING, delivered=0)
    assert found("500 people: p95 latency", silent).verdict is FAIL
    alone = run("ladder", people=500, delivery=NOTHING, delivered=0, expected=0)
    assert found("500 people: p95 latency", alone).verdict is NOT_MEASURED


def test_a_step_that_is_scaled_down_counts_only_without_one_of_full_size() -> None:
    small = run("ladder", people=50, scale=0.1, delivery=took(900))
    full = run("ladder", people=500, delivery=took(10))
    assert found("500 people: p95 latency", small).verdict is FAIL
    assert found("500 people: p95 latency", small, full).verdict is PASS


def test_recovery_takes_less_than_five_seconds_every_time() -> None:
    assert found("recovery", run("faults", disruptions=(broken(4.99),))).verdict is PASS
    slow = run("faults", disruptions=(broken(0.1), broken(5.0)))
    assert found("recovery", slow).verdict is FAIL
    never = found("recovery", run("faults", disruptions=(broken(0.1), broken(None))))
    assert never.verdict is FAIL
    assert never.worst is not None
    assert never.worst.where == "process killed at 60 s: did not recover in the run"


def test_loss_and_disconnects_are_judged_by_runs_in_which_nothing_was_broken() -> None:
    quiet = run("flood", expected=100_000, lost=99, connections=1_000, disconnects=9)
    faults = run("faults", expected=1_000, lost=900, connections=10, disconnects=9)
    crowd = run("ladder", people=8_000, expected=1_000, lost=900, connections=10, disconnects=9)
    for title in ("lost updates", "unexpected disconnects"):
        assert found(title, quiet, faults, crowd).verdict is PASS
        assert found(title, faults, crowd).verdict is NOT_MEASURED
    worse = run("storm", expected=100_000, lost=100, connections=1_000, disconnects=10)
    for title in ("lost updates", "unexpected disconnects"):
        assert found(title, quiet, worse).verdict is FAIL


def test_a_lossy_network_may_slow_but_leave_nobody_behind() -> None:
    good = run("lossy", delivery=took(1_999), stale_pairs=0)
    bad = run("lossy", delivery=took(2_000), stale_pairs=1)
    for title in ("lossy network: p95 latency", "lossy network: stale pairs at the end"):
        assert found(title, good).verdict is PASS
        assert found(title, good, bad).verdict is FAIL


def test_a_short_form_is_no_proof_and_says_so() -> None:
    short = run("ladder", people=500, duration_s=6, delivery=took(10))
    finding = found("500 people: p95 latency", short)
    assert finding.verdict is PASS
    assert finding.short
    assert finding.caveats == (
        "ladder, 500 people: a short form, which is no proof (6 s instead of 60 s)",
    )
    assert found("500 people: p95 latency", run("ladder", people=500)).caveats == ()


def test_a_verdict_names_the_scenarios_that_it_does_without() -> None:
    there = ("baseline", "storm", "stress", "town", "ladder")
    runs = [run(each, duration_s=9_999) for each in there]
    assert found("lost updates", *runs).caveats == ("judged without flood, not measured",)
    assert found("lost updates", *runs).without == ("flood",)
    assert found("lost updates", *runs, run("flood")).caveats == ()


def rest(succeeded: int, failed: int) -> Run:
    quick = Latencies(count=succeeded, p50_ms=1, p95_ms=2, p99_ms=3, max_ms=4)
    return run(rest=(RestCall(call="GET /health", latencies=quick, failed=failed),))


def test_a_call_that_fails_more_often_than_a_p95_leaves_out_is_not_quick() -> None:
    assert found("REST calls: p95", rest(95, 5)).verdict is PASS
    often = found("REST calls: p95", rest(94, 6))
    assert often.verdict is FAIL
    assert often.worst is not None
    assert often.worst.where == "GET /health, baseline: 6 of 100 failed"
    assert found("REST calls: p95", rest(0, 6)).verdict is FAIL
    assert found("REST calls: p95", rest(0, 0)).verdict is NOT_MEASURED


def test_people_who_never_connected_are_named_beside_the_verdict() -> None:
    finding = found("lost updates", run(refused=3, join_failures=1))
    assert finding.verdict is PASS
    assert "4 joins or connections never came about" in finding.caveats[0]


def test_what_falls_short_of_a_full_form() -> None:
    assert shortness(run("baseline", people=50, duration_s=600)) is None
    assert shortness(run("faults", people=200, duration_s=45, scale=0.4)) == (
        "scale 0.4, 200 people instead of 500, 45 s instead of 1800 s"
    )
    assert shortness(run("of one's own", people=1, duration_s=1)) is None


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=6))
def test_a_criterion_passes_exactly_when_every_value_does(values: list[float]) -> None:
    runs = [run("ladder", people=1_000, delivery=took(each)) for each in values]
    passed = all(each < 300 for each in values)
    assert found("1,000 people: p95 latency", *runs).verdict is (PASS if passed else FAIL)
