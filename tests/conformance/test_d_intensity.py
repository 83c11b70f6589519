"""D. Restart intensity and escalation: statements 24 to 31."""

import subprocess
import sys

import pytest
import trio

from locshare.actors import SHUTDOWN
from locshare.actors.testing import Boom, Finish, Raise, Script, crash, finish, settle
from locshare.supervisor import (
    DynamicSpec,
    RestartBudgetExceeded,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
    run_root,
)
from locshare.supervisor.testing import TreeJournal, gives_up, probe, running
from tests.conformance.kit import dynamic, static
from tests.running import LAST_RESORT_S


def group(journal: TreeJournal, *names: str, **options: float) -> SupervisorSpec:
    return SupervisorSpec(
        [probe(name, journal) for name in names],
        report=journal.reports.append,
        **options,  # type: ignore[arg-type]  # budgets only
    )


async def crash_at(sup: SupervisorRef, began: float, *instants: float) -> None:
    for instant in instants:
        await trio.sleep_until(began + instant)
        await crash(running(sup, "a"))


async def test_s24_the_budget_is_shared_by_all_children(journal: TreeJournal) -> None:
    async with gives_up(group(journal, "a", "b", "c", "d")) as sup:
        for name in "abc":
            await crash(running(sup, name))
        assert sup.alive
        await crash(running(sup, "d"))


@pytest.mark.parametrize("budget", [0, 1, 3])
async def test_s25_more_than_r_trips(journal: TreeJournal, budget: int) -> None:
    async with gives_up(group(journal, "a", max_restarts=budget)) as sup:
        for _ in range(budget):
            await crash(running(sup, "a"))
            assert running(sup, "a").alive
        running(sup, "a").cast(Raise())
    assert journal.lines.count("init a") == 1 + budget


async def test_s26_window_is_inclusive(journal: TreeJournal) -> None:
    async with gives_up(group(journal, "a")) as sup:
        await crash_at(sup, trio.current_time(), 0, 1, 2, 5)


async def test_s26_an_older_restart_no_longer_counts(journal: TreeJournal) -> None:
    async with open_supervisor(group(journal, "a")) as sup:
        await crash_at(sup, trio.current_time(), 0, 1, 2, 5.001)
        assert running(sup, "a").alive


async def test_s27_what_is_not_counted(journal: TreeJournal) -> None:
    spec = SupervisorSpec(
        [
            probe("permanent", journal),
            probe("transient", journal, restart="transient"),
            probe("temporary", journal, restart="temporary"),
        ],
        max_restarts=0,
        report=journal.reports.append,
    )
    async with open_supervisor(spec) as sup:
        await sup.start_child(probe("more", journal))
        await sup.terminate_child("permanent")
        await sup.restart_child("permanent")
        await finish(running(sup, "transient"))
        await crash(running(sup, "temporary"))
        assert sup.alive


async def test_s27_failed_attempts_are_counted(journal: TreeJournal) -> None:
    script = Script()
    spec = SupervisorSpec(
        [probe("a", journal, script)], max_restarts=3, report=journal.reports.append
    )
    async with gives_up(spec) as sup:
        script.init_errors = [Boom(), Boom(), None]
        await crash(running(sup, "a"))
        assert running(sup, "a").alive  # three attempts, two failed: the budget is used up
        assert sup.which_children()[0].restarts == 3
        running(sup, "a").cast(Raise())


async def test_s27_a_group_restart_counts_once(journal: TreeJournal) -> None:
    spec = SupervisorSpec(
        [probe(name, journal) for name in "abc"],
        strategy="one_for_all",
        max_restarts=1,
        report=journal.reports.append,
    )
    async with open_supervisor(spec) as sup:
        await crash(running(sup, "b"))
        assert sup.alive


