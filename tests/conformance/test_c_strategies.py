"""C. Strategies: statements 16 to 23."""

from typing import Any

import pytest
import trio

from locshare.actors import Ref
from locshare.actors.testing import AddUp, Boom, Raise, Script, crash, finish, settle
from locshare.supervisor import (
    ChildRestarting,
    Strategy,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, gives_up, probe, running
from tests.conformance.kit import REPEATS


def three(
    journal: TreeJournal,
    strategy: Strategy,
    scripts: dict[str, Script] | None = None,
    **options: Any,
) -> SupervisorSpec:
    scripts = scripts or {}
    return SupervisorSpec(
        [probe(name, journal, scripts.get(name)) for name in "abc"],
        strategy=strategy,
        report=journal.reports.append,
        **options,
    )


def refs(sup: SupervisorRef) -> dict[str, Ref | None]:
    return {info.id: info.ref for info in sup.which_children()}


def states(sup: SupervisorRef) -> dict[str, str]:
    return {info.id: info.state for info in sup.which_children()}


async def test_s16_one_for_one_leaves_the_siblings_alone(journal: TreeJournal) -> None:
    async with open_supervisor(three(journal, "one_for_one")) as sup:
        await running(sup, "a").call(AddUp(7))
        before = refs(sup)
        await crash(running(sup, "b"))
        after = refs(sup)
        assert (after["a"], after["c"]) == (before["a"], before["c"])
        assert after["b"] is not before["b"]
        assert await running(sup, "a").call(AddUp(0)) == 7


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s17_one_for_all_stops_all_in_reverse_and_starts_all_in_order(
    journal: TreeJournal, repeat: int
) -> None:
    async with open_supervisor(three(journal, "one_for_all")) as sup:
        before = refs(sup)
        journal.take()
        await crash(running(sup, "b"))
        assert journal.take() == [
            *("terminate b", "ended b"),  # its own crash
            *("terminate c", "ended c", "terminate a", "ended a"),
            *("init a", "init b", "init c"),
        ]
        assert all(after is not before[name] for name, after in refs(sup).items())


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s18_rest_for_one_restarts_the_failed_one_and_those_after_it(
    journal: TreeJournal, repeat: int
) -> None:
    async with open_supervisor(three(journal, "rest_for_one")) as sup:
        before = refs(sup)
        journal.take()
        await crash(running(sup, "b"))
        assert journal.take() == [
            *("terminate b", "ended b", "terminate c", "ended c", "init b", "init c")
        ]
        assert refs(sup)["a"] is before["a"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_s19_a_temporary_sibling_is_stopped_and_its_spec_dropped(
    journal: TreeJournal, strategy: Strategy
) -> None:
    children = [probe("a", journal), probe("b", journal, restart="temporary")]
    spec = SupervisorSpec(children, strategy=strategy, report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        journal.take()
        await crash(running(sup, "a"))
        assert journal.take()[2:] == ["terminate b", "ended b", "init a"]
        assert list(refs(sup)) == ["a"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_s20_a_group_restart_also_starts_those_that_were_not_running(
    journal: TreeJournal, strategy: Strategy
) -> None:
    children = [
        probe("a", journal),
        probe("finished", journal, restart="transient"),
        probe("stopped", journal),
    ]
    spec = SupervisorSpec(children, strategy=strategy, report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        await finish(running(sup, "finished"))
        await sup.terminate_child("stopped")
        assert states(sup) == {"a": "running", "finished": "stopped", "stopped": "stopped"}
        await crash(running(sup, "a"))
        assert set(states(sup).values()) == {"running"}


async def test_s21_one_for_all_begins_anew_when_a_start_fails(journal: TreeJournal) -> None:
    script = Script()
    spec = three(journal, "one_for_all", {"b": script})
    async with open_supervisor(spec) as sup:
        journal.take()
        script.init_errors = [Boom()]
        await crash(running(sup, "c"))
        assert journal.take()[2:] == [
            *("terminate b", "ended b", "terminate a", "ended a"),
            *("init a", "init b"),  # b fails
            *("terminate a", "ended a"),
            *("init a", "init b", "init c"),
        ]
        assert journal.kinds() == ["crash", "start_failed"]


async def test_s21_rest_for_one_goes_on_from_the_failing_child(journal: TreeJournal) -> None:
    script = Script()
    spec = three(journal, "rest_for_one", {"b": script})
    async with open_supervisor(spec) as sup:
        journal.take()
        script.init_errors = [Boom(), Boom()]
        await crash(running(sup, "a"))
        assert journal.take()[2:] == [
            *("terminate c", "ended c", "terminate b", "ended b"),
            *("init a", "init b", "init b", "init b", "init c"),
        ]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one", "one_for_one"])
async def test_s21_each_failed_attempt_is_counted(journal: TreeJournal, strategy: Strategy) -> None:
    script = Script()
    async with gives_up(three(journal, strategy, {"b": script}, max_restarts=2)) as sup:
        script.init_error = Boom()
        await crash(running(sup, "b"))
    assert journal.kinds() == ["crash", "start_failed", "start_failed", "gave_up"]


async def test_s22_between_two_attempts_requests_are_served(journal: TreeJournal) -> None:
    script = Script()
    spec = three(journal, "one_for_one", {"b": script}, max_restarts=1000)
    async with open_supervisor(spec) as sup:
        script.init_error = Boom()
        running(sup, "b").cast(Raise())
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert states(sup)["b"] == "restarting"
        assert refs(sup)["b"] is None
        with pytest.raises(ChildRestarting):
            await sup.restart_child("b")
        with pytest.raises(ChildRestarting):
            await sup.delete_child("b")
        await sup.terminate_child("b")
        assert states(sup)["b"] == "stopped"
        script.init_error = None
        await settle()
        assert refs(sup)["b"] is None  # the pending restart was called off
        assert (await sup.restart_child("b")).alive


async def test_s22_between_two_attempts_it_can_be_stopped(journal: TreeJournal) -> None:
    script = Script()
    spec = three(journal, "one_for_one", {"b": script}, max_restarts=1000)
    async with open_supervisor(spec) as sup:
        script.init_error = Boom()
        running(sup, "b").cast(Raise())
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        journal.take()
        await sup.stop()
        assert [line for line in journal.take() if not line.startswith("init b")] == [
            *("terminate c", "ended c", "terminate a", "ended a")
        ]


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s23_two_that_die_together_cause_one_group_restart(
    journal: TreeJournal, repeat: int
) -> None:
    spec = three(journal, "one_for_all", max_restarts=1)
    async with open_supervisor(spec) as sup:
        journal.take()
        running(sup, "a").cast(Raise())
        running(sup, "b").cast(Raise())
        await settle()
        assert [line for line in journal.take() if line.startswith("init")] == [
            *("init a", "init b", "init c")
        ]
        assert journal.kinds() == ["crash", "crash"]


async def test_s23_under_one_for_one_they_use_two_units(journal: TreeJournal) -> None:
    async with gives_up(three(journal, "one_for_one", max_restarts=1)) as sup:
        running(sup, "a").cast(Raise())
        running(sup, "b").cast(Raise())
