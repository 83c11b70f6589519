"""What a run breaks, and what it says of it: clients that the driver drops itself, and a target
whose network is cut by what stands before it.
"""

import threading
from collections.abc import Sequence
from itertools import pairwise

import pytest

from bench import disruptions
from bench.disruptions import Done
from bench.driver.fault_injection import KINDS, FaultInjection, _counted_since
from bench.driver.measure import measure
from bench.driver.recovery import EXCUSED, Recovery
from bench.network.proxied import behind_proxy
from bench.results import DisruptionKind, Run
from bench.scenarios import SCENARIOS
from locshare.client.backoff import Backoff
from tests.bench.misbehaving_server import NullObserver, misbehaving_server, plan
from tests.running import LAST_RESORT_S, given_more_time

CUT_S = 0.6
FIFTH_S = Backoff().initial_s * Backoff().factor ** 4
"""The longest wait of somebody whom a cut of 3 s has refused four times."""


def make_hasty(monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """A run of seconds has room for the two that any target has."""
    monkeypatch.setitem(disruptions.LASTS_S, "cut_network", CUT_S * times)
    monkeypatch.setitem(disruptions.ROOM_S, "cut_network", 3.0 * times)
    monkeypatch.setitem(disruptions.ROOM_S, "drop_clients", 2.0 * times)


def broken(run: Run) -> list[DisruptionKind]:
    return [each.kind for each in run.disruptions]


@given_more_time
def test_clients_reconnect_after_a_drop_and_after_a_cut_network(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hasty(monkeypatch, times)
    with misbehaving_server() as server, behind_proxy(server) as target:
        run = measure(
            target,
            plan((5, 5), duration_s=5, disruptions=True, times=times),
            NullObserver(),
            via=target.via,
        )
    assert broken(run) == ["drop_clients", "cut_network"]
    dropped, cut = run.disruptions
    assert dropped.detail == "20% of the connections cut"
    assert cut.detail == "10 connections reset, new ones refused"
    assert run.connections == 10 + 2 + 10
    for each in (dropped, cut):
        assert each.recovery_s is not None
        assert 0 < each.recovery_s < 3 * times
    assert (run.disconnects, run.refused, run.stale_pairs) == (0, 0, 0)  # all are excused
    assert not any("too short" in each for each in run.remarks)


@pytest.mark.parametrize("kind", KINDS)
def test_recovery_counts_from_the_end_where_nobody_can_recover_before_it(
    kind: DisruptionKind,
) -> None:
    held_up = kind in ("pause_process", "cut_network", "limit_descriptors")
    assert _counted_since(Done(kind, 1.0, None, "")) == (None if held_up else 1.0)
    assert _counted_since(Done(kind, 1.0, 4.0, "")) == (4.0 if held_up else 1.0)


@given_more_time
def test_a_description_that_is_known_late_is_in_the_results(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hasty(monkeypatch, times)
    monkeypatch.setitem(disruptions.ROOM_S, "crash_session", 2.0 * times)
    followed = threading.Event()
    watch = FaultInjection._watch

    def noted(
        self: FaultInjection, kind: DisruptionKind, detail: str, began: float, since: float
    ) -> Recovery:
        if kind == "crash_session":
            followed.set()
        return watch(self, kind, detail, began, since)

    def crash(kind: DisruptionKind, session_id: str) -> str:
        assert followed.wait(LAST_RESORT_S)
        return f"{kind} of {session_id}"

    monkeypatch.setattr(FaultInjection, "_watch", noted)

    with misbehaving_server() as server:
        monkeypatch.setattr(server, "can", lambda kind: kind == "crash_session")
        monkeypatch.setattr(server, "begin", crash)
        monkeypatch.setattr(server, "end", lambda kind: None)
        run = measure(server, plan(duration_s=5, disruptions=True, times=times), NullObserver())
    assert broken(run) == ["drop_clients", "crash_session"]
    assert run.disruptions[1].detail.startswith("crash_session of ")


@given_more_time
def test_kinds_that_a_run_has_no_time_for_are_remarked(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hasty(monkeypatch, times)
    with misbehaving_server() as server, behind_proxy(server) as target:
        run = measure(
            target,
            plan(duration_s=2.5, disruptions=True, times=times),
            NullObserver(),
            via=target.via,
        )
    assert broken(run) == ["drop_clients"]
    assert "the run was too short for cut_network" in run.remarks


@given_more_time
def test_nothing_is_disrupted_unless_the_plan_asks_for_it(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hasty(monkeypatch, times)
    with misbehaving_server() as server, behind_proxy(server) as target:
        run = measure(target, plan(duration_s=2.5, times=times), NullObserver(), via=target.via)
    assert run.disruptions == ()
    assert run.remarks == ()


@pytest.mark.parametrize("missing", [(), ("crash_session",)])
def test_connections_settle_between_two_disruptions_that_end_them(
    missing: Sequence[DisruptionKind],
) -> None:
    kinds = [each for each in KINDS if each not in missing]
    (size,) = SCENARIOS["faults"].short_sizes
    for seed in range(50):
        planned = disruptions.planned(kinds, size.duration_s, seed=seed)
        losses = [each for each in planned if each.kind in EXCUSED]
        for each, following in pairwise(losses):
            waits_s = Backoff().initial_s if each.kind == "drop_clients" else FIFTH_S
            back_s = each.at_s + each.lasts_s + waits_s
            assert following.at_s - back_s > Backoff().reset_after_s


def test_every_kind_has_its_turn_and_a_kill_the_last() -> None:
    assert set(KINDS) == set(disruptions.ROOM_S) == set(disruptions.LASTS_S)
    assert KINDS[-1] == "kill_process"


def test_the_short_form_has_room_for_every_kind() -> None:
    for size in (*SCENARIOS["faults"].short_sizes, *SCENARIOS["faults"].sizes):
        plan = disruptions.planned(KINDS, size.duration_s, seed=1)
        assert {each.kind for each in plan} == set(KINDS)