async def test_s28_when_it_trips_the_others_stop_in_reverse_and_the_reason_is_shutdown(
    journal: TreeJournal,
) -> None:
    inner = group(journal, "a", "b", "c", max_restarts=0)
    outer = SupervisorSpec([inner.child("inner", restart="temporary")])
    async with open_supervisor(outer) as sup:
        middle = static(sup.child("inner"))
        victim = running(middle, "b")
        journal.take()
        victim.cast(Raise())
        assert await middle.wait_exit() == SHUTDOWN
        assert journal.take() == [
            *("terminate b", "ended b"),
            *("terminate c", "ended c", "terminate a", "ended a"),
        ]


@pytest.mark.parametrize(("restart", "again"), [("permanent", True), ("transient", False)])
async def test_s29_the_parent_decides_by_the_supervisors_own_restart_type(
    journal: TreeJournal, restart: str, again: bool
) -> None:
    inner = group(journal, "a", max_restarts=0)
    outer = SupervisorSpec([inner.child("inner", restart=restart)])  # type: ignore[arg-type]
    async with open_supervisor(outer) as sup:
        await crash(running(static(sup.child("inner")), "a"))
        [info] = sup.which_children()
        assert (info.ref is not None) is again
        assert info.restarts == (1 if again else 0)


async def test_s30_a_restarted_supervisor_begins_with_an_empty_window_and_its_static_children(
    journal: TreeJournal,
) -> None:
    inner = group(journal, "a", max_restarts=1)
    outer = SupervisorSpec([inner.child("inner"), DynamicSpec(max_restarts=0).child("pool")])
    async with open_supervisor(outer) as sup:
        middle = static(sup.child("inner"))
        await middle.start_child(probe("added", journal))
        await crash(running(middle, "a"))
        await crash(running(middle, "a"))
        renewed = static(sup.child("inner"))
        assert renewed is not middle
        assert [info.id for info in renewed.which_children()] == ["a"]
        await crash(running(renewed, "a"))  # one restart is allowed again
        assert sup.child("inner") is renewed

        pool = dynamic(sup.child("pool"))
        await crash(await pool.start_actor(probe("x", journal)))
        assert dynamic(sup.child("pool")).which_children() == ()


async def test_s31_a_permanent_child_that_keeps_ending_normally_trips_the_budget(
    journal: TreeJournal,
) -> None:
    async with gives_up(group(journal, "a")) as sup:
        for _ in range(4):
            running(sup, "a").cast(Finish())
            await settle()
    assert journal.kinds() == ["gave_up"]


async def test_s31_the_root_ends_with_the_last_crash_as_the_cause(journal: TreeJournal) -> None:
    boom = Boom("the last straw")
    inner = SupervisorSpec([probe("a", journal)], max_restarts=0, report=journal.reports.append)
    outer = SupervisorSpec([inner.child("inner")], max_restarts=0, report=journal.reports.append)

    async def scenario() -> None:
        async with open_supervisor(outer) as sup:
            running(static(sup.child("inner")), "a").cast(Raise(boom))
            await trio.sleep_forever()

    with pytest.raises(RestartBudgetExceeded) as caught:
        await scenario()
    assert caught.value.__cause__ is boom


async def test_s31_a_root_that_was_asked_to_stop_returns(journal: TreeJournal) -> None:
    async with trio.open_nursery() as nursery:
        sup: SupervisorRef = await nursery.start(run_root, group(journal, "a"))
        assert await sup.stop() == SHUTDOWN


def test_s31_a_program_whose_root_trips_ends_with_a_status_other_than_zero() -> None:
    program = """
import trio
from locshare.supervisor import SupervisorSpec, TaskSpec, run_root

async def fail(*, task_status):
    task_status.started()
    raise RuntimeError("the last straw")

trio.run(run_root, SupervisorSpec([TaskSpec("t", fail)], max_restarts=2))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
    )
    assert ended.returncode == 1
    assert "RestartBudgetExceeded" in ended.stderr
    assert "RuntimeError: the last straw" in ended.stderr
