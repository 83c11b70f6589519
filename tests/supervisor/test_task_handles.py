"""Task handles and bounded maps over the task supervisor."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    CallToSelf,
    Crash,
    Exited,
    ExitReason,
    NoProc,
    Shutdown,
)
from locshare.actors.testing import no_leaks
from locshare.supervisor import (
    BadSpec,
    ChildSpec,
    DynamicSpec,
    MaxChildren,
    Report,
    SupervisorSpec,
    TaskHandle,
    TaskMap,
    TaskSupervisor,
    TaskSupervisorRef,
    open_supervisor,
)


@asynccontextmanager
async def task_supervisor(
    max_children: int | None = None, reports: list[Report] | None = None
) -> AsyncIterator[TaskSupervisorRef]:
    spec = DynamicSpec(max_children=max_children)
    child = ChildSpec("tasks", TaskSupervisor, (spec,), type="supervisor")
    hook = (reports if reports is not None else []).append
    async with no_leaks(), open_supervisor(SupervisorSpec([child], report=hook)) as root:
        ref = root.child("tasks")
        assert isinstance(ref, TaskSupervisorRef)
        yield ref


class Work:
    """A function to map: each number takes as many seconds; it records what runs."""

    def __init__(self, *, failing: int | None = None) -> None:
        self.failing = failing
        self.running: set[int] = set()
        self.most = 0
        self.started: list[int] = []
        self.cancelled: list[int] = []

    async def __call__(self, number: int) -> str:
        self.started.append(number)
        self.running.add(number)
        self.most = max(self.most, len(self.running))
        try:
            await trio.sleep(number)
            if number == self.failing:
                raise ValueError
        except trio.Cancelled:
            self.cancelled.append(number)
            raise
        finally:
            self.running.discard(number)
        return f"result {number}"


async def failing() -> None:
    raise ValueError


async def take(results: TaskMap[int, str], into: list[str] | None = None) -> list[str]:
    """Take all results of a map."""
    taken = [] if into is None else into
    async with results:
        async for each in results:
            taken.append(each)
    return taken


# -- handles -----------------------------------------------------------------------------------


async def test_a_handle_gives_the_result_as_often_as_it_is_asked() -> None:
    async with task_supervisor() as tasks:
        handle = await tasks.start(Work(), 3)
        assert (handle.done, await handle.result(), handle.done) == (False, "result 3", True)
        assert trio.current_time() == pytest.approx(3)
        assert await handle.result() == "result 3"
        assert await handle.wait() == NORMAL


async def test_the_crash_of_a_task_is_the_cause_where_its_result_is_awaited() -> None:
    reports: list[Report] = []
    async with task_supervisor(reports=reports) as tasks:
        handle = await tasks.start(failing)
        with pytest.raises(Exited) as caught:
            await handle.result()
        assert isinstance(caught.value.__cause__, ValueError)
        assert isinstance(await handle.wait(), Crash)
    assert [report.kind for report in reports] == ["crash"]


async def test_a_cancelled_task_ends_killed() -> None:
    work = Work()
    async with task_supervisor() as tasks:
        handle = await tasks.start(work, 1000)
        await wait_all_tasks_blocked()
        handle.cancel()
        assert await handle.wait() == KILLED
        assert work.cancelled == [1000]
        handle.cancel()  # idempotent
        with pytest.raises(Exited) as caught:
            await handle.result()
        assert caught.value.reason == KILLED


async def test_a_stop_with_a_reason_is_what_the_awaiting_task_sees() -> None:
    async with task_supervisor() as tasks:
        handle = await tasks.start(trio.sleep_forever)
        await handle.ref.stop(Shutdown("enough"))
        with pytest.raises(Exited) as caught:
            await handle.result()
        assert caught.value.reason == Shutdown("enough")


async def test_cancelling_the_wait_leaves_the_task_alone() -> None:
    async with task_supervisor() as tasks:
        handle = await tasks.start(Work(), 10)
        with trio.move_on_after(1):
            await handle.result()
        assert trio.current_time() == pytest.approx(1)
        assert await handle.result() == "result 10"


async def test_a_task_cannot_await_its_own_result() -> None:
    async with task_supervisor() as tasks:
        handles: list[TaskHandle[Any]] = []
        ready = trio.Event()

        async def selfish() -> None:
            await ready.wait()
            await handles[0].result()

        handles.append(await tasks.start(selfish))
        ready.set()
        with pytest.raises(Exited) as caught:
            await handles[0].result()
        assert isinstance(caught.value.__cause__, CallToSelf)


async def test_a_task_ends_with_its_supervisor() -> None:
    async with task_supervisor() as tasks:
        handle = await tasks.start(trio.sleep_forever)
    assert await handle.wait() == SHUTDOWN


# -- maps --------------------------------------------------------------------------------------


async def test_results_come_in_the_order_of_the_items() -> None:
    async with task_supervisor() as tasks, tasks.map(Work(), [3, 1, 2], limit=3) as results:
        assert [each async for each in results] == ["result 3", "result 1", "result 2"]
        assert trio.current_time() == pytest.approx(3)


async def test_unordered_results_come_as_they_are_finished() -> None:
    async with (
        task_supervisor() as tasks,
        tasks.map(Work(), [3, 1, 2], limit=3, ordered=False) as results,
    ):
        assert [each async for each in results] == ["result 1", "result 2", "result 3"]
        assert trio.current_time() == pytest.approx(3)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_no_more_tasks_run_than_the_limit_allows(
    limit: int,
    ordered: bool,
) -> None:
    work = Work()
    async with (
        task_supervisor() as tasks,
        tasks.map(work, [1] * 10, limit=limit, ordered=ordered) as results,
    ):
        assert [each async for each in results] == ["result 1"] * 10
    assert len(work.started) == 10
    assert trio.current_time() == pytest.approx(-(-10 // limit))


async def test_unordered_slots_are_refilled_one_by_one() -> None:
    work = Work()
    async with (
        task_supervisor() as tasks,
        tasks.map(work, [5, 1, 2, 3], limit=2, ordered=False) as results,
    ):
        assert [each async for each in results] == [f"result {n}" for n in (1, 2, 5, 3)]
    assert work.most == 2
    assert trio.current_time() == pytest.approx(6)


async def test_a_result_that_was_not_taken_counts_towards_the_limit() -> None:
    work = Work()
    async with task_supervisor() as tasks, tasks.map(work, [0] * 9, limit=2) as results:
        async for _ in results:
            await wait_all_tasks_blocked()  # everything that may run has run
            assert len(work.started) <= 3
            break


async def test_items_are_read_only_as_tasks_are_started() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        while True:
            read.append(0)
            yield 0

    async with task_supervisor() as tasks, tasks.map(Work(), items(), limit=3) as results:
        assert read == []
        async for _ in results:
            break
        assert len(read) == 3


async def test_a_map_over_nothing_gives_nothing() -> None:
    async with task_supervisor() as tasks:
        assert await take(tasks.map(Work(), [], limit=1)) == []


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_crash_in_one_ends_the_map_at_once_and_kills_the_others(
    ordered: bool,
) -> None:
    work = Work(failing=1)
    async with task_supervisor() as tasks:
        with pytest.raises(Exited) as caught:
            await take(tasks.map(work, [100, 1, 50], limit=3, ordered=ordered))
        assert isinstance(caught.value.__cause__, ValueError)
        assert trio.current_time() == pytest.approx(1)
        assert sorted(work.cancelled) == [50, 100]
        assert tasks.count_children().active == 0


async def test_results_before_the_crash_are_given() -> None:
    seen: list[str] = []
    async with task_supervisor() as tasks:
        with pytest.raises(Exited):
            await take(tasks.map(Work(failing=2), [1, 2, 3], limit=3), seen)
    assert seen == ["result 1"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_leaving_the_block_early_ends_every_task(
    ordered: bool,
) -> None:
    work = Work()
    async with task_supervisor() as tasks:
        async with tasks.map(work, [1, 10, 20], limit=3, ordered=ordered) as results:
            async for each in results:
                assert each == "result 1"
                break
        assert work.running == set()
        assert sorted(work.cancelled) == [10, 20]
        assert tasks.count_children().active == 0


async def test_leaving_the_block_waits_for_tasks_that_clean_up() -> None:
    cleaned: list[float] = []

    async def slow_to_leave(_number: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            cleaned.append(trio.current_time())

    async with task_supervisor() as tasks:
        with trio.move_on_after(1):
            async with tasks.map(slow_to_leave, [1, 2], limit=2) as results:
                async for _ in results:
                    raise AssertionError
        assert cleaned == [pytest.approx(3)] * 2


async def test_a_cancelled_map_leaves_no_task() -> None:
    work = Work()
    async with task_supervisor() as tasks:
        with trio.move_on_after(1) as scope:
            async with tasks.map(work, range(10, 20), limit=4) as results:
                async for _ in results:
                    raise AssertionError
        assert scope.cancelled_caught
        assert sorted(work.cancelled) == [10, 11, 12, 13]
        assert tasks.count_children().active == 0


async def test_a_map_that_is_cancelled_before_its_first_start_starts_nothing() -> None:
    work = Work()
    async with task_supervisor() as tasks:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with tasks.map(work, [1], limit=1) as results:
                async for _ in results:
                    raise AssertionError
        await wait_all_tasks_blocked()
        assert work.started == []


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_cancelled_wait_for_one_result_loses_neither_item_nor_result(
    ordered: bool,
) -> None:
    """Cancelled after each number of steps that it may take."""
    numbers = [0, 0, 1, 0, 2]
    for steps in range(12):
        taken: list[str] = []

        async def take_one(
            results: TaskMap[int, str], scope: trio.CancelScope, taken: list[str]
        ) -> None:
            with scope:
                taken.append(await anext(results))

        async with (
            task_supervisor() as tasks,
            tasks.map(Work(), numbers, limit=2, ordered=ordered) as results,
        ):
            async with trio.open_nursery() as nursery:
                scope = trio.CancelScope()
                nursery.start_soon(take_one, results, scope, taken)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
            with trio.move_on_after(60):
                taken += [each async for each in results]
        wanted = [f"result {number}" for number in numbers]
        assert taken == wanted if ordered else sorted(taken) == sorted(wanted)


async def test_the_error_of_the_body_leaves_the_block_and_ends_the_tasks() -> None:
    work = Work()

    async def body(tasks: TaskSupervisorRef) -> None:
        async with tasks.map(work, [0, 1000], limit=2) as results:
            async for _ in results:
                raise KeyError

    async with task_supervisor() as tasks:
        with pytest.raises(KeyError):
            await body(tasks)
        assert work.cancelled == [1000]


async def test_a_stop_of_the_supervisor_ends_a_map_that_waits() -> None:
    reasons: list[ExitReason] = []

    async def consume(tasks: TaskSupervisorRef) -> None:
        with pytest.raises(Exited) as caught:
            await take(tasks.map(Work(), [100, 200], limit=2))
        reasons.append(caught.value.reason)

    async with task_supervisor() as tasks, trio.open_nursery() as nursery:
        nursery.start_soon(consume, tasks)
        await wait_all_tasks_blocked()
        await tasks.stop()
        with pytest.raises(NoProc):
            await take(tasks.map(Work(), [1], limit=1))
    assert reasons == [SHUTDOWN]


async def test_a_bounded_supervisor_bounds_a_map_too() -> None:
    work = Work()
    async with task_supervisor(max_children=1) as tasks:
        with pytest.raises(MaxChildren):
            await take(tasks.map(work, [100, 200], limit=2))
        assert work.cancelled in ([], [100])
        assert tasks.count_children().active == 0


async def test_the_tasks_of_a_map_may_map() -> None:
    async with task_supervisor() as tasks:

        async def inner(number: int) -> list[str]:
            async with tasks.map(Work(), [number], limit=1) as results:
                return [each async for each in results]

        async with tasks.map(inner, [1, 2], limit=2) as results:
            assert [each async for each in results] == [["result 1"], ["result 2"]]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((None, [1], 1), "async_fn"),
        ((failing, 3, 1), "items"),
        ((failing, [1], 0), "limit"),
        ((failing, [1], 1.5), "limit"),
        ((failing, [1], None), "limit"),
        ((failing, [1], True), "limit"),
    ],
)
async def test_a_bad_argument_of_a_map_is_refused(arguments: Any, field: str) -> None:
    async with task_supervisor() as tasks:
        function, items, limit = arguments
        with pytest.raises(BadSpec) as caught:
            tasks.map(function, items, limit=limit)
        assert caught.value.field == field
