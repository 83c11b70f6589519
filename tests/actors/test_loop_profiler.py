"""Which task has held the loop, and for how long."""

import pytest
import trio
import trio.testing

from locshare.actors import loop_profiler
from locshare.actors.loop_profiler import TaskProfiler


async def test_time_is_counted_for_the_task_that_works_and_that_of_the_dead_for_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 100.0

    def work(seconds: float) -> None:
        nonlocal clock
        clock += seconds

    monkeypatch.setattr(loop_profiler, "perf_counter", lambda: clock)
    times = TaskProfiler()
    trio.lowlevel.add_instrument(times)
    tasks: dict[str, trio.lowlevel.Task] = {}

    async def worker(name: str, seconds: float, then: trio.Event) -> None:
        tasks[name] = trio.lowlevel.current_task()
        for _ in range(2):
            await trio.lowlevel.checkpoint()
            work(seconds)
        await then.wait()

    try:
        async with trio.open_nursery() as nursery:
            go, stay = trio.Event(), trio.Event()
            here = trio.lowlevel.current_task()
            nursery.start_soon(worker, "busy", 0.02, go)
            nursery.start_soon(worker, "idle", 0.0, stay)
            await trio.testing.wait_all_tasks_blocked()
            assert times.of(tasks["busy"]) == pytest.approx(0.04)
            assert times.of(tasks["idle"]) == 0
            before = times.of(here)
            assert times.below(here) >= times.of(tasks["busy"])
            longest = times.take_longest()
            assert longest is not None
            assert longest.task.endswith("worker")
            assert longest.seconds == pytest.approx(0.02)
            go.set()
            await trio.testing.wait_all_tasks_blocked()
            assert times.of(tasks["busy"]) == 0.0, "nothing is kept of a task that has ended"
            assert times.of(here) >= before + 0.039, "what it took is its parent's"
            stay.set()
    finally:
        trio.lowlevel.remove_instrument(times)
