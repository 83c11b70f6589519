"""Random monitors, links, names and ends of a handful of actors against a model (links_model.py).

After each step: every monitor of a dead target has given exactly one DOWN with the right reason,
and none that was cancelled has, even if its DOWN had already been queued; an abnormal end has gone
along the links unless an actor trapped it; an actor that saw a DOWN saw the names of the dead free;
the table of names is the model's. Only actors that die in the same step may have missed news of it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, get_args

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.actors import (
    NORMAL,
    Actor,
    ActorNursery,
    ActorRef,
    AlreadyRegistered,
    Down,
    LinkExit,
    Monitor,
    Registry,
    StopActor,
    open_actor_nursery,
)
from locshare.actors.introspect import inspect, kill, resume, suspend
from locshare.actors.lowlevel import actor_incarnation_of
from tests.models.links_model import Life, LinksModel

Op = Literal[
    "start",
    "monitor",
    "callback",
    "cancel",
    "link",
    "unlink",
    "register",
    "unregister",
    "wait",
    "suspend",
    "resume",
    "crash",
    "killed",
    "normal",
]


class World:
    def __init__(self) -> None:
        self.refs: list[ActorRef] = []
        self.monitors: list[Monitor] = []
        self.names: Registry[str] = Registry()
        self.seen: list[tuple[int, str]] = []
        self.found: dict[int, int] = {}
        self.cancels: dict[int, int] = {}  #: which monitor's callback cancels which other one

    def down(self, first: int, down: Down) -> None:
        assert self.names.keys_of(down.ref) == ()  # type: ignore[arg-type]  # all are actors
        number = next(i for i, mine in enumerate(self.monitors) if mine is down.monitor)
        self.seen.append((first, f"down {number} {down.reason.label}"))


class Subject(Actor):
    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.world = world

    def handle_cast(self, message: str) -> StopActor:
        if message == "crash":
            raise RuntimeError
        return StopActor(NORMAL)

    def handle_info(self, message: Any) -> None:
        match message:
            case Down():
                self.world.down(self.number, message)
            case LinkExit(ref, reason):
                line = f"link {self.world.refs.index(ref)} {reason.label}"  # type: ignore[arg-type]
                self.world.seen.append((self.number, line))

    def terminate(self, reason: Any) -> None:
        """A dying actor takes a name once more: the name must not outlive it (65)."""
        if "late" not in self.world.names:
            self.world.names.register("late", self.ref)


class Trapping(Subject):
    trap_exits = True


@dataclass(frozen=True)
class Step:
    """``first`` and ``second`` count from the youngest actor or monitor backwards."""

    op: Op
    first: int
    second: int
    name: str
    flag: bool


steps = st.builds(
    Step,
    op=st.sampled_from([*get_args(Op), "monitor", "link", "register"]),
    first=st.integers(0, 5),
    second=st.integers(0, 5),
    name=st.sampled_from("xyz"),
    flag=st.booleans(),
)


@settings(max_examples=400)
@given(
    traps=st.lists(st.booleans(), min_size=2, max_size=5),
    history=st.lists(steps, min_size=10, max_size=50),
)
def test_monitors_links_and_names_are_their_model(traps: list[bool], history: list[Step]) -> None:
    trio.run(replay, traps, history, clock=MockClock(autojump_threshold=0))


async def replay(traps: list[bool], history: list[Step]) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        run = Replay(actors, nursery)
        for flag in traps:
            await run.start(flag)
        for step in history:
            await run.take(step)
        for life in list(run.model.lives):
            await run.finish(life.number, "normal")
            await run.settle()
        nursery.cancel_scope.cancel()


class Replay:
    """Takes each step with the actors and with the model."""

    def __init__(self, actors: ActorNursery, nursery: trio.Nursery) -> None:
        self.actors = actors
        self.nursery = nursery
        self.world = World()
        self.model = LinksModel()
        self.waits = 0

    async def take(self, step: Step) -> None:
        world, model = self.world, self.model
        first = len(model.lives) - 1 - step.first % len(model.lives)
        second = len(model.lives) - 1 - step.second % len(model.lives)
        me, other = model.lives[first], model.lives[second]
        ref = world.refs[first]
        match step.op:
            case "start":
                await self.start(step.flag)
            case "callback":
                self.watch_with_callback(second, step)
            case "cancel":
                if world.monitors:
                    number = step.first % len(world.monitors)
                    world.monitors[number].cancel()
                    model.watches[number].cancel()
            case "register":
                try:
                    world.names.register(step.name, ref)
                    holder = None
                except AlreadyRegistered as error:
                    holder = world.refs.index(error.holder)  # type: ignore[arg-type]
                assert holder == model.register(step.name, me)
            case "unregister":
                held = model.names.get(step.name) is me
                assert world.names.unregister(step.name, ref) is held
                if held:
                    del model.names[step.name]
            case "wait":
                self.nursery.start_soon(self.wait, self.waits, step.name)
                model.wait(self.waits, step.name)
                self.waits += 1
            case "crash" | "killed" | "normal":
                await self.finish(first, step.op)
            case _:
                await self.act(step.op, me, other)
        await self.settle()

    async def act(self, op: Op, me: Life, other: Life) -> None:
        """What an actor does in its own task."""
        world, model = self.world, self.model
        ref, target = world.refs[me.number], world.refs[other.number]
        match op:
            case _ if me.reason is not None:
                return
            case "monitor":
                await inspect(ref, lambda actor: world.monitors.append(actor.monitor(target)))
                model.monitor(me, other)
            case "link":
                await inspect(ref, lambda actor: actor.link(target))
                model.link(me, other)
            case "unlink":
                await inspect(ref, lambda actor: actor.unlink(target))
                model.unlink(me, other)
            case "suspend" | "resume":
                await (suspend if op == "suspend" else resume)(ref)
                me.suspended = op == "suspend"

    async def start(self, traps: bool) -> None:
        number = len(self.world.refs)
        actor = (Trapping if traps else Subject)(number, self.world)
        self.world.refs.append(await self.actors.start(actor))
        self.model.lives.append(Life(number, traps))

    def watch_with_callback(self, second: int, step: Step) -> None:
        """Perhaps one that cancels an earlier monitor of the same target, or is cancelled by it."""
        world, model = self.world, self.model
        target, number = model.lives[second], len(model.watches)
        if target.reason is not None:
            return  # it would be called back before it is there to be named

        def ended(down: Down) -> None:
            world.down(-1, down)
            world.names.register("dead", down.ref)  # type: ignore[arg-type]  # no effect
            if number in world.cancels:
                world.monitors[world.cancels[number]].cancel()

        world.monitors.append(world.refs[second].monitor(ended))
        model.monitor(None, target)
        mine = [watch for watch in model.watches if watch.target is target]
        other = mine[step.first % len(mine)]
        one, two = (number, other.number) if step.flag else (other.number, number)
        if model.watches[one].watcher is None and one != two:
            world.cancels[one] = two
            model.watches[one].cancels = model.watches[two]

    async def wait(self, number: int, name: str) -> None:
        ref = await self.world.names.wait(name)
        self.world.found[number] = self.world.refs.index(ref)

    async def finish(self, first: int, how: str) -> None:
        ref, life = self.world.refs[first], self.model.lives[first]
        if life.reason is not None:
            return
        if how == "killed":
            kill(ref)
        elif how == "normal":
            await ref.stop(NORMAL)
        elif life.suspended:
            return  # would be handled later
        else:
            ref.cast("crash")
        self.model.die(life, how)

    async def settle(self) -> None:
        await wait_all_tasks_blocked()
        world, model = self.world, self.model
        model.settle()
        real, due = Counter(world.seen), Counter(model.seen)
        assert real <= due
        assert all(first in model.died for first, _ in due - real)
        for monitor, watch in zip(world.monitors, model.watches, strict=True):
            pair = (watch.watcher, watch.target)
            if all(life is not None and life.number in model.died for life in pair):
                watch.cancelled = monitor.cancelled  # either may have died first
        world.seen.clear()
        model.seen.clear()
        model.died.clear()
        for ref, life in zip(world.refs, model.lives, strict=True):
            assert (ref.exit_reason.label if ref.exit_reason else None) == life.reason
            assert len(actor_incarnation_of(ref)._links or ()) == len(life.links)
        for monitor, watch in zip(world.monitors, model.watches, strict=True):
            assert monitor.active is watch.active
            assert monitor.cancelled is watch.cancelled
        holders = {name: world.names.lookup(name) for name in world.names}
        assert holders == {name: world.refs[life.number] for name, life in model.names.items()}
        assert world.found == model.found
