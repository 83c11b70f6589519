"""Every public coroutine passes a checkpoint, whether it returns or raises.

So a caller that tries again in a loop cannot keep the others from running: least of all the restart
that it is waiting for.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import nan
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import locshare.actors
import locshare.actors.introspect
import locshare.supervisor
from locshare.actors import (
    Actor,
    ActorNursery,
    ActorRef,
    MailboxSpec,
    NoProc,
    Overflow,
    Ref,
    Registry,
    ReplyTo,
    Request,
    introspect,
    open_actor_nursery,
)
from locshare.supervisor import (
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    SupervisorRef,
    SupervisorSpec,
    TaskHandle,
    TaskSupervisor,
    TaskSupervisorRef,
    open_supervisor,
    run_root,
)

MODULES = (locshare.actors, locshare.actors.introspect, locshare.supervisor)


class Ask(Request[str]):
    """Answered at once."""


class Echo(Actor):
    mailbox = MailboxSpec(capacity=1)

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> str:
        return "yes"

    def handle_cast(self, message: Any) -> None:
        if message == "crash":
            raise RuntimeError

    def handle_info(self, message: Any) -> None: ...


class Dropping(Echo):
    mailbox = MailboxSpec(capacity=1, overflow=Overflow.DROP_NEWEST)


class Failing(Echo):
    def init(self) -> None:
        raise RuntimeError


@dataclass
class World:
    """An actor, a task and a supervisor of each kind, alive and dead."""

    actors: ActorNursery
    alive: ActorRef
    full: ActorRef
    dropping: ActorRef
    dead: ActorRef
    task: Ref
    done: TaskHandle[None]
    names: Registry[str]
    sup: SupervisorRef
    stopped: SupervisorRef
    pool: DynamicSupervisorRef
    tasks: TaskSupervisorRef
    heard: list[object]

    async def in_its_own_task(self, function: Callable[[ActorRef], Awaitable[object]]) -> None:
        """Let an actor call ``function`` with its own ref."""
        heard = self.heard

        class Selfish(Actor):
            async def handle_cast(self, message: Any) -> None:
                with assert_checkpoints():
                    try:
                        await function(self.ref)
                    except Exception as error:  # noqa: BLE001 - looked at by the test
                        heard.append(type(error).__name__)

        ref = await self.actors.start(Selfish())
        ref.cast("go")
        await wait_all_tasks_blocked()
        assert heard == ["CallToSelf"]
        assert ref.alive


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    names: Registry[str] = Registry()
    spec = SupervisorSpec(
        [
            ChildSpec("a", Echo),
            DynamicSpec().child("pool"),
            ChildSpec("tasks", TaskSupervisor, type="supervisor"),
            SupervisorSpec([ChildSpec("x", Echo)]).child("inner", restart="temporary"),
        ]
    )
    async with open_actor_nursery() as actors, open_supervisor(spec) as sup:
        refs: dict[str, Any] = {info.id: info.ref for info in sup.which_children()}
        alive = await actors.start(Echo(), register=names.name("alive"))
        full, dropping = await actors.start(Echo()), await actors.start(Dropping())
        dead = await actors.start(Echo())
        await dead.stop()
        for ref in (full, dropping):
            await introspect.suspend(ref)
            ref.cast("fills it")
        await refs["inner"].stop()
        handle = await refs["tasks"].start(trio.sleep_forever)
        done = await refs["tasks"].start(none)
        await done.wait()
        yield World(
            actors,
            alive,
            full,
            dropping,
            dead,
            handle.ref,
            done,
            names,
            sup,
            refs["inner"],
            refs["pool"],
            refs["tasks"],
            [],
        )
        if full.alive:
            await introspect.resume(full)


async def none() -> None:
    """A task that ends without a checkpoint."""


async def stopped_a(w: World, request: Callable[[str], Awaitable[object]]) -> None:
    await w.sup.terminate_child("a")
    with assert_checkpoints():
        await request("a")


async def run_and_stop() -> None:
    async with trio.open_nursery() as nursery:
        root: SupervisorRef = await nursery.start(run_root, SupervisorSpec())
        await root.stop()


Case = Callable[[World], Awaitable[object]]
BAD: Any = object()

#: Of each public coroutine: one call that returns, and those that raise for each reason.
CASES: dict[str, list[Case]] = {
    "ActorRef.call": [
        lambda w: w.alive.call(Ask()),
        lambda w: w.alive.call(Ask(), None),
        lambda w: w.dead.call(Ask()),
        lambda w: w.dropping.call(Ask()),
        lambda w: w.full.call(Ask(), 0),
        lambda w: w.alive.call(Ask(), nan),
        lambda w: w.alive.call(Ask(), -1),
        lambda w: w.alive.call(Ask(), BAD),
    ],
    "ActorRef.deliver": [
        lambda w: w.alive.deliver("x"),
        lambda w: w.dead.deliver("x"),
        lambda w: w.dropping.deliver("x"),
    ],
    "Ref.wait_exit": [lambda w: w.dead.wait_exit()],
    "Ref.stop": [
        lambda w: w.alive.stop(),
        lambda w: w.task.stop(),
        lambda w: w.dead.stop(),
        lambda w: w.alive.stop(timeout=nan),
        lambda w: w.alive.stop(timeout=BAD),
        lambda w: w.alive.stop(BAD),
    ],
    "BaseSupervisorRef.stop": [
        lambda w: w.pool.stop(),
        lambda w: w.stopped.stop(),
        lambda w: w.sup.stop(timeout=nan),
        lambda w: w.sup.stop(BAD),
    ],
    "ActorNursery.start": [
        lambda w: w.actors.start(Echo()),
        lambda w: w.actors.start(Failing()),
        lambda w: w.actors.start(Echo(), register=w.names.name("alive")),
        lambda w: w.actors.start(BAD),
        lambda w: w.actors.start(Echo(), name=BAD),
        lambda w: w.actors.start(Echo(), register=BAD),
        lambda w: w.actors.start(Echo(), heir=BAD),
        lambda w: w.actors.start(Echo(), init_timeout=nan),
    ],
    "ActorNursery.stop": [
        lambda w: w.actors.stop(0),
        lambda w: w.actors.stop(BAD),
    ],
    "Registry.wait": [lambda w: w.names.wait("alive")],
    "Name.call": [
        lambda w: w.names.name("alive").call(Ask()),
        lambda w: w.names.name("unknown").call(Ask()),
        lambda w: w.names.name("alive").call(Ask(), nan),
    ],
    "inspect": [
        lambda w: introspect.inspect(w.alive, lambda actor: None),
        lambda w: introspect.inspect(w.dead, lambda actor: None),
        lambda w: introspect.inspect(BAD, lambda actor: None),
        lambda w: introspect.inspect(w.alive, BAD),
        lambda w: introspect.inspect(w.alive, lambda actor: None, nan),
        lambda w: introspect.inspect(w.alive, lambda actor: 1 / 0),
    ],
    "get_state": [
        lambda w: introspect.get_state(w.alive),
        lambda w: introspect.get_state(w.dead),
    ],
    "replace_state": [
        lambda w: introspect.replace_state(w.alive, lambda state: state),
        lambda w: introspect.replace_state(w.dead, lambda state: state),
        lambda w: introspect.replace_state(w.alive, BAD),
    ],
    "suspend": [
        lambda w: introspect.suspend(w.alive),
        lambda w: introspect.suspend(w.dead),
    ],
    "resume": [
        lambda w: introspect.resume(w.alive),
        lambda w: introspect.resume(w.dead),
    ],
    "SupervisorRef.start_child": [
        lambda w: w.sup.start_child(ChildSpec("b", Echo)),
        lambda w: w.sup.start_child(ChildSpec("a", Echo)),
        lambda w: w.sup.start_child(ChildSpec("b", Failing)),
        lambda w: w.sup.start_child(BAD),
        lambda w: w.stopped.start_child(ChildSpec("b", Echo)),
    ],
    "SupervisorRef.restart_child": [
        lambda w: stopped_a(w, w.sup.restart_child),
        lambda w: w.sup.restart_child("a"),
        lambda w: w.sup.restart_child("unknown"),
        lambda w: w.sup.restart_child(BAD),
        lambda w: w.stopped.restart_child("a"),
    ],
    "SupervisorRef.terminate_child": [
        lambda w: w.sup.terminate_child("a"),
        lambda w: w.sup.terminate_child("unknown"),
        lambda w: w.sup.terminate_child(BAD),
        lambda w: w.stopped.terminate_child("a"),
    ],
    "SupervisorRef.delete_child": [
        lambda w: stopped_a(w, w.sup.delete_child),
        lambda w: w.sup.delete_child("a"),
        lambda w: w.sup.delete_child("unknown"),
        lambda w: w.sup.delete_child(BAD),
        lambda w: w.stopped.delete_child("a"),
    ],
    "DynamicSupervisorRef.start_child": [
        lambda w: w.pool.start_child(ChildSpec("b", Echo)),
        lambda w: w.pool.start_child(ChildSpec("b", Failing)),
        lambda w: w.pool.start_child(BAD),
    ],
    "DynamicSupervisorRef.start_actor": [
        lambda w: w.pool.start_actor(ChildSpec("b", Echo)),
        lambda w: w.pool.start_actor(ChildSpec("b", Failing)),
        lambda w: w.pool.start_actor(BAD),
    ],
    "DynamicSupervisorRef.terminate_child": [
        lambda w: w.tasks.terminate_child(w.task),
        lambda w: w.pool.terminate_child(w.alive),
        lambda w: w.pool.terminate_child(None),
        lambda w: w.pool.terminate_child(BAD),
    ],
    "TaskSupervisorRef.start": [
        lambda w: w.tasks.start(none),
        lambda w: w.tasks.start(BAD),
        lambda w: w.tasks.start(none, shutdown=nan),
    ],
    "TaskHandle.wait": [lambda w: w.done.wait()],
    "TaskHandle.result": [lambda w: w.done.result()],
    "TaskSupervisorRef.run": [
        lambda w: w.tasks.run(none),
        lambda w: w.tasks.run(BAD),
        lambda w: w.tasks.run(w.alive.stop),
    ],
    "run_root": [
        lambda w: run_and_stop(),
        lambda w: run_root(SupervisorSpec([ChildSpec("a", Failing)])),
        lambda w: run_root(BAD),
        lambda w: run_root(SupervisorSpec(), name=BAD),
    ],
    "open_actor_nursery": [
        lambda w: enter(open_actor_nursery()),
        lambda w: enter(open_actor_nursery(nan)),
    ],
    "open_supervisor": [
        lambda w: enter(open_supervisor(SupervisorSpec())),
        lambda w: enter(open_supervisor(SupervisorSpec([ChildSpec("a", Failing)]))),
        lambda w: enter(open_supervisor(BAD)),
    ],
}

#: What an actor does to itself, which is refused.
SELF: dict[str, Callable[[ActorRef], Awaitable[object]]] = {
    "call": lambda ref: ref.call(Ask()),
    "wait_exit": lambda ref: ref.wait_exit(),
    "stop": lambda ref: ref.stop(),
    "inspect": lambda ref: introspect.inspect(ref, lambda actor: None),
    "suspend": introspect.suspend,
}


async def enter(manager: Any) -> None:
    async with manager:
        pass


def public_coroutines() -> Iterator[str]:
    """All that the packages offer, by the class that defines it."""
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing):
                for base in thing.__mro__:
                    if not base.__module__.startswith("locshare."):
                        continue
                    for method, function in vars(base).items():
                        if not method.startswith("_") and inspect.iscoroutinefunction(function):
                            yield f"{base.__name__}.{method}"
            elif inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(
                inspect.unwrap(thing) if callable(thing) else None
            ):
                yield name


def test_every_public_coroutine_is_among_the_cases() -> None:
    #: Callbacks of the supervisors, which the runtime awaits.
    callbacks = {"init", "handle_call", "handle_info", "terminate"}
    callbacks |= {"stop_child", "kill_after", "await_killed"}
    found = {name for name in public_coroutines() if name.split(".")[-1] not in callbacks}
    assert found == set(CASES)


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, cases in CASES.items() for n in range(len(cases))]
)
async def test_a_public_coroutine_passes_a_checkpoint_also_when_it_raises(
    name: str, number: int
) -> None:
    async with world() as here:
        with assert_checkpoints():
            try:
                await CASES[name][number](here)
            except Exception:  # noqa: BLE001 - whatever it is, it came after a checkpoint
                assert number > 0


@pytest.mark.parametrize("what", SELF)
async def test_what_an_actor_would_wait_for_in_vain_is_refused_after_a_checkpoint(
    what: str,
) -> None:
    async with world() as here:
        await here.in_its_own_task(SELF[what])


async def test_trying_again_on_noproc_does_not_keep_the_restart_from_running() -> None:
    names: Registry[str] = Registry()
    spec = SupervisorSpec([ChildSpec("a", Echo, register=names.name("a"))])
    async with open_supervisor(spec):
        first = await names.wait("a")
        first.cast("crash")
        await first.wait_exit()
        for _ in range(1000):
            try:
                assert await names.name("a").call(Ask()) == "yes"
                break
            except NoProc:
                continue
        else:
            raise AssertionError("no message came")


async def test_waiting_for_oneself_in_a_helper_is_allowed() -> None:
    """It is the actor's task that must not."""

    class Waiting(Actor):
        def init(self) -> None:
            self.spawn(self.ref.wait_exit)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Waiting())
        await wait_all_tasks_blocked()
        assert ref.alive
