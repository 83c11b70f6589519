"""KeyboardInterrupt and SystemExit are never lost, wherever they are raised in a tree
(statement 75).
"""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import Actor, ActorRef, ExitReason, open_actor_nursery
from locshare.actors.testing import Boom, Raise, Script
from locshare.supervisor import (
    ChildSpec,
    DynamicSupervisorRef,
    Report,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.supervisor.testing import probe
from tests.supervisor.fatal_kit import PLACES, Culprit, World, go_on, ignore, open_tree, terminate


@pytest.mark.parametrize("then", ["waits", "leaves", "is cancelled"])
@pytest.mark.parametrize("depth", ["root", "nested", "dynamic"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["SIGINT", "exit"])
@pytest.mark.parametrize("where", PLACES)
async def test_a_fatal_error_is_never_lost(
    where: str, error: BaseException, depth: str, then: str
) -> None:
    world = World(error)
    if where == "terminate, when the block leaves" and then == "waits":
        then = "leaves"  # or nothing happens
    supervisors: list[SupervisorRef] = []

    async def scenario() -> None:
        with trio.CancelScope() as outer:
            async with open_supervisor(SupervisorSpec(report=ignore)) as root:
                supervisors.append(root)
                await open_tree(depth, world, root)
                await go_on(then, PLACES[where](world), outer)

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - looked at below
        await scenario()
    assert caught.value is error
    assert not supervisors[0].alive
    # The others were stopped in order, once, and no child was started again.
    lines = [line for line in world.journal.lines if line.split()[1] in ("before", "after")]
    assert sorted(lines[2:]) == sorted(
        line for name in ("before", "after") for line in (f"terminate {name}", f"ended {name}")
    )
    if depth != "dynamic":
        assert lines[2:] == ["terminate after", "ended after", "terminate before", "ended before"]


@pytest.mark.parametrize("kind", ["crash", "stop_failed", "start_failed", "gave_up", "stuck"])
@pytest.mark.parametrize("depth", ["root", "nested", "dynamic"])
async def test_a_report_hook_may_end_the_program(depth: str, kind: str) -> None:
    """SystemExit in a hook stops the tree in order and leaves it; it broke the exit path."""
    error = SystemExit(3)
    world = World(Boom())

    def hook(report: Report) -> None:
        if report.kind == kind:
            raise error

    async def scenario() -> None:
        async with open_supervisor(SupervisorSpec(report=hook, max_restarts=2)) as root:
            await open_tree(depth, world, root, 2)
            match kind:
                case "stop_failed":
                    world.armed.add("terminate raises")
                    await terminate(world)
                case "start_failed":
                    world.armed.add("init")
                    world.culprit.cast("crash")
                case "gave_up":
                    for _ in range(3):
                        world.culprit.cast("crash")
                        await world.culprit.wait_exit()
                        await wait_all_tasks_blocked()
                case "stuck":
                    shielded = TaskSpec("stuck", shield, shutdown=1.0, handshake=False)
                    ref = await world.sup.start_child(shielded)
                    await wait_all_tasks_blocked()
                    dynamic = isinstance(world.sup, DynamicSupervisorRef)
                    await world.sup.terminate_child(ref if dynamic else "stuck")
                case _:
                    world.culprit.cast("crash")
            await trio.sleep_forever()

    with pytest.raises(SystemExit) as caught:
        await scenario()
    assert caught.value is error
    assert {"ended before", "ended after"} <= set(world.journal.lines)


async def shield() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(30)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["SIGINT", "exit"])
async def test_a_fatal_error_of_a_sibling_that_a_round_stops_is_not_lost(
    error: BaseException, strategy: Any
) -> None:
    world = World(error)
    spec = SupervisorSpec(
        [
            probe("a", world.journal),
            ChildSpec("culprit", Culprit, (world,)),
            probe("slow", world.journal, Script(terminate_seconds=1)),
        ],
        strategy=strategy,
        report=ignore,
    )

    async def scenario() -> None:
        async with open_supervisor(spec) as root:
            world.armed.add("terminate")
            ref = root.child("a")
            assert isinstance(ref, ActorRef)
            ref.cast(Raise())
            await trio.sleep_forever()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - looked at below
        await scenario()
    assert caught.value is error
    assert world.journal.lines.count("init a") == 1


@pytest.mark.parametrize("where", ["cast", "init", "terminate", "helper"])
async def test_a_fatal_error_in_a_host_leaves_it(where: str) -> None:
    error = SystemExit(3)
    world = World(error)
    ended: list[str] = []

    async def scenario() -> None:
        async with open_actor_nursery() as actors:
            other = await actors.start(Culprit(World(Boom())))
            other.monitor(lambda down: ended.append(str(down.reason)))
            world.armed.add(where)
            ref = await actors.start(Culprit(world))
            ref.cast("helper")
            await wait_all_tasks_blocked()
            await ref.stop()
            await trio.sleep_forever()

    with pytest.raises(SystemExit) as caught:
        await scenario()
    assert caught.value is error
    assert ended == ["shutdown"]


async def test_of_two_fatal_errors_the_first_leaves() -> None:
    first, second = SystemExit(1), SystemExit(2)

    class Twice(Actor):
        def handle_cast(self, message: Any) -> None:
            raise first

        def terminate(self, reason: ExitReason) -> None:
            raise second

    async def scenario() -> None:
        spec = SupervisorSpec([ChildSpec(name, Twice) for name in "ab"], report=ignore)
        async with open_supervisor(spec) as root:
            ref = root.child("a")
            assert isinstance(ref, ActorRef)
            ref.cast("go")
            await trio.sleep_forever()

    with pytest.raises(SystemExit) as caught:
        await scenario()
    assert caught.value is first
