"""When something is broken on purpose, and that it is always repaired as far as it can be."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.disruptions import LASTS_S, ROOM_S, Disruptor, Done, Planned, planned
from bench.errors import NotServing
from bench.results import DisruptionKind, TargetDescription
from tests.running import LAST_RESORT_S

KINDS: list[DisruptionKind] = list(LASTS_S)
PATIENCE_S = LAST_RESORT_S


class FakeSessions:
    """A target that only notes what is asked of it, and fails when told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.begin_fails: set[str] = set()
        self.end_fails: list[Exception] = []
        self.broken = threading.Event()

    description = TargetDescription(name="stand-in", title="a stand-in", dialect="plain")
    http_url = "http://127.0.0.1:1"
    ws_url = None
    topic = ""

    def pids(self) -> Sequence[int]:
        return ()

    def can(self, kind: DisruptionKind) -> bool:
        return True

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        self.calls.append(("begin", kind))
        self.broken.set()
        if kind in self.begin_fails:
            raise NotServing(f"{kind} did not work")
        return f"{kind} of {session_id}"

    def end(self, kind: DisruptionKind) -> None:
        self.calls.append(("end", kind))
        if self.end_fails:
            raise self.end_fails.pop(0)


def disrupt(
    target: FakeSessions, plan: Sequence[Planned], enough: Callable[[Sequence[Done]], bool]
) -> list[Done]:
    """Run until the log is enough; the log after the end."""
    disruptor = Disruptor(target, plan, "s1")
    disruptor.start(time.monotonic())
    until = time.monotonic() + PATIENCE_S
    while not enough(disruptor.log) and time.monotonic() < until:
        time.sleep(0.005)
    disruptor.close()
    return list(disruptor.log)


def all_ended(number: int) -> Callable[[Sequence[Done]], bool]:
    return lambda log: len(log) == number and all(each.ended_at is not None for each in log)


# --- the plan ---------------------------------------------------------------------------------


some_kinds = st.lists(st.sampled_from(KINDS), max_size=len(KINDS), unique=True)
seeds = st.integers(0, 2**32)


@given(some_kinds, st.floats(0, 7200), seeds)
def test_each_has_room_to_recover_and_it_is_the_same_every_time(
    kinds: list[DisruptionKind], duration_s: float, seed: int
) -> None:
    plan = planned(kinds, duration_s, seed=seed)
    assert plan == planned(kinds, duration_s, seed=seed)
    assert bool(plan) == any(ROOM_S[each] <= duration_s for each in kinds)
    assert [each.kind for each in plan] == sorted((each.kind for each in plan), key=kinds.index)
    ends = [each.at_s for each in plan[1:]] + [duration_s] * bool(plan)
    for each, end in zip(plan, ends, strict=True):
        assert each.at_s >= 0.1 * ROOM_S[each.kind] - 0.001
        assert 0 <= each.lasts_s <= LASTS_S[each.kind]
        assert end - each.at_s - each.lasts_s >= 0.5 * ROOM_S[each.kind] - 0.001


@given(some_kinds, st.floats(0, 7200), seeds)
def test_every_kind_is_there_as_often_as_the_others_where_there_is_room_for_all(
    kinds: list[DisruptionKind], duration_s: float, seed: int
) -> None:
    times = Counter(each.kind for each in planned(kinds, duration_s, seed=seed))
    if sum(ROOM_S[each] for each in kinds) <= duration_s:
        assert set(times) == set(kinds)
    assert len(set(times.values())) <= 2
    assert not times or max(times.values()) - min(times.values()) <= 1


def test_half_an_hour_has_each_kind_four_times_in_its_full_length() -> None:
    long = planned(KINDS, 1800, seed=1)
    assert [each.lasts_s for each in long] == [LASTS_S[each.kind] for each in long]
    assert Counter(each.kind for each in long) == dict.fromkeys(KINDS, 4)


def test_a_run_that_is_too_short_for_all_has_each_of_them_with_some_seed() -> None:
    plans = [planned(KINDS, 14, seed=seed) for seed in range(len(KINDS))]
    assert {each.kind for plan in plans for each in plan} == set(KINDS)
    assert all(1 <= len(plan) < len(KINDS) for plan in plans)


