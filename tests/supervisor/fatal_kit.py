"""A tree with a culprit in it that raises where a test says so: the places, and how to reach each.

Each place is combined with each depth of the tree and each way for the block around it to go on:
wait, leave in the same instant (its stop overtakes whatever the supervisors have still to do), or
be cancelled.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import Actor, Continue, Crash, ExitReason, ReplyTo, StopActor
from locshare.actors.introspect import inspect, kill
from locshare.actors.testing import Boom, Echo, Script
from locshare.supervisor import (
    Backoff,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    Report,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    TaskSupervisor,
    TaskSupervisorRef,
)
from locshare.supervisor.testing import TreeJournal, probe


@dataclass
class World:
    """What a place needs: the supervisor that the culprit lives under, and the error."""

    error: BaseException
    sup: Any = None
    culprit: Any = None
    armed: set[str] = field(default_factory=set)
    journal: TreeJournal = field(default_factory=TreeJournal)

    def at(self, place: str) -> None:
        """Called by the culprit wherever it could raise."""
        if place in self.armed:
            self.armed.discard(place)
            raise self.error


class Culprit(Actor):
    """Raises where the world says so."""

    def __init__(self, world: World) -> None:
        world.at("build")
        self.world = world

    async def init(self) -> Any:
        self.world.culprit = self.ref
        self.world.at("init")
        await trio.lowlevel.checkpoint()
        self.world.at("late init")

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        self.world.at("call")

    def handle_cast(self, message: Any) -> Any:
        self.world.at("cast")
        match message:
            case "continue":
                return Continue()
            case "timer":
                self.send_after(0, "due")
            case "helper":
                self.spawn(self.help)
            case "crash":
                raise Boom
            case "stop with it":
                return StopActor(Crash(self.world.error))
            case "link":
                self.link(self.world.culprit)
        return None

    def handle_info(self, message: Any) -> None:
        self.world.at("info")

    def handle_continue(self, value: Any) -> None:
        self.world.at("continue")

    def after_batch(self) -> None:
        self.world.at("batch")

    async def help(self) -> None:
        self.world.at("helper")
        try:
            await trio.sleep_forever()
        finally:
            self.world.at("helper's end")

    async def terminate(self, reason: ExitReason) -> None:
        if "terminate raises" in self.world.armed:
            raise Boom
        if "terminate hangs" in self.world.armed:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        self.world.at("terminate")

    def redact(self, message: object) -> dict[str, object]:
        self.world.at("redact")
        return {}


async def task(world: World, *, task_status: trio.TaskStatus[None]) -> None:
    world.at("task's init")
    task_status.started()
    try:
        await trio.sleep_forever()
    finally:
        world.at("task's end")


# -- places ----------------------------------------------------------------------------------

Place = Callable[[World], Awaitable[None]]
PLACES: dict[str, Place] = {}


def place(name: str) -> Callable[[Place], Place]:
    def enter(function: Place) -> Place:
        PLACES[name] = function
        return function

    return enter


def _simple(arm: str, message: object = "go", *more: str) -> Place:
    async def run(world: World) -> None:
        world.armed |= {arm, *more}
        world.culprit.cast(message)
        await world.culprit.wait_exit()

    return run


PLACES["cast"] = _simple("cast")
PLACES["continue"] = _simple("continue", "continue")
PLACES["timer"] = _simple("info", "timer")
PLACES["batch"] = _simple("batch")
PLACES["helper"] = _simple("helper", "helper")
PLACES["terminate, after a crash"] = _simple("terminate", "crash")
PLACES["redact"] = _simple("redact", "crash")
PLACES["cast, and terminate raises too"] = _simple("cast", "go", "terminate raises")
PLACES["cast, and terminate is cut short"] = _simple("cast", "go", "terminate hangs")
PLACES["reason of a stop"] = _simple("nothing", "stop with it")


@place("call that the block awaits")
async def _(world: World) -> None:
    world.armed.add("call")
    await world.culprit.call(Echo(), None)


@place("inspection")
async def _(world: World) -> None:
    def raise_it(_: Actor) -> None:
        raise world.error

    await inspect(world.culprit, raise_it, None)


@place("helper that is cancelled after a crash")
async def _(world: World) -> None:
    world.culprit.cast("helper")
    await wait_all_tasks_blocked()
    await _simple("helper's end", "crash")(world)


@place("helper that is cancelled by a stop")
async def _(world: World) -> None:
    world.culprit.cast("helper")
    await wait_all_tasks_blocked()
    world.armed.add("helper's end")
    await terminate(world)


@place("terminate, by terminate_child")
async def _(world: World) -> None:
    world.armed.add("terminate")
    await terminate(world)


@place("terminate, by a stop of its supervisor")
async def _(world: World) -> None:
    world.armed.add("terminate")
    await world.sup.stop()


@place("terminate, when the block leaves")
async def _(world: World) -> None:
    world.armed.add("terminate")


@place("cast, killed in the same instant")
async def _(world: World) -> None:
    world.armed.add("cast")
    world.culprit.cast("go")
    await trio.lowlevel.checkpoint()
    kill(world.culprit)
    await world.culprit.wait_exit()


@place("init of a restart")
async def _(world: World) -> None:
    await restart(world, "init")


@place("late init of a restart")
async def _(world: World) -> None:
    await restart(world, "late init")


@place("factory of a restart")
async def _(world: World) -> None:
    await restart(world, "build")


@place("init of a first start")
async def _(world: World) -> None:
    world.armed.add("init")
    await world.sup.start_child(ChildSpec("more", Culprit, (world,)))


@place("late init of a first start")
async def _(world: World) -> None:
    world.armed.add("late init")
    await world.sup.start_child(ChildSpec("more", Culprit, (world,)))


@place("factory of a first start")
async def _(world: World) -> None:
    world.armed.add("build")
    await world.sup.start_child(ChildSpec("more", Culprit, (world,)))


@place("task")
async def _(world: World) -> None:
    world.armed.add("task's init")
    await world.sup.start_child(TaskSpec("task", task, (world,)))


@place("end of a task")
async def _(world: World) -> None:
    ref = await world.sup.start_child(TaskSpec("task", task, (world,)))
    world.armed.add("task's end")
    dynamic = isinstance(world.sup, DynamicSupervisorRef)
    await world.sup.terminate_child(ref if dynamic else "task")


@place("work for a task supervisor")
async def _(world: World) -> None:
    pool = await world.sup.start_child(ChildSpec("pool", TaskSupervisor, type="supervisor"))
    assert isinstance(pool, TaskSupervisorRef)

    async def work() -> None:
        raise world.error

    await pool.run(work)


@place("temporary child")
async def _(world: World) -> None:
    await world.sup.start_child(ChildSpec("more", Culprit, (world,), restart="temporary"))
    await _simple("cast")(world)


@place("child with back-off")
async def _(world: World) -> None:
    spec = ChildSpec("more", Culprit, (world,), backoff=Backoff(initial_s=1, jitter="none"))
    await world.sup.start_child(spec)
    await _simple("cast")(world)


@place("callback of a monitor")
async def _(world: World) -> None:
    def heard(_: object) -> None:
        raise world.error

    world.culprit.monitor(heard)
    await terminate(world)


@place("while the supervisor starts another")
async def _(world: World) -> None:
    culprit = world.culprit
    async with trio.open_nursery() as nursery:
        slow = probe("slow", world.journal, Script(init_seconds=1000))
        nursery.start_soon(world.sup.start_child, slow)
        await wait_all_tasks_blocked()
        world.culprit = culprit
        await _simple("cast")(world)


@place("while the supervisor stops another")
async def _(world: World) -> None:
    culprit = world.culprit
    slow = probe("slow", world.journal, Script(terminate_seconds=2))
    ref = await world.sup.start_child(slow)
    dynamic = isinstance(world.sup, DynamicSupervisorRef)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.sup.terminate_child, ref if dynamic else "slow")
        await wait_all_tasks_blocked()
        world.culprit = culprit
        await _simple("cast")(world)


@place("linked partner")
async def _(world: World) -> None:
    culprit = world.culprit
    partner = await world.sup.start_child(ChildSpec("partner", Culprit, (world,)))
    world.culprit = culprit
    partner.cast("link")
    await wait_all_tasks_blocked()
    await _simple("cast")(world)


async def restart(world: World, arm: str) -> None:
    """Crash, and wait until the next life has raised: a stop must not come before that."""
    world.armed.add(arm)
    world.culprit.cast("crash")
    while arm in world.armed:
        await trio.lowlevel.checkpoint()


async def terminate(world: World) -> None:
    dynamic = isinstance(world.sup, DynamicSupervisorRef)
    await world.sup.terminate_child(world.culprit if dynamic else "culprit")


async def open_tree(depth: str, world: World, root: SupervisorRef, budget: int = 3) -> None:
    """Put the culprit between two others, at the root, or below it."""
    children = [
        probe("before", world.journal),
        ChildSpec("culprit", Culprit, (world,), shutdown=1.0),
        probe("after", world.journal),
    ]
    world.sup = root
    if depth == "nested":
        world.sup = await root.start_child(SupervisorSpec(max_restarts=budget).child("inner"))
    elif depth == "dynamic":
        world.sup = await root.start_child(DynamicSpec(max_restarts=budget).child("inner"))
    for child in children:
        await world.sup.start_child(child)


async def go_on(then: str, work: Awaitable[None], outer: trio.CancelScope) -> None:
    """Do it, and then wait, leave or be cancelled. What the block itself sees is its affair."""
    try:
        await work
    finally:
        if then == "is cancelled":
            outer.cancel()
        if then != "leaves":
            await trio.sleep_forever()


def ignore(report: Report) -> None:
    """The reports are not looked at here."""
