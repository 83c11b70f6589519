"""The search for the most people: where it goes, when it ends, what it answers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.capacity import run_of, search
from bench.loads import (
    NEAR,
    STEPS,
    TRIES,
    Search,
    met,
    most_people,
    next_load,
    title,
    wanted_p95_ms,
)
from bench.results import Latencies, Run
from bench.scenarios.scenario import SESSION_SIZE
from bench.solo.beside import Case
from tests.bench.misbehaving_server import NullObserver
from tests.bench.report.synthetic import run

MET = run("capacity")


def played(people: int, limit: int, wanted: Search) -> Run:
    """By a server that does ``limit`` people."""
    p95_ms = wanted.p95_ms - 1 if people <= limit else wanted.p95_ms
    took = Latencies(count=9, p50_ms=1, p95_ms=p95_ms, p99_ms=999, max_ms=999)
    return replace(MET, people=people, delivery=took, title=title(people, wanted))


def found(limit: int, wanted: Search, done: Sequence[Run] = ()) -> list[Run]:
    return list(
        search("one", wanted, NullObserver(), done, lambda _, people, w: played(people, limit, w))
    )


def test_it_goes_up_the_steps_while_they_are_met() -> None:
    assert [each.people for each in found(99_999, Search())] == list(STEPS)


@given(st.integers(0, 12_000))
def test_it_ends_close_to_what_a_server_can_do(limit: int) -> None:
    runs = found(limit, Search())
    assert len(runs) <= TRIES
    assert len({each.people for each in runs}) == len(runs)
    most = most_people(runs, Search().p95_ms)
    assert most is not None
    assert most <= limit
    if limit < STEPS[-1]:
        assert limit - most < max(most * NEAR, SESSION_SIZE) + SESSION_SIZE


def test_what_an_earlier_search_has_is_not_played_again() -> None:
    runs = found(4_000, Search())
    assert found(4_000, Search(), runs) == []
    rest = found(4_000, Search(), runs[:4])
    assert [each.people for each in (*runs[:4], *rest)] == [each.people for each in runs]
    other = Search(p95_ms=50)
    assert len(found(4_000, other, runs)) == len(runs)
    assert wanted_p95_ms(found(4_000, other)[0]) == 50


@pytest.mark.parametrize(
    ("what", "many"),
    [("lost", 5_000), ("stale_pairs", 1), ("foreign", 1), ("refused", 1), ("disconnects", 1)],
)
def test_a_load_is_not_met_by_speed_alone(what: str, many: int) -> None:
    assert met(MET, 200)
    assert not met(replace(MET, **{what: many}), 200)


def test_a_lucky_load_above_one_that_was_missed_does_not_count() -> None:
    wanted = Search()
    runs = [played(500, 500, wanted), played(1_000, 500, wanted), played(5_000, 9_999, wanted)]
    assert most_people(runs, wanted.p95_ms) == 500
    assert most_people([], wanted.p95_ms) is None
    assert most_people(runs[1:2], wanted.p95_ms) == 0


def test_a_report_of_the_generator_becomes_a_run() -> None:
    """Values of one real report, shortened."""
    report = {
        "window_s": 5.0, "server_cpu_pct": 12.5, "server_cpu_us_per_delivery": 9.0,
        "server_rss_start_kb": 1_000, "server_rss_window_end_kb": 2_000, "server_ctx_vol": 3,
        "server_ctx_invol": 4, "tool_cpu_pct": 90.0, "others_cpu_pct": 1.0, "delivered": 100,
        "latency_p50_ms": 0.1, "latency_p95_ms": 0.2, "latency_p99_ms": 0.3, "latency_max_ms": 0.4,
        "sent": 10, "expected": 101, "lost": 1, "stale_pairs": 0, "leaks": 1, "unknown_senders": 2,
        "connect_failed": 0, "connect_ok": 100, "unexpected_closes": 0, "bytes_per_s": 1_000.0,
    }  # fmt: skip
    made = run_of("one", 100, Case(2, 50), Search(), report)
    assert (made.people, made.sessions, made.lost, made.foreign) == (100, 2, 1, 3)
    assert made.network is not None
    assert (made.network.to_people_bytes, made.network.to_server_bytes) == (5_000, None)
    assert made.usage is not None
    assert made.usage.context_switches == 7
    assert made.remarks == ("the generator used 90% of a core",)


def test_next_load_is_none_when_the_smallest_is_too_much() -> None:
    assert next_load([50], {50: False}) is None
