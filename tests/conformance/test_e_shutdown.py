"""E. Shutdown: statements 32 to 38."""

from typing import Any

import pytest
import trio

from locshare.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Actor,
    CallTimeout,
    Crash,
    NoProc,
    open_actor_nursery,
)
from locshare.actors.testing import Boom, Probe, Raise, Script, Sleep, finish, settle
from locshare.supervisor import (
    BRUTAL_KILL,
    INFINITY,
    AnySpec,
    ChildSpec,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import REPEATS


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s32_children_are_stopped_in_reverse_one_after_the_other(
    journal: TreeJournal, repeat: int
) -> None:
    slow = Script(terminate_seconds=1)
    names = [str(number) for number in range(6)]
    async with open_supervisor(SupervisorSpec([probe(n, journal, slow) for n in names])):
        journal.take()
    assert journal.take() == [
        line for n in reversed(names) for line in (f"terminate {n}", f"ended {n}")
    ]


async def test_s33_a_graceful_stop_finishes_the_current_message_and_terminates(
    journal: TreeJournal,
) -> None:
    async with (
        open_supervisor(SupervisorSpec([probe("a", journal)])) as sup,
        trio.open_nursery() as n,
    ):
        ref = running(sup, "a")
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await ref.call(Sleep(2, "done")))

        n.start_soon(ask)
        await settle()
        await sup.terminate_child("a")
        assert answers == ["done"]
        assert ref.exit_reason == SHUTDOWN
        assert journal.take()[-2:] == ["terminate a", "ended a"]