def test_another_seed_is_another_plan() -> None:
    assert planned(KINDS, 600, seed=1) != planned(KINDS, 600, seed=2)


# --- the doing --------------------------------------------------------------------------------


def test_it_breaks_and_repairs_in_turn_and_leaves_dropped_clients_to_the_driver() -> None:
    target = FakeSessions()
    plan = [
        Planned(0.02, "kill_process", 0.03),
        Planned(0.06, "drop_clients", 0.0),
        Planned(0.1, "crash_session", 0.0),
    ]
    began = time.monotonic()
    first, second = disrupt(target, plan, all_ended(2))
    assert target.calls == [
        ("begin", "kill_process"),
        ("end", "kill_process"),
        ("begin", "crash_session"),
        ("end", "crash_session"),
    ]
    assert (first.kind, first.detail, first.error) == ("kill_process", "kill_process of s1", None)
    assert first.ended_at is not None
    assert first.began_at >= began + 0.02
    assert first.ended_at >= first.began_at + 0.03
    assert second.began_at >= began + 0.1


def test_what_failed_to_break_is_noted_and_repaired_all_the_same() -> None:
    target = FakeSessions()
    target.begin_fails = {"pause_process"}
    plan = [Planned(0, "pause_process", 60), Planned(0.01, "crash_session", 0)]
    first, second = disrupt(target, plan, all_ended(2))
    assert first.error == "pause_process did not work"
    assert first.detail == ""
    assert target.calls[1] == ("end", "pause_process")
    assert second.error is None


def test_a_repair_that_failed_is_tried_again_before_anything_else_is_broken() -> None:
    target = FakeSessions()
    target.end_fails = [NotServing("does not start")]
    plan = [Planned(0, "kill_process", 0), Planned(0.02, "crash_session", 0)]
    first, second = disrupt(target, plan, all_ended(2))
    assert [name for name, _ in target.calls] == ["begin", "end", "end", "begin", "end"]
    assert first.error == "repair: does not start"
    assert first.ended_at is not None
    assert first.ended_at <= second.began_at
    assert second.error is None


def test_nothing_is_broken_beside_what_cannot_be_repaired() -> None:
    target = FakeSessions()
    target.end_fails = [NotServing("does not start")] * 9
    plan = [Planned(0, "kill_process", 0), Planned(0.02, "cut_database", 0)]
    first, second = disrupt(target, plan, lambda log: len(log) == 2)
    assert ("begin", "cut_database") not in target.calls
    assert (first.ended_at, first.error) == (None, "repair: does not start")
    assert (second.ended_at, second.error) == (None, "left out: kill_process could not be repaired")


def test_a_close_in_the_middle_repairs_and_does_nothing_more() -> None:
    target = FakeSessions()
    disruptor = Disruptor(
        target, [Planned(0, "pause_process", 60), Planned(61, "crash_session", 0)], "s1"
    )
    disruptor.start(time.monotonic())
    assert target.broken.wait(PATIENCE_S)
    disruptor.close()
    assert target.calls == [("begin", "pause_process"), ("end", "pause_process")]
    [done] = disruptor.log
    assert done.ended_at is not None
    assert done.ended_at < done.began_at + 60


def test_a_close_before_the_first_does_nothing() -> None:
    target = FakeSessions()
    disruptor = Disruptor(target, [Planned(60, "crash_session", 0)], "s1")
    disruptor.start(time.monotonic())
    disruptor.close()
    assert not target.calls
    assert not disruptor.log


def test_one_that_never_started_can_be_closed() -> None:
    Disruptor(FakeSessions(), [], "s1").close()


def test_a_mistake_in_the_target_is_raised_by_close_and_what_was_broken_repaired() -> None:
    target = FakeSessions()
    target.end_fails = [ZeroDivisionError("a mistake")]
    disruptor = Disruptor(target, [Planned(0, "kill_process", 0)], "s1")
    disruptor.start(time.monotonic())
    assert target.broken.wait(PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        disruptor.close()
    assert target.calls == [("begin", "kill_process")] + [("end", "kill_process")] * 2
