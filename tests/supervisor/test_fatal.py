"""What must never be lost: KeyboardInterrupt and SystemExit, wherever they are raised in a tree,
and that a supervisor gave up, whatever overtakes it (statements 31, 75).

Each place is combined with each depth of the tree and each way for the block around it to go on:
wait, leave in the same instant (its stop overtakes whatever the supervisors have still to do), or
be cancelled.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    SHUTDOWN,
    Actor,
    ActorDown,
    ActorRef,
    Continue,
    Crash,
    ExitReason,
    ReplyTo,
    StartError,
    StopActor,
    open_actor_nursery,
)
from locshare.actors.introspect import inspect, kill
from locshare.actors.testing import Boom, Echo, Raise, Script
from locshare.supervisor import (
    Backoff,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    Report,
    RestartBudgetExceeded,
    RootFailed,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    TaskSupervisor,
    TaskSupervisorRef,
    open_supervisor,
    run_root,
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


# -- the test --------------------------------------------------------------------------------


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


# -- giving up -------------------------------------------------------------------------------

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


async def test_a_crash_within_the_budget_is_no_reason_to_give_up_when_a_stop_overtakes_it() -> None:
    world = World(LookupError())
    async with open_supervisor(SupervisorSpec(report=ignore, max_restarts=1)) as root:
        await open_tree("root", world, root)
        world.armed.add("cast")
        world.culprit.cast("go")
        await world.culprit.wait_exit()


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_exits_that_one_round_settles_count_once_when_a_stop_overtakes_them(
    strategy: Any,
) -> None:
    journal = TreeJournal()
    spec = SupervisorSpec(
        [probe("a", journal), probe("b", journal)],
        strategy=strategy,
        max_restarts=1,
        report=ignore,
    )

    async def scenario() -> None:
        async with open_supervisor(spec) as root:
            refs: list[Any] = [root.child("a"), root.child("b")]
            for ref in refs:  # in this order, so that rest_for_one has one round
                ref.cast(Raise())
                await ref.wait_exit() if ref is refs[-1] else None

    if strategy == "one_for_one":
        with pytest.raises(RestartBudgetExceeded):
            await scenario()
    elif strategy == "one_for_all":
        await scenario()


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


def ignore(report: Report) -> None:
    """The reports are not looked at here."""
