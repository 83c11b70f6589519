"""F. Dynamic supervisors: statements 39 to 44."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from locshare.actors import KILLED, SHUTDOWN, StartError, open_actor_nursery
from locshare.actors.introspect import kill
from locshare.actors.lowlevel import actor_incarnation_of
from locshare.actors.testing import Boom, Echo, Probe, Raise, Script, finish, settle
from locshare.supervisor import (
    ChildCounts,
    ChildNotFound,
    DynamicSpec,
    DynamicSupervisorRef,
    MaxChildren,
    SupervisorSpec,
    open_supervisor,
)
from locshare.supervisor.testing import TreeJournal, probe
from tests.conformance.kit import dynamic


@asynccontextmanager
async def pool_of(journal: TreeJournal, spec: DynamicSpec) -> AsyncIterator[DynamicSupervisorRef]:
    root = SupervisorSpec([spec.child("pool")], report=journal.reports.append)
    async with open_supervisor(root) as sup:
        yield dynamic(sup.child("pool"))


async def test_s39_max_children_refuses_and_starts_nothing(journal: TreeJournal) -> None:
    async with pool_of(journal, DynamicSpec(max_children=2)) as pool:
        first = await pool.start_actor(probe("a", journal))
        await pool.start_actor(probe("b", journal))
        journal.take()
        with pytest.raises(MaxChildren):
            await pool.start_child(probe("c", journal))
        assert journal.take() == []
        await pool.terminate_child(first)
        await pool.start_child(probe("c", journal))


async def test_s39_none_at_all_is_legal(journal: TreeJournal) -> None:
    async with pool_of(journal, DynamicSpec(max_children=0)) as pool:
        with pytest.raises(MaxChildren):
            await pool.start_child(probe("a", journal))


async def test_s39_children_that_start_or_restart_count(journal: TreeJournal) -> None:
    script = Script(init_seconds=5)
    async with (
        pool_of(journal, DynamicSpec(max_children=1)) as pool,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(pool.start_child, probe("a", journal, script))
        await trio.sleep(1)
        with pytest.raises(MaxChildren):
            await pool.start_child(probe("b", journal))
        await trio.sleep(5)
        [info] = pool.which_children()
        assert info.state == "running"
        assert info.ref is not None
        kill(info.ref)
        await trio.sleep(1)
        assert pool.which_children()[0].state == "restarting"
        with pytest.raises(MaxChildren):
            await pool.start_child(probe("b", journal))


async def test_s40_start_child_returns_after_init(journal: TreeJournal) -> None:
    async with pool_of(journal, DynamicSpec()) as pool:
        began = trio.current_time()
        ref = await pool.start_actor(probe("a", journal, Script(init_seconds=3)))
        assert trio.current_time() - began == 3
        assert await ref.call(Echo(1)) == 1


async def test_s40_a_failed_init_goes_to_the_caller_and_affects_no_other_child(
    journal: TreeJournal,
) -> None:
    async with pool_of(journal, DynamicSpec(max_restarts=0)) as pool:
        other = await pool.start_actor(probe("a", journal))
        boom = Boom()
        with pytest.raises(StartError) as caught:
            await pool.start_child(probe("b", journal, Script(init_error=boom)))
        assert caught.value.__cause__ is boom
        assert pool.alive
        assert await other.call(Echo(1)) == 1
        assert pool.count_children().specs == 1
        assert journal.reports == []


async def test_s40_a_slow_init_delays_no_other_child(journal: TreeJournal) -> None:
    """The choice OTP leaves open: starts run concurrently."""
    async with pool_of(journal, DynamicSpec()) as pool, trio.open_nursery() as nursery:
        began = trio.current_time()
        for name in "abc":
            nursery.start_soon(pool.start_child, probe(name, journal, Script(init_seconds=4)))
        await trio.sleep(1)
        await pool.start_child(probe("quick", journal))
        assert trio.current_time() - began == 1
        await trio.sleep(3)
        await settle()
        assert pool.count_children().active == 4


async def test_s41_count_and_which_children(journal: TreeJournal) -> None:
    script = Script()
    async with pool_of(journal, DynamicSpec(max_restarts=100)) as pool:
        await pool.start_child(probe("a", journal))
        await pool.start_child(SupervisorSpec().child("s"))
        flaky = await pool.start_actor(probe("b", journal, script))
        assert pool.count_children() == ChildCounts(3, 3, 1, 2)
        script.init_seconds = 5
        flaky.cast(Raise())
        await trio.sleep(1)
        assert pool.count_children() == ChildCounts(specs=3, active=2, supervisors=1, workers=2)
        infos = {info.id: info for info in pool.which_children()}
        assert (infos["b"].state, infos["b"].ref) == ("restarting", None)
        assert infos["s"].type == "supervisor"


async def test_s42_terminate_child_by_ref(journal: TreeJournal) -> None:
    async with pool_of(journal, DynamicSpec()) as pool, open_actor_nursery() as actors:
        ref = await pool.start_actor(probe("a", journal))
        stranger = await actors.start(Probe("stranger", journal))
        await pool.terminate_child(ref)
        assert ref.exit_reason == SHUTDOWN
        assert pool.count_children().specs == 0
        with pytest.raises(ChildNotFound):
            await pool.terminate_child(ref)
        with pytest.raises(ChildNotFound):
            await pool.terminate_child(stranger)
        assert stranger.alive


async def test_s42_on_a_restarting_child_it_calls_off_the_restart(journal: TreeJournal) -> None:
    script = Script()
    async with pool_of(journal, DynamicSpec(max_restarts=1000)) as pool:
        ref = await pool.start_actor(probe("a", journal, script))
        script.init_error = Boom()
        ref.cast(Raise())
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert pool.which_children()[0].state == "restarting"
        await pool.terminate_child(ref)
        assert pool.which_children() == ()
        script.init_error = None
        await settle()
        assert pool.which_children() == ()


async def test_s43_all_children_are_stopped_at_once(journal: TreeJournal) -> None:
    async with open_supervisor(SupervisorSpec([DynamicSpec().child("pool")])) as sup:
        pool = dynamic(sup.child("pool"))
        for seconds in (3, 1, 4, 2):
            script = Script(terminate_seconds=seconds)
            await pool.start_child(probe(str(seconds), journal, script))
        journal.take()
        began = trio.current_time()
    assert trio.current_time() - began == 4
    assert journal.take()[4:] == ["ended 1", "ended 2", "ended 3", "ended 4"]


async def test_s43_each_has_its_own_timer(journal: TreeJournal) -> None:
    async with pool_of(journal, DynamicSpec()) as pool:
        refs = [
            await pool.start_actor(
                probe(str(limit), journal, Script(terminate_seconds=10), shutdown=limit)
            )
            for limit in (20.0, 1.0, 3.0)
        ]
        ends: list[tuple[str, float]] = []
        began = trio.current_time()
        for ref in refs:
            ref.monitor(lambda down: ends.append((down.ref.name, trio.current_time() - began)))
        await pool.stop(timeout=60)
        assert ends == [("1.0", 1), ("3.0", 3), ("20.0", 10)]
        assert [ref.exit_reason for ref in refs] == [SHUTDOWN, KILLED, KILLED]


async def test_s44_temporary_children_leave_nothing(journal: TreeJournal) -> None:
    async with pool_of(journal, DynamicSpec()) as pool:

        async def round_of(count: int) -> tuple[int, int]:
            for _ in range(count):
                await finish(await pool.start_actor(probe("t", journal, restart="temporary")))
            journal.take()
            gc.collect()
            probes = sum(isinstance(thing, Probe) for thing in gc.get_objects())
            return trio.lowlevel.current_statistics().tasks_living, probes

        assert await round_of(10) == await round_of(100)
        assert pool.which_children() == ()
        assert actor_incarnation_of(pool)._monitors is None
        assert pool._incarnation.clock.pending() == 0
