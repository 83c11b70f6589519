"""That a supervisor gave up is never lost, whatever overtakes it (statement 31); and which error
leaves a tree when there are several.
"""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import SHUTDOWN, Actor, ActorDown, StartError
from locshare.actors.introspect import kill
from locshare.actors.testing import Boom, Echo, Raise, Script
from locshare.supervisor import (
    Backoff,
    ChildSpec,
    RestartBudgetExceeded,
    RootFailed,
    SupervisorSpec,
    open_supervisor,
    run_root,
)
from locshare.supervisor.testing import TreeJournal, probe
from tests.supervisor.fatal_kit import PLACES, Culprit, World, go_on, ignore, open_tree

#: Places at which an ordinary crash wants a restart.
RESTARTED = [
    "cast",
    "continue",
    "timer",
    "batch",
    "helper",
    "call that the block awaits",
    "terminate, after a crash",
    "helper that is cancelled after a crash",
]


@pytest.mark.parametrize("then", ["waits", "leaves", "is cancelled"])
@pytest.mark.parametrize("depth", ["root", "nested", "dynamic"])
@pytest.mark.parametrize("where", RESTARTED)
async def test_that_a_supervisor_gave_up_is_never_lost(where: str, depth: str, then: str) -> None:
    error = LookupError()
    world = World(error)

    async def scenario() -> None:
        with trio.CancelScope() as outer:
            spec = SupervisorSpec(report=ignore, max_restarts=0)
            async with open_supervisor(spec) as root:
                await open_tree(depth, world, root, 0)
                await go_on(then, PLACES[where](world), outer)

    with pytest.raises(RestartBudgetExceeded) as caught:
        await scenario()
    assert isinstance(caught.value.__cause__, LookupError | Boom)


@pytest.mark.parametrize("error", [LookupError(), SystemExit(3)], ids=["crash", "exit"])
async def test_nothing_is_lost_when_the_first_start_is_cancelled(error: BaseException) -> None:
    world = World(error)
    spec = SupervisorSpec(
        [
            ChildSpec("culprit", Culprit, (world,)),
            probe("slow", world.journal, Script(init_seconds=1000)),
        ],
        max_restarts=0,
        report=ignore,
    )

    async def scenario() -> None:
        with trio.CancelScope() as outer:
            async with trio.open_nursery() as nursery:

                async def interrupt() -> None:
                    await trio.sleep(1)
                    world.armed.add("cast")
                    world.culprit.cast("go")
                    await world.culprit.wait_exit()
                    outer.cancel()

                nursery.start_soon(interrupt)
                await run_root(spec)

    with pytest.raises(BaseExceptionGroup) as caught:
        await scenario()
    [left] = caught.value.exceptions
    assert left is error if isinstance(error, SystemExit) else left.__cause__ is error


@pytest.mark.parametrize("then", ["waits", "leaves"])
@pytest.mark.parametrize("what", ["transient supervisor", "child with back-off", "temporary"])
async def test_what_would_not_have_spent_the_budget_is_no_reason_to_give_up(
    what: str, then: str
) -> None:
    world = World(LookupError())
    async with open_supervisor(SupervisorSpec(report=ignore, max_restarts=0)) as root:
        match what:
            case "transient supervisor":
                inner = SupervisorSpec([ChildSpec("culprit", Culprit, (world,))], max_restarts=0)
                await root.start_child(inner.child("inner", restart="transient"))
            case "child with back-off":
                await root.start_child(ChildSpec("a", Culprit, (world,), backoff=Backoff()))
            case "temporary":
                await root.start_child(ChildSpec("a", Culprit, (world,), restart="temporary"))
        world.armed.add("cast")
        world.culprit.cast("go")
        await world.culprit.wait_exit()
        if then == "waits":
            await wait_all_tasks_blocked()
            assert root.alive
    assert root.exit_reason == SHUTDOWN


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_a_supervisor_that_gives_up_while_it_is_stopped_counts_if_it_had_been_restarted(
    restart: Any,
) -> None:
    journal = TreeJournal()
    inner = SupervisorSpec(
        [probe("a", journal), probe("slow", journal, Script(terminate_seconds=2))], max_restarts=0
    )
    spec = SupervisorSpec([inner.child("inner", restart=restart)], report=ignore, max_restarts=0)

    async def scenario() -> None:
        async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
            sup: Any = root.child("inner")
            a = sup.child("a")
            nursery.start_soon(sup.terminate_child, "slow")
            await wait_all_tasks_blocked()
            a.cast(Raise())  # its supervisor is busy, and then has to stop
            await a.wait_exit()
            nursery.start_soon(root.stop)

    if restart == "permanent":
        with pytest.raises(RestartBudgetExceeded):
            await scenario()
    else:
        await scenario()


