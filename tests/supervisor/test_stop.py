"""Stopping a supervisor: for as long as its children take, or until a deadline that kills them."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import KILLED, SHUTDOWN, CallTimeout, CallToSelf, Registry
from locshare.actors.introspect import kill
from locshare.actors.testing import Boom, Probe, Raise, Run, Script, Sleep
from locshare.supervisor import (
    INFINITY,
    ChildSpec,
    DynamicSpec,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import REPEATS, dynamic

KINDS = ["static", "dynamic", "nested"]


async def tree(kind: str, journal: TreeJournal, root: Any, script: Script) -> Any:
    """A supervisor below ``root`` with two children, one of which takes as long as it likes."""
    children = [
        probe("a", journal, shutdown=1000.0),
        probe("slow", journal, script, shutdown=1000.0),
    ]
    if kind == "dynamic":
        pool = dynamic(await root.start_child(DynamicSpec().child("sup", restart="temporary")))
        for child in children:
            await pool.start_child(child)
        return pool
    spec = SupervisorSpec(children)
    if kind == "nested":
        spec = SupervisorSpec([spec.child("inner")])
    return await root.start_child(spec.child("sup", restart="temporary"))


@pytest.mark.parametrize("kind", KINDS)
async def test_stop_waits_as_long_as_the_children_take(kind: str) -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec(report=journal.reports.append)) as root:
        sup = await tree(kind, journal, root, Script(terminate_seconds=8))
        began = trio.current_time()
        assert await sup.stop() == SHUTDOWN
        assert trio.current_time() == began + 8
    assert {"ended slow", "ended a"} <= set(journal.lines)
    assert journal.reports == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stop_with_a_deadline_kills_what_still_runs(kind: str) -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec(report=journal.reports.append)) as root:
        sup = await tree(kind, journal, root, Script(terminate_seconds=100))
        began = trio.current_time()
        assert await sup.stop(timeout=5) is KILLED
        assert trio.current_time() == began + 5
        assert sup.exit_reason is KILLED
    assert "ended slow" not in journal.lines


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_holds_after_the_caller_is_cancelled(kind: str) -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec()) as root:
        sup = await tree(kind, journal, root, Script(terminate_seconds=100))
        began = trio.current_time()
        with trio.move_on_after(1):
            await sup.stop(timeout=5)
        assert await sup.wait_exit() is KILLED
        assert trio.current_time() == began + 5


@pytest.mark.parametrize("timeouts", [(100.0, 5.0), (5.0, 100.0), (5.0, INFINITY)])
async def test_of_several_deadlines_the_shortest_holds(timeouts: tuple[float, float]) -> None:
    async with open_supervisor(SupervisorSpec()) as root:
        sup = await tree("static", TreeJournal(), root, Script(terminate_seconds=1000))
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for timeout in timeouts:
                nursery.start_soon(sup.stop, SHUTDOWN, timeout)
        assert sup.exit_reason is KILLED
        assert trio.current_time() == began + 5


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_deadline_holds_in_the_middle_of_a_round(strategy: Any) -> None:
    """The stop waits behind a handler, here one that waits for a slow child's end."""
    journal = TreeJournal()
    spec = SupervisorSpec(
        [
            probe("a", journal),
            probe("slow", journal, Script(terminate_seconds=100), shutdown=1000.0),
        ],
        strategy=strategy,
    )
    async with open_supervisor(SupervisorSpec([spec.child("sup", restart="temporary")])) as root:
        sup: Any = root.child("sup")
        running(sup, "a").cast(Raise(Boom()))
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert await sup.stop(timeout=5) is KILLED
        assert trio.current_time() == began + 5


@pytest.mark.parametrize("kind", KINDS)
async def test_a_child_that_ignores_the_kill_is_reported_and_awaited(kind: str) -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec(report=journal.reports.append)) as root:
        script = Script(shields=True)
        sup = await tree(kind, journal, root, script)
        inner = sup.child("inner") if kind == "nested" else sup
        ref: Any = next(info.ref for info in inner.which_children() if info.id == "slow")
        began = trio.current_time()
        with trio.move_on_after(1):
            await ref.call(Sleep(31))
        with pytest.raises(CallTimeout):
            await sup.stop(timeout=5)
        assert trio.current_time() == began + 11
        await wait_all_tasks_blocked()
        assert {report.child_id for report in journal.reports} >= {"slow"}
        stuck = [report.child_id for report in journal.reports if report.kind == "stuck"]
        assert sorted(stuck) == sorted(set(stuck))
        assert await sup.wait_exit() is KILLED
        assert trio.current_time() == began + 31


