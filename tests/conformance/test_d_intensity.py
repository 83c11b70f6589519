"""D. Restart intensity and escalation: statements 24 to 31."""

import subprocess
import sys

import pytest
import trio

from locshare.actors import SHUTDOWN
from locshare.supervisor import (
    DynamicSpec,
    RestartBudgetExceeded,
    SupervisorRef,
    SupervisorSpec,
    open_supervisor,
    run_root,
)
from tests.conformance.children import (
    Boom,
    Crash_,
    Finish,
    Journal,
    Script,
    at,
    crash,
    doomed,
    dynamic,
    finish,
    probe,
    settle,
    static,
)


def group(journal: Journal, *names: str, **options: float) -> SupervisorSpec:
    return SupervisorSpec(
        [probe(name, journal) for name in names],
        report=journal.reports.append,
        **options,  # type: ignore[arg-type]  # budgets only
    )


async def crash_at(sup: SupervisorRef, began: float, *instants: float) -> None:
    for instant in instants:
        await trio.sleep_until(began + instant)
        await crash(at(sup, "a"))


async def test_s24_the_budget_is_shared_by_all_children(journal: Journal) -> None:
    async with doomed(group(journal, "a", "b", "c", "d")) as sup:
        for name in "abc":
            await crash(at(sup, name))
        assert sup.alive
        await crash(at(sup, "d"))


@pytest.mark.parametrize("budget", [0, 1, 3])
async def test_s25_more_than_r_trips(journal: Journal, budget: int) -> None:
    async with doomed(group(journal, "a", max_restarts=budget)) as sup:
        for _ in range(budget):
            await crash(at(sup, "a"))
            assert at(sup, "a").alive
        at(sup, "a").cast(Crash_())
    assert journal.lines.count("init a") == 1 + budget


async def test_s26_window_is_inclusive(journal: Journal) -> None:
    async with doomed(group(journal, "a")) as sup:
        await crash_at(sup, trio.current_time(), 0, 1, 2, 5)


async def test_s26_an_older_restart_no_longer_counts(journal: Journal) -> None:
    async with open_supervisor(group(journal, "a")) as sup:
        await crash_at(sup, trio.current_time(), 0, 1, 2, 5.001)
        assert at(sup, "a").alive


async def test_s27_what_is_not_counted(journal: Journal) -> None:
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
        await finish(at(sup, "transient"))
        await crash(at(sup, "temporary"))
        assert sup.alive


async def test_s27_failed_attempts_are_counted(journal: Journal) -> None:
    script = Script()
    spec = SupervisorSpec(
        [probe("a", journal, script)], max_restarts=3, report=journal.reports.append
    )
    async with doomed(spec) as sup:
        script.init_errors = [Boom(), Boom(), None]
        await crash(at(sup, "a"))
        assert at(sup, "a").alive  # three attempts, two failed: the budget is used up
        assert sup.which_children()[0].restarts == 3
        at(sup, "a").cast(Crash_())


async def test_s27_a_group_restart_counts_once(journal: Journal) -> None:
    spec = SupervisorSpec(
        [probe(name, journal) for name in "abc"],
        strategy="one_for_all",
        max_restarts=1,
        report=journal.reports.append,
    )
    async with open_supervisor(spec) as sup:
        await crash(at(sup, "b"))
        assert sup.alive


async def test_s28_when_it_trips_the_others_stop_in_reverse_and_the_reason_is_shutdown(
    journal: Journal,
) -> None:
    inner = group(journal, "a", "b", "c", max_restarts=0)
    outer = SupervisorSpec([inner.child("inner", restart="temporary")])
    async with open_supervisor(outer) as sup:
        middle = static(sup.child("inner"))
        victim = at(middle, "b")
        journal.take()
        victim.cast(Crash_())
        assert await middle.wait_exit() == SHUTDOWN
        assert journal.take() == [
            *("terminate b", "ended b"),
            *("terminate c", "ended c", "terminate a", "ended a"),
        ]


@pytest.mark.parametrize(("restart", "again"), [("permanent", True), ("transient", False)])
async def test_s29_the_parent_decides_by_the_supervisors_own_restart_type(
    journal: Journal, restart: str, again: bool
) -> None:
    inner = group(journal, "a", max_restarts=0)
    outer = SupervisorSpec([inner.child("inner", restart=restart)])  # type: ignore[arg-type]
    async with open_supervisor(outer) as sup:
        await crash(at(static(sup.child("inner")), "a"))
        [info] = sup.which_children()
        assert (info.ref is not None) is again
        assert info.restarts == (1 if again else 0)


async def test_s30_a_restarted_supervisor_begins_with_an_empty_window_and_its_static_children(
    journal: Journal,
) -> None:
    inner = group(journal, "a", max_restarts=1)
    outer = SupervisorSpec([inner.child("inner"), DynamicSpec(max_restarts=0).child("pool")])
    async with open_supervisor(outer) as sup:
        middle = static(sup.child("inner"))
        await middle.start_child(probe("added", journal))
        await crash(at(middle, "a"))
        await crash(at(middle, "a"))
        renewed = static(sup.child("inner"))
        assert renewed is not middle
        assert [info.id for info in renewed.which_children()] == ["a"]
        await crash(at(renewed, "a"))  # one restart is allowed again
        assert sup.child("inner") is renewed

        pool = dynamic(sup.child("pool"))
        await crash(await pool.start_actor(probe("x", journal)))
        assert dynamic(sup.child("pool")).which_children() == ()


async def test_s31_a_permanent_child_that_keeps_ending_normally_trips_the_budget(
    journal: Journal,
) -> None:
    async with doomed(group(journal, "a")) as sup:
        for _ in range(4):
            at(sup, "a").cast(Finish())
            await settle()
    assert journal.kinds() == ["gave_up"]


async def test_s31_the_root_ends_with_the_last_crash_as_the_cause(journal: Journal) -> None:
    boom = Boom("the last straw")
    inner = SupervisorSpec([probe("a", journal)], max_restarts=0, report=journal.reports.append)
    outer = SupervisorSpec([inner.child("inner")], max_restarts=0, report=journal.reports.append)

    async def scenario() -> None:
        async with open_supervisor(outer) as sup:
            at(static(sup.child("inner")), "a").cast(Crash_(boom))
            await trio.sleep_forever()

    with pytest.raises(RestartBudgetExceeded) as caught:
        await scenario()
    assert caught.value.__cause__ is boom


async def test_s31_a_root_that_was_asked_to_stop_returns(journal: Journal) -> None:
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
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "RestartBudgetExceeded" in ended.stderr
    assert "RuntimeError: the last straw" in ended.stderr