async def test_a_crash_within_the_budget_is_no_reason_to_give_up_when_a_stop_overtakes_it() -> None:
    world = World(LookupError())
    async with open_supervisor(SupervisorSpec(report=ignore, max_restarts=1)) as root:
        await open_tree("root", world, root)
        world.armed.add("cast")
        world.culprit.cast("go")
        await world.culprit.wait_exit()


@pytest.mark.parametrize("repeat", range(8))
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_exits_that_one_round_settles_count_once_when_a_stop_overtakes_them(
    strategy: Any, repeat: int
) -> None:
    journal = TreeJournal()
    spec = SupervisorSpec(
        [probe("a", journal), probe("b", journal)],
        strategy=strategy,
        max_restarts=1,
        report=ignore,
    )
    ended: list[str] = []
    gave_up = False
    try:
        async with open_supervisor(spec) as root:
            refs: list[Any] = [root.child("a"), root.child("b")]
            for ref in refs:  # both in one turn of the loop, which Trio runs in either order
                ref.monitor(lambda down: ended.append(down.ref.name))
                ref.cast(Raise())
            await refs[-1].wait_exit()
    except RestartBudgetExceeded:
        gave_up = True
    # The restart of "a" settles "b" too, and not the other way round.
    rounds = {"one_for_one": 2, "one_for_all": 1, "rest_for_one": 1 if ended[0] == "a" else 2}
    assert gave_up is (rounds[strategy] > 1)


# -- which error leaves ----------------------------------------------------------------------


async def test_the_error_of_the_tree_goes_before_its_echo_in_the_block() -> None:
    world = World(LookupError())

    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec(report=ignore, max_restarts=0)) as root:
            await open_tree("root", world, root)
            world.armed.add("call")
            try:
                await world.culprit.call(Echo())
            except ActorDown as echo:
                raise ValueError("what now?") from echo

    with pytest.raises(RestartBudgetExceeded) as caught:
        await scenario()
    assert isinstance(caught.value.__cause__, LookupError)
    assert isinstance(caught.value.__context__, ValueError)


async def test_the_blocks_own_error_leaves_a_tree_that_ended_well() -> None:
    world = World(Boom())

    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec(report=ignore)) as root:
            await open_tree("root", world, root)
            world.armed.add("terminate")  # reported, and no more than that
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await scenario()


async def test_sys_exit_in_the_block_goes_before_a_tree_that_gave_up() -> None:
    world = World(Boom())

    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec(report=ignore, max_restarts=0)) as root:
            await open_tree("root", world, root)
            world.armed.add("cast")
            world.culprit.cast("go")
            await world.culprit.wait_exit()
            raise SystemExit(7)

    with pytest.raises(SystemExit) as caught:
        await scenario()
    assert caught.value.code == 7


async def test_a_start_that_fails_goes_before_a_cancellation() -> None:
    journal = TreeJournal()

    async def scenario() -> None:
        with trio.CancelScope() as outer:

            class Failing(Actor):
                async def init(self) -> None:
                    outer.cancel()
                    raise Boom

            spec = SupervisorSpec([probe("a", journal), ChildSpec("b", Failing)])
            async with open_supervisor(spec):
                raise AssertionError

    with pytest.raises(StartError):
        await scenario()
    assert journal.lines == ["init a", "terminate a", "ended a"]


async def test_a_root_that_is_killed_says_so() -> None:
    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec()) as root:
            kill(root)
            await trio.sleep_forever()

    with pytest.raises(RootFailed, match=r"^the root supervisor ended: killed$"):
        await scenario()