@pytest.mark.parametrize("repeat", REPEATS)
async def test_a_deadline_that_cuts_terminate_short_is_a_death_and_no_timeout(repeat: int) -> None:
    """Both come in the same instant; which was seen was left to the scheduler."""
    journal = TreeJournal()
    child = probe("a", journal, Script(terminate_seconds=100), restart="temporary")
    async with open_supervisor(SupervisorSpec([child])) as sup:
        assert await running(sup, "a").stop(timeout=2) is KILLED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["stop of the supervisor", "stop of the root", "terminate"])
async def test_a_handler_that_would_wait_for_its_own_end_is_refused(kind: str, what: str) -> None:
    """With an infinite shutdown time the two would wait for each other forever."""
    refused: list[str] = []
    async with open_supervisor(SupervisorSpec()) as root:
        sup = await tree(kind, TreeJournal(), root, Script())
        sup = sup.child("inner") if kind == "nested" else sup
        ref = await sup.start_child(ChildSpec("below", Probe, shutdown=INFINITY))

        async def work() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)

        async def wait() -> None:
            try:
                await (root if what == "stop of the root" else sup).stop()
            except CallToSelf as error:
                refused.append(str(error))

        async def terminate() -> None:
            try:
                await sup.terminate_child(ref if kind == "dynamic" else "below")
            except CallToSelf as error:
                refused.append(str(error))

        ref.cast(Run(lambda _actor: terminate() if what == "terminate" else work()))
        await wait_all_tasks_blocked()
        assert len(refused) == 1
        assert root.alive
        assert ref.alive


@pytest.mark.parametrize("waiting", ["task", "helper"])
async def test_a_task_or_a_helper_may_stop_the_tree_that_it_is_in(waiting: str) -> None:
    async with open_supervisor(SupervisorSpec()) as root:
        if waiting == "task":
            await root.start_child(TaskSpec("t", root.stop, handshake=False))
        else:
            ref: Any = await root.start_child(ChildSpec("below", Probe, shutdown=INFINITY))
            ref.cast(Run(lambda actor: actor.spawn(root.stop)))
        await root.wait_exit()
    assert root.exit_reason == SHUTDOWN


@pytest.mark.parametrize("shutdown", [0.0, 1.0])
async def test_a_supervisor_that_gives_up_kills_its_children_when_its_time_has_passed(
    shutdown: float,
) -> None:
    journal = TreeJournal()
    names: Registry[str] = Registry()
    spec = SupervisorSpec(
        [
            probe("a", journal),
            probe("slow", journal, Script(terminate_seconds=100), shutdown=1000.0),
        ],
        max_restarts=0,
    )
    inner = spec.child("sup", restart="temporary", shutdown=shutdown, register=names.name("sup"))
    async with open_supervisor(SupervisorSpec([inner])) as root:
        sup: Any = root.child("sup")
        began = trio.current_time()
        running(sup, "a").cast(Raise(Boom()))
        assert await sup.wait_exit() is KILLED
        assert trio.current_time() == began + shutdown
        assert names.lookup("sup") is None


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_a_child_that_ignores_the_kill_of_its_supervisor_is_reported_after_five_seconds(
    kind: str,
) -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec(report=journal.reports.append)) as root:
        sup = await tree(kind, journal, root, Script(shields=True))
        ref: Any = next(info.ref for info in sup.which_children() if info.id == "slow")
        with trio.move_on_after(1):
            await ref.call(Sleep(31))
        kill(sup)
        await trio.sleep(4.9)
        assert "stuck" not in journal.kinds()
        await trio.sleep(0.2)
        assert [(r.child_id, r.kind) for r in journal.reports][-1:] == [("slow", "stuck")]
        assert await sup.wait_exit() is KILLED
