"""Plain tasks as children, and the task supervisor."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    SHUTDOWN,
    Exited,
    Ref,
    Shutdown,
    StartError,
)
from locshare.supervisor import (
    AnySpec,
    ChildSpec,
    Report,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    TaskSupervisor,
    TaskSupervisorRef,
    open_supervisor,
)
from tests.conformance.kit import REPEATS
from tests.running import LAST_RESORT_S


def running(sup: SupervisorRef, name: str) -> Ref:
    ref = sup.child(name)
    assert ref is not None
    return ref


def tasks(sup: SupervisorRef) -> TaskSupervisorRef:
    ref = sup.child("tasks")
    assert isinstance(ref, TaskSupervisorRef)
    return ref


TASKS = ChildSpec("tasks", TaskSupervisor, type="supervisor")


async def test_a_task_hands_out_its_value_and_the_next_child_starts_after_it() -> None:
    order: list[str] = []

    async def listen(port: int, *, task_status: trio.TaskStatus[int]) -> None:
        await trio.sleep(1)
        order.append("listening")
        task_status.started(port + 1)
        await trio.sleep_forever()

    async def after(*, task_status: trio.TaskStatus[None]) -> None:
        order.append("after")
        task_status.started()
        await trio.sleep_forever()

    spec = SupervisorSpec([TaskSpec("listen", listen, (8080,)), TaskSpec("after", after)])
    async with open_supervisor(spec) as sup:
        ref = running(sup, "listen")
        assert ref.value == 8081
        assert order == ["listening", "after"]
    assert ref.exit_reason == SHUTDOWN


async def test_a_task_may_clean_up_within_its_shutdown_time() -> None:
    done: list[float] = []

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            done.append(trio.current_time())

    async with open_supervisor(SupervisorSpec([TaskSpec("serve", serve)])) as sup:
        began = trio.current_time()
        ref = running(sup, "serve")
        assert await ref.stop(Shutdown("drain")) == Shutdown("drain")
        assert done == [began + 3]


@pytest.mark.parametrize("how", ["returns", "raises"])
async def test_a_task_that_ends_before_it_started_is_a_failed_start(how: str) -> None:
    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        if how == "raises":
            raise OSError("port taken")

    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec([TaskSpec("never", never)])):
            raise AssertionError

    with pytest.raises(StartError) as caught:
        await scenario()
    assert caught.value.child == "never"
    assert isinstance(caught.value.__cause__, OSError if how == "raises" else StartError)


async def test_started_twice_is_an_error() -> None:
    async def twice(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        task_status.started()

    reports: list[Report] = []
    spec = SupervisorSpec([TaskSpec("t", twice, restart="temporary")], report=reports.append)
    async with open_supervisor(spec):
        await wait_all_tasks_blocked()
    assert isinstance(reports[0].exception, RuntimeError)


async def test_a_task_without_handshake_is_restarted_like_any_child() -> None:
    runs: list[float] = []

    async def tick() -> None:
        runs.append(trio.current_time())
        await trio.sleep(10)

    async with open_supervisor(SupervisorSpec([TaskSpec("tick", tick, handshake=False)])):
        await trio.sleep(25)
        assert len(runs) == 3


async def test_run_returns_the_result_and_tells_of_a_crash() -> None:
    async def double(number: int) -> int:
        await trio.sleep(1)
        return number * 2

    async def fail() -> None:
        raise KeyError("x")

    reports: list[Report] = []
    async with open_supervisor(SupervisorSpec([TASKS], report=reports.append)) as sup:
        pool = tasks(sup)
        assert await pool.run(double, 21) == 42
        with pytest.raises(Exited) as caught:
            await pool.run(fail)
        assert isinstance(caught.value.__cause__, KeyError)
        assert [report.kind for report in reports] == ["crash"]
        assert pool.count_children().specs == 0


async def test_cancelling_run_stops_the_task() -> None:
    async with open_supervisor(SupervisorSpec([TASKS])) as sup:
        pool = tasks(sup)
        with trio.move_on_after(1):
            await pool.run(trio.sleep, 100)
        await wait_all_tasks_blocked()
        assert pool.count_children().specs == 0


async def test_run_that_is_cancelled_at_once_leaves_no_task() -> None:
    async with open_supervisor(SupervisorSpec([TASKS])) as sup:
        with trio.CancelScope() as scope:
            scope.cancel()
            await tasks(sup).run(trio.sleep_forever)
        await wait_all_tasks_blocked()
        assert tasks(sup).count_children().specs == 0


@pytest.mark.parametrize("repeat", REPEATS)
@pytest.mark.parametrize("place", ["below", "before", "after"])
async def test_a_task_that_runs_others_is_stopped_with_the_tree(place: str, repeat: int) -> None:
    """It waited, shielded, for a start by a supervisor that waited for it."""
    ran = 0
    full = trio.Event()
    pools: list[TaskSupervisorRef] = []

    async def leaf() -> None:
        nonlocal ran
        ran += 1
        if ran == 10 + repeat:
            full.set()

    async def loop() -> None:
        await found.wait()
        while True:
            await pools[0].run(leaf)

    found = trio.Event()
    other = TaskSpec("other", loop, handshake=False)
    children: dict[str, list[AnySpec]] = {
        "below": [TASKS],
        "before": [other, TASKS],
        "after": [TASKS, other],
    }
    with trio.fail_after(LAST_RESORT_S):
        async with open_supervisor(SupervisorSpec(children[place])) as sup:
            pools.append(tasks(sup))
            found.set()
            if place == "below":
                await tasks(sup).start(loop)
            await full.wait()
    assert sup.exit_reason == SHUTDOWN


async def test_run_can_be_cancelled_while_its_supervisor_stops() -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)

    ran: list[str] = []

    async def leaf() -> None:
        ran.append("leaf")
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec([TASKS])) as sup, trio.open_nursery() as nursery:
        pool = tasks(sup)
        await pool.start(stubborn)
        began = trio.current_time()
        nursery.start_soon(sup.terminate_child, "tasks")
        await trio.sleep(1)
        with trio.move_on_after(0.25) as scope:
            await pool.run(leaf)
        assert scope.cancelled_caught
        assert trio.current_time() - began == 1.25
    assert ran == []


async def test_a_child_is_called_by_its_id() -> None:
    """In its ref, and in the name of its Trio task."""

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        names.append(trio.lowlevel.current_task().name)
        task_status.started()
        await trio.sleep_forever()

    names: list[str] = []
    spec = SupervisorSpec([TaskSpec("the task", serve), TASKS])
    async with open_supervisor(spec) as sup:
        ref = running(sup, "the task")
        assert ref.name == "the task"
        assert names == [f"the task#{ref.serial}"]
        assert running(sup, "tasks").name == "tasks"
        assert (await tasks(sup).start(trio.sleep_forever)).ref.name == "sleep_forever"
