"""Thousands of restarts leave nothing: no task, monitor, name, timer or byte."""

import gc
import tracemalloc
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import Actor, Registry
from locshare.actors.clock import current_clock
from locshare.supervisor import ChildSpec, DynamicSpec, Report, SupervisorSpec, open_supervisor

ROUNDS = 3_000


class Fragile(Actor):
    def init(self) -> None:
        self.send_after(1000, "later")
        self.monitor(None)

    def handle_cast(self, message: Any) -> None:
        raise RuntimeError

    def handle_info(self, message: Any) -> None:
        pass


def forget(report: Report) -> None:
    """A hook that keeps nothing."""


async def test_restarts_leave_nothing_behind() -> None:
    names: Registry[str] = Registry()
    fragile = ChildSpec("a", Fragile, register=names.name("a"))
    spec = SupervisorSpec([fragile], max_restarts=10**9, report=forget)
    async with open_supervisor(spec) as sup:

        async def restart(times: int) -> None:
            for _ in range(times):
                ref = names.lookup("a")
                assert ref is not None
                ref.cast("crash")
                await ref.wait_exit()
                await wait_all_tasks_blocked()

        await restart(300)
        gc.collect()
        tasks = trio.lowlevel.current_statistics().tasks_living
        tracemalloc.start()
        try:
            await restart(100)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            await restart(ROUNDS)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert len(names) == 1
        assert current_clock().pending() == 1
        # The instants of the restart window are kept on purpose: 5 s of them.
        kept = len(sup._overseer()._window._instants)
        assert after - before - kept * 40 < 20_000


async def test_dynamic_children_leave_nothing_behind() -> None:
    spec = SupervisorSpec([DynamicSpec(max_restarts=10**9).child("pool")], report=forget)
    async with open_supervisor(spec) as sup:
        pool: Any = sup.child("pool")

        async def come_and_go(times: int) -> None:
            for number in range(times):
                ref = await pool.start_actor(ChildSpec("x", Fragile, restart="temporary"))
                if number % 2:
                    await pool.terminate_child(ref)
                else:
                    ref.cast("crash")
                    await ref.wait_exit()
            await wait_all_tasks_blocked()

        await come_and_go(1000)  # the clock's heap keeps a bounded number of disarmed entries
        gc.collect()
        tasks = trio.lowlevel.current_statistics().tasks_living
        objects = len(gc.get_objects())
        await come_and_go(2000)
        gc.collect()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert len(gc.get_objects()) - objects < 1000  # one object for every second child
        assert pool.which_children() == ()
