"""A bad argument is refused by name, before anything has changed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    Actor,
    ActorRef,
    Crash,
    MailboxSpec,
    Name,
    Registry,
    ReplyTo,
    Shutdown,
    StartError,
    StopActor,
    UnhandledMessage,
    introspect,
    open_actor_nursery,
)
from locshare.actors.loop_profiler import StepProfiler
from locshare.actors.testing import Echo, Probe, Run
from locshare.supervisor import (
    BadSpec,
    ChildNotFound,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisor,
    DynamicSupervisorRef,
    Report,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    TaskSupervisor,
    TaskSupervisorRef,
    open_supervisor,
    run_root,
)
from locshare.supervisor.lowlevel import set_budget

BAD: Any = object()
NOT_SECONDS: list[Any] = ["1", None, [], BAD, True, 1j]
NO_STRING: list[Any] = [None, 5, b"a", [], BAD]


@dataclass
class World:
    sup: SupervisorRef
    pool: DynamicSupervisorRef
    tasks: TaskSupervisorRef
    child: ActorRef
    reports: list[Report]


async def in_world(function: Callable[[World], Awaitable[None]]) -> None:
    """Everything that `function` finds must be there afterwards, and well."""
    reports: list[Report] = []
    spec = SupervisorSpec(
        [
            ChildSpec("child", Probe),
            DynamicSpec().child("pool"),
            ChildSpec("tasks", TaskSupervisor, type="supervisor"),
        ],
        max_restarts=0,
        report=reports.append,
    )
    async with open_supervisor(spec) as sup:
        refs: dict[str, Any] = {info.id: info.ref for info in sup.which_children()}
        in_pool = await refs["pool"].start_child(ChildSpec("inside", Probe))
        world = World(sup, refs["pool"], refs["tasks"], refs["child"], reports)
        before = (sup.which_children(), world.pool.which_children(), world.tasks.which_children())
        await function(world)
        await wait_all_tasks_blocked()
        after = (sup.which_children(), world.pool.which_children(), world.tasks.which_children())
        assert after == before
        assert reports == []
        assert await refs["child"].call(Echo("well")) == await in_pool.call(Echo("well")) == "well"


REQUESTS: dict[str, tuple[Callable[[World, Any], Awaitable[Any]], list[Any]]] = {
    "SupervisorRef.start_child": (
        lambda w, bad: w.sup.start_child(bad),
        [None, "a", Probe, SupervisorSpec(), DynamicSpec(), BAD],
    ),
    "restart_child": (lambda w, bad: w.sup.restart_child(bad), NO_STRING),
    "SupervisorRef.terminate_child": (lambda w, bad: w.sup.terminate_child(bad), NO_STRING),
    "delete_child": (lambda w, bad: w.sup.delete_child(bad), NO_STRING),
    "DynamicSupervisorRef.start_child": (
        lambda w, bad: w.pool.start_child(bad),
        [None, "a", Probe, SupervisorSpec(), DynamicSpec(), BAD],
    ),
    "start_actor": (
        lambda w, bad: w.pool.start_actor(bad),
        [None, "a", TaskSpec("t", trio.sleep_forever, handshake=False), SupervisorSpec()],
    ),
    "DynamicSupervisorRef.terminate_child": (
        lambda w, bad: w.pool.terminate_child(bad),
        ["inside", 7, [], BAD],
    ),
    "stop, reason": (lambda w, bad: w.child.stop(bad), [None, "bye", ValueError(), ValueError]),
    "SupervisorRef.stop, reason": (lambda w, bad: w.sup.stop(bad), [None, "bye", ValueError()]),
    "stop, timeout": (lambda w, bad: w.child.stop(timeout=bad), NOT_SECONDS),
    "SupervisorRef.stop, timeout": (lambda w, bad: w.sup.stop(timeout=bad), NOT_SECONDS),
    "call, timeout": (
        lambda w, bad: w.child.call(Echo(), bad),
        [bad for bad in NOT_SECONDS if bad is not None],
    ),
    "inspect": (lambda w, bad: introspect.inspect(w.child, bad), [None, "f", BAD]),
    "inspect, ref": (lambda w, bad: introspect.get_state(bad), [None, "f", BAD]),
    "run_root": (lambda w, bad: run_root(bad), [None, DynamicSpec(), ChildSpec("a", Probe)]),
    "TaskSupervisorRef.run": (lambda w, bad: w.tasks.run(bad), [None, "f", BAD]),
    "TaskSupervisorRef.start": (lambda w, bad: w.tasks.start(bad), [None, "f", BAD]),
}


@pytest.mark.parametrize(
    ("what", "bad"), [(what, bad) for what, (_, bads) in REQUESTS.items() for bad in bads]
)
async def test_a_request_of_the_wrong_type_is_refused_and_changes_nothing(
    what: str, bad: Any
) -> None:
    async def run(world: World) -> None:
        with pytest.raises((TypeError, BadSpec)):
            await REQUESTS[what][0](world, bad)

    await in_world(run)


@pytest.mark.parametrize("bad", [nan, -1, -0.001, -inf])
@pytest.mark.parametrize("what", ["stop, timeout", "SupervisorRef.stop, timeout", "call, timeout"])
async def test_a_bad_time_is_refused_and_changes_nothing(what: str, bad: float) -> None:
    async def run(world: World) -> None:
        with pytest.raises(ValueError, match=r"timeout: .* at least 0 seconds"):
            await REQUESTS[what][0](world, bad)

    await in_world(run)


async def test_the_refusal_of_a_supervisor_spec_says_what_to_do() -> None:
    async def run(world: World) -> None:
        with pytest.raises(TypeError, match=r"SupervisorSpec\(…\)\.child\(id\)"):
            await world.sup.start_child(SupervisorSpec())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"DynamicSpec\(…\)\.child\(id\)"):
            await world.pool.start_child(DynamicSpec())  # type: ignore[arg-type]

    await in_world(run)


async def test_none_is_not_the_ref_of_any_child() -> None:
    async def run(world: World) -> None:
        with pytest.raises(ChildNotFound):
            await world.pool.terminate_child(None)

    await in_world(run)


@pytest.mark.parametrize("kind", ["sup", "pool", "tasks"])
async def test_a_stray_message_does_not_take_a_supervisor_down(kind: str) -> None:
    async def run(world: World) -> None:
        ref: Any = getattr(world, kind)
        ref.cast("stray")
        ref.info("stray")
        with pytest.raises(UnhandledMessage):
            await ref.call("stray")
        await wait_all_tasks_blocked()

    await in_world(run)


# -- in a handler: the actor crashes, with an error that says why, and the tree lives on -----

HANDLERS: dict[str, tuple[type[Exception], Callable[[Probe], Any]]] = {
    "StopActor(exception)": (TypeError, lambda a: StopActor(ValueError())),  # type: ignore[arg-type]
    "StopActor(str)": (TypeError, lambda a: StopActor("bye")),  # type: ignore[arg-type]
    "StopActor(None)": (TypeError, lambda a: StopActor(None)),  # type: ignore[arg-type]
    "Crash(str)": (TypeError, lambda a: Crash("bye")),  # type: ignore[arg-type]
    "Crash(class)": (TypeError, lambda a: Crash(ValueError)),  # type: ignore[arg-type]
    "send_after(nan)": (ValueError, lambda a: a.send_after(nan, "x")),
    "send_after(-1)": (ValueError, lambda a: a.send_after(-1, "x")),
    "send_after(None)": (TypeError, lambda a: a.send_after(None, "x")),  # type: ignore[arg-type]
    "send_after(str)": (TypeError, lambda a: a.send_after("1", "x")),  # type: ignore[arg-type]
    "send_at(nan)": (ValueError, lambda a: a.send_at(nan, "x")),
    "send_at(None)": (TypeError, lambda a: a.send_at(None, "x")),  # type: ignore[arg-type]
    "monitor(str)": (TypeError, lambda a: a.monitor("x")),  # type: ignore[arg-type]
    "link(None)": (TypeError, lambda a: a.link(None)),  # type: ignore[arg-type]
    "link(str)": (TypeError, lambda a: a.link("x")),  # type: ignore[arg-type]
    "unlink(None)": (TypeError, lambda a: a.unlink(None)),  # type: ignore[arg-type]
    "spawn(None)": (TypeError, lambda a: a.spawn(None)),  # type: ignore[arg-type]
    "ref.monitor(None)": (TypeError, lambda a: a.ref.monitor(None)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", HANDLERS)
async def test_a_bad_argument_in_a_handler_is_a_crash_of_that_actor_and_no_more(
    what: str,
) -> None:
    kind, function = HANDLERS[what]
    reports: list[Report] = []
    spec = SupervisorSpec([ChildSpec("a", Probe), ChildSpec("b", Probe)], report=reports.append)
    async with open_supervisor(spec) as sup:
        a, b = [info.ref for info in sup.which_children()]
        assert isinstance(a, ActorRef)
        a.cast(Run(function))
        reason = await a.wait_exit()
        await wait_all_tasks_blocked()
        assert isinstance(reason, Crash)
        assert type(reason.exception) is kind
        assert [report.kind for report in reports] == ["crash"]
        again = sup.child("a")
        assert isinstance(again, ActorRef)
        assert await again.call(Echo("well")) == "well"
        assert sup.child("b") is b


async def test_a_task_cannot_be_linked_to() -> None:
    async with open_supervisor(SupervisorSpec()) as sup:
        task = await sup.start_child(TaskSpec("t", trio.sleep_forever, handshake=False))
        child: Any = await sup.start_child(ChildSpec("a", Probe))
        child.cast(Run(lambda actor: actor.link(task)))
        reason = await child.wait_exit()
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, TypeError)
        assert task.alive


@pytest.mark.parametrize("error", [None, "no", ValueError, KeyboardInterrupt()])
async def test_only_an_exception_can_be_the_failure_of_a_call(error: Any) -> None:
    refused: list[str] = []

    class Refusing(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> str:
            try:
                reply_to.fail(error)
            except TypeError as problem:
                refused.append(str(problem))
            return "answered all the same"

    async with open_actor_nursery() as actors:
        ref = await actors.start(Refusing())
        assert await ref.call(Echo()) == "answered all the same"
    assert "error must be Exception" in refused[0]


# -- constructors ----------------------------------------------------------------------------


async def serve(*, task_status: trio.TaskStatus[None]) -> None: ...


CHILD: dict[str, list[Any]] = {
    "id": [*NO_STRING, ""],
    "args": [None, [], "a"],
    "restart": [None, "always", []],
    "shutdown": [nan, -1, "1", [], True],
    "init_timeout": [nan, -1, 0, "1", None, True],
    "backoff": [3, "full", True],
}
SPECS: list[tuple[Callable[..., Any], dict[str, Any], dict[str, list[Any]]]] = [
    (
        ChildSpec,
        {"id": "a", "start": Probe},
        CHILD
        | {
            "start": [None, "a", 5],
            "type": [None, "actor"],
            "register": ["name", Registry(), 5],
            "heir": [[], "heir", 5],
        },
    ),
    (TaskSpec, {"id": "a", "run": serve}, CHILD | {"run": [None, 5], "handshake": [None, 1, "no"]}),
    (
        SupervisorSpec,
        {},
        {
            "children": [None, 5, ["a"], [None], [SupervisorSpec()], "ab"],
            "strategy": [None, "all", []],
            "max_restarts": [-1, 1.5, nan, None, True, "3"],
            "max_seconds": [0, -1, nan, inf, None, True, "5"],
            "report": ["log", 5, []],
        },
    ),
    (
        DynamicSpec,
        {},
        {
            "max_children": [-1, 1.5, nan, True, "3"],
            "max_restarts": [-1, 1.5, nan, None, True, "3"],
            "max_seconds": [0, -1, nan, inf, None, True, "5"],
            "report": ["log", 5, []],
        },
    ),
]


@pytest.mark.parametrize(
    ("build", "good", "field", "bad"),
    [
        (build, good, field, bad)
        for build, good, fields in SPECS
        for field, bads in fields.items()
        for bad in bads
    ],
)
def test_a_spec_names_the_field_that_is_wrong(
    build: Callable[..., Any], good: dict[str, Any], field: str, bad: Any
) -> None:
    build(**good)
    with pytest.raises(BadSpec) as caught:
        build(**good | {field: bad})
    # A field with a shorter name: the callable of both specs, a member of a list.
    assert caught.value.field in {field, "start", "children"}


@pytest.mark.parametrize("bad", [0, -1, 1.5, nan, inf, "1", True, []])
def test_a_mailbox_capacity_is_a_whole_number(bad: Any) -> None:
    with pytest.raises(ValueError, match="capacity"):
        MailboxSpec(capacity=bad)


@pytest.mark.parametrize("bad", [None, "refuse", 1])
def test_a_mailbox_has_a_rule_for_when_it_is_full(bad: Any) -> None:
    with pytest.raises(TypeError, match="overflow"):
        MailboxSpec(overflow=bad)


@pytest.mark.parametrize("bad", [[], {}, set()])
def test_a_name_needs_a_key_that_can_be_one(bad: Any) -> None:
    with pytest.raises(TypeError):
        Registry[Any]().name(bad)


@pytest.mark.parametrize("bad", [None, {}, "names"])
def test_a_name_needs_a_registry(bad: Any) -> None:
    with pytest.raises(TypeError, match="registry"):
        Name(bad, "key")


@pytest.mark.parametrize("bad", [None, "ref", BAD])
async def test_a_registry_holds_refs_of_actors_only(bad: Any) -> None:
    names: Registry[str] = Registry()
    async with open_supervisor(SupervisorSpec()) as sup:
        task: Any = await sup.start_child(TaskSpec("t", trio.sleep_forever, handshake=False))
        for ref in (bad, task):
            with pytest.raises(TypeError, match="ref must be ActorRef"):
                names.register("key", ref)
            with pytest.raises(TypeError, match="ref must be ActorRef"):
                names.unregister("key", ref)
    assert len(names) == 0


@pytest.mark.parametrize("bad", [None, "spec", SupervisorSpec])
def test_a_supervisor_is_built_from_its_spec(bad: Any) -> None:
    with pytest.raises(TypeError, match="spec must be SupervisorSpec"):
        SupervisorSpec().child("a").start(bad)
    if bad is not None:
        with pytest.raises(TypeError, match="spec must be DynamicSpec or None"):
            DynamicSupervisor(bad)


@pytest.mark.parametrize(("restarts", "seconds"), [(-1, 5), (nan, 5), (3, 0), (3, nan), (3, inf)])
async def test_a_budget_is_changed_to_another_budget_only(restarts: Any, seconds: float) -> None:
    async with open_supervisor(SupervisorSpec()) as sup:
        with pytest.raises(BadSpec):
            set_budget(sup, restarts, seconds)


@pytest.mark.parametrize("bad", [0, -1, nan, "1", True, None])
async def test_a_trace_has_a_length(bad: Any) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe())
        with pytest.raises(ValueError, match="length"):
            introspect.trace(ref, length=bad)
        assert not introspect.is_traced(ref)


async def test_what_is_installed_is_an_interceptor() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe())
        bads: list[Any] = ["x", BAD, introspect.Interceptor]
        for bad in bads:
            with pytest.raises(TypeError, match="interceptor"):
                introspect.install(ref, bad)
        with pytest.raises(TypeError, match="listener"):
            introspect.trace(ref, listener=BAD)
        with pytest.raises(TypeError, match="ref"):
            introspect.kill(BAD)
        assert await ref.call(Echo("well")) == "well"


@pytest.mark.parametrize(("listener", "threshold"), [(None, 1.0), (print, nan), (print, -1.0)])
def test_a_step_watch_has_a_listener_and_a_threshold(listener: Any, threshold: float) -> None:
    with pytest.raises((TypeError, ValueError)):
        StepProfiler(listener, threshold)


async def test_a_factory_that_is_async_is_refused() -> None:
    async def build() -> Probe:
        return Probe()

    async with open_supervisor(SupervisorSpec()) as sup:
        with pytest.raises(StartError) as caught:
            await sup.start_child(ChildSpec("a", build))  # type: ignore[arg-type]
        assert isinstance(caught.value.__cause__, BadSpec)
        assert sup.alive


async def test_infinity_is_a_time() -> None:
    async with open_supervisor(SupervisorSpec()) as sup:
        child: Any = await sup.start_child(ChildSpec("a", Probe, init_timeout=inf, shutdown=inf))
        assert await child.call(Echo("well"), inf) == "well"
        child.cast(Run(lambda actor: actor.send_after(inf, "never") and None))
        assert await child.call(Echo("well"), None) == "well"
        assert await child.stop(Shutdown("x"), timeout=inf) == Shutdown("x")