@pytest.mark.parametrize("late", ["handler", "terminate"])
async def test_s33_past_its_timeout_it_is_killed_reported_once_and_the_next_one_follows(
    journal: TreeJournal, late: str
) -> None:
    script = Script(terminate_seconds=99 if late == "terminate" else 0)
    children = [probe("a", journal), probe("b", journal, script, shutdown=3.0)]
    spec = SupervisorSpec(children, report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        a, b = running(sup, "a"), running(sup, "b")
        if late == "handler":
            with trio.move_on_after(1):
                await b.call(Sleep(99))
        began = trio.current_time()
        await sup.stop()
        assert trio.current_time() - began == 3.0
        assert (b.exit_reason, a.exit_reason) == (KILLED, SHUTDOWN)
        [report] = journal.reports
        assert (report.kind, report.child_id, report.reason) == ("stop_failed", "b", KILLED)


async def test_s34_a_brutal_kill_does_not_terminate(journal: TreeJournal) -> None:
    spec = SupervisorSpec(
        [probe("a", journal, shutdown=BRUTAL_KILL)], report=journal.reports.append
    )
    async with open_supervisor(spec) as sup:
        ref = running(sup, "a")
    assert ref.exit_reason == KILLED
    assert journal.lines == ["init a"]
    assert journal.reports == []


async def test_s35_an_unexpected_end_while_being_stopped_is_reported_and_the_rest_stop(
    journal: TreeJournal,
) -> None:
    children = [probe("a", journal), probe("b", journal, Script(terminate_error=Boom()))]
    spec = SupervisorSpec(children, report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        refs = [running(sup, "a"), running(sup, "b")]
    assert [type(ref.exit_reason) for ref in refs] == [type(SHUTDOWN), Crash]
    [report] = journal.reports
    assert (report.kind, report.child_id) == ("stop_failed", "b")


async def test_s36_a_sibling_that_crashes_while_it_waits_its_turn_stays_dead(
    journal: TreeJournal,
) -> None:
    children = [probe("a", journal), probe("b", journal, Script(terminate_seconds=2))]
    spec = SupervisorSpec(children, report=journal.reports.append)
    async with trio.open_nursery() as nursery, open_supervisor(spec) as sup:
        a = running(sup, "a")
        nursery.start_soon(sup.stop)
        await trio.sleep(1)
        a.cast(Raise())
        await a.wait_exit()
        await sup.wait_exit()
        assert journal.lines.count("init a") == 1
        assert journal.kinds() == ["crash"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_s36_a_stop_in_the_middle_of_a_restart_is_obeyed(
    journal: TreeJournal, strategy: Any
) -> None:
    script = Script()
    children = [probe("a", journal), probe("b", journal, script), probe("c", journal)]
    spec = SupervisorSpec(children, strategy=strategy, report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        script.init_seconds = 1000
        began = trio.current_time()
        running(sup, "b").cast(Raise())
        await trio.sleep(1)
        assert sup.which_children()[1].state == "restarting"
        await sup.stop()
        assert trio.current_time() - began == 1
        assert journal.kinds() == ["crash"]


async def test_s36_a_stop_in_the_middle_of_the_boot_is_obeyed(journal: TreeJournal) -> None:
    inner = SupervisorSpec([probe("b", journal), probe("c", journal, Script(init_seconds=1000))])
    spec = SupervisorSpec([probe("a", journal), inner.child("inner")])
    with trio.move_on_after(1) as scope:
        async with open_supervisor(spec):
            raise AssertionError("it cannot have come up")
    assert scope.cancelled_caught
    assert journal.lines == [
        *("init a", "init b", "init c"),
        *("terminate b", "ended b", "terminate a", "ended a"),
    ]


async def test_s37_a_child_that_never_answers_costs_no_more_than_its_timeout(
    journal: TreeJournal,
) -> None:
    async def ignore(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        while True:
            with trio.move_on_after(99, shield=True):  # ends, but only much later
                await trio.sleep(4)
            await trio.sleep(1)

    class Silent(Actor):
        def init(self) -> None:
            self.spawn(trio.sleep_forever)

        async def handle_cast(self, message: Any) -> None:
            await trio.sleep_forever()

    children: list[AnySpec] = [
        TaskSpec("task", ignore, shutdown=1.0),
        ChildSpec("silent", Silent, shutdown=2.0),
    ]
    async with open_supervisor(SupervisorSpec(children, report=journal.reports.append)) as sup:
        running(sup, "silent").cast("get busy")
        await settle()
        began = trio.current_time()
    assert (
        trio.current_time() - began == 4.0
    )  # two for the first; the other was late, and ended without it
    assert [report.child_id for report in journal.reports] == ["silent", "task"]


async def test_s37_infinity_waits_as_long_as_it_takes(journal: TreeJournal) -> None:
    script = Script(terminate_seconds=100_000)
    async with open_supervisor(SupervisorSpec([probe("a", journal, script, shutdown=INFINITY)])):
        began = trio.current_time()
    assert trio.current_time() - began == 100_000
    assert journal.lines[-1] == "ended a"


async def test_s38_stop_returns_after_the_death_with_the_reason(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal, Script(terminate_seconds=1)))
        assert await ref.stop() == SHUTDOWN
        assert not ref.alive
        with pytest.raises(NoProc):
            await ref.stop()
        other = await actors.start(Probe("b", journal))
        assert await other.stop(NORMAL) == NORMAL
        crashing = await actors.start(Probe("c", journal, Script(terminate_error=Boom())))
        assert isinstance(await crashing.stop(), Crash)


async def test_s38_stop_that_takes_too_long_raises_and_kills_nothing(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        with trio.move_on_after(1):
            await ref.call(Sleep(10))
        with pytest.raises(CallTimeout):
            await ref.stop(timeout=2)
        assert ref.alive
        assert await ref.wait_exit() == SHUTDOWN  # the request stands


async def test_stop_overtakes_the_backlog(journal: TreeJournal) -> None:
    """The choice OTP leaves open: what waited is dropped, or failed, at once."""
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        for number in range(5):
            ref.cast(number)
        assert await ref.stop() == SHUTDOWN
        assert not any("cast" in line for line in journal.lines)
        await finish(await actors.start(Probe("b", journal)))
