"""What fault injection does to supervisors and actors."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import NoProc, introspect
from locshare.actors.lowlevel import Incarnation, fail_init, fill_mailbox, post
from locshare.actors.testing import crash
from locshare.supervisor import (
    AnySpec,
    ChildNotFound,
    Report,
    RestartBudgetExceeded,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.lowlevel import at_each_launch, child_of, set_budget
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import static


async def test_a_child_is_found_by_its_id_and_its_ref() -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([probe("a", journal), probe("b", journal)])) as sup:
        a, b = running(sup, "a"), running(sup, "b")
        assert child_of(sup, "b", None).ref is b
        assert child_of(sup, "a", a).ref is a
        for id_, ref in (("unknown", None), ("a", b), ("unknown", a)):
            with pytest.raises(ChildNotFound):
                child_of(sup, id_, ref)


async def test_a_dead_supervisor_has_no_children() -> None:
    inner = SupervisorSpec([probe("a", TreeJournal())]).child("inner", restart="temporary")
    async with open_supervisor(SupervisorSpec([inner])) as root:
        sup = static(root.child("inner"))
        await sup.stop()
        with pytest.raises(NoProc):
            child_of(sup, "a", None)


@pytest.mark.parametrize("kind", ["actor", "task"])
async def test_each_further_life_can_be_made_to_fail(kind: str) -> None:
    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep_forever()

    reports: list[Report] = []
    child: AnySpec = probe("a", TreeJournal()) if kind == "actor" else TaskSpec("a", serve)
    async with open_supervisor(SupervisorSpec([child], report=reports.append)) as sup:
        fails = [OSError(), OSError()]

        def fail(incarnation: Incarnation) -> None:
            if fails:
                fail_init(incarnation, fails.pop())
            else:
                at_each_launch(child_of(sup, "a", None), None)

        at_each_launch(child_of(sup, "a", None), fail)
        ref = sup.child("a")
        assert ref is not None
        introspect.kill(ref)
        await wait_all_tasks_blocked()
        assert [report.kind for report in reports] == ["crash", "start_failed", "start_failed"]
        assert [type(report.exception) for report in reports[1:]] == [OSError, OSError]
        again = child_of(sup, "a", None)
        assert again.ref is not None
        assert again.on_launch is None


async def test_a_budget_can_be_taken_away() -> None:
    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec([probe("a", TreeJournal())])) as sup:
            await crash(running(sup, "a"))
            assert sup.alive
            set_budget(sup, 1, 100.0)
            await crash(running(sup, "a"))

    with pytest.raises(RestartBudgetExceeded):
        await scenario()


async def test_a_budget_can_be_given_another_time() -> None:
    async with open_supervisor(SupervisorSpec([probe("a", TreeJournal())], max_restarts=1)) as sup:
        set_budget(sup, 1, 1.0)
        for _ in range(3):
            await crash(running(sup, "a"))
            assert sup.alive
            await trio.sleep(1.1)


async def test_a_mailbox_can_be_filled_and_written_to_past_its_bound() -> None:
    journal = TreeJournal()
    async with open_supervisor(SupervisorSpec([probe("a", journal)])) as sup:
        ref = running(sup, "a")
        await introspect.suspend(ref)
        ref.cast("one")
        assert fill_mailbox(ref) == 1023
        assert fill_mailbox(ref) == 0
        post(ref, "news")
        ref.cast("lost")
        assert introspect.statistics(ref).waiting == 1025
        assert introspect.statistics(ref).dropped == 1
        await introspect.resume(ref)
        await wait_all_tasks_blocked()
        assert journal.lines == ["init a", "a cast one", "a info news"]
        assert fill_mailbox(sup) == 0  # it has no bound
