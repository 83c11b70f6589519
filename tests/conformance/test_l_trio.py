"""L. Where structured concurrency demands a different answer: statements 70 to 79."""

import contextvars
import inspect
import signal
from time import perf_counter
from typing import Any

import pytest
import trio

from locshare.actors import (
    KILLED,
    SHUTDOWN,
    Actor,
    ActorRef,
    Crash,
    Down,
    ExitReason,
    InitTimeout,
    Registry,
    ReplyTo,
    open_actor_nursery,
)
from locshare.actors.loop_profiler import SlowStep, StepProfiler
from locshare.actors.lowlevel import Incarnation
from locshare.actors.testing import Boom, Echo, Probe, Raise, Script, Sleep, no_leaks, settle
from locshare.supervisor import (
    AnySpec,
    ChildSpec,
    DynamicSpec,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
    run_root,
)
from locshare.supervisor.testing import TreeJournal, probe, running
from tests.conformance.kit import REPEATS, dynamic

where = contextvars.ContextVar("where", default="nowhere")


async def test_s70_what_cannot_be_killed_is_reported_as_stuck_and_waited_for(
    journal: TreeJournal,
) -> None:
    script = Script(shields=True)
    spec = SupervisorSpec(
        [probe("a", journal, script, shutdown=1.0)], report=journal.reports.append
    )
    async with open_supervisor(spec) as sup:
        with trio.move_on_after(0.5):
            await running(sup, "a").call(Sleep(20))
        began = trio.current_time()
    assert trio.current_time() - began == 19.5
    assert journal.kinds() == ["stuck", "stop_failed"]


async def test_s70_a_stuck_child_of_a_dynamic_supervisor_is_reported_too(
    journal: TreeJournal,
) -> None:
    root = SupervisorSpec([DynamicSpec().child("pool")], report=journal.reports.append)
    async with open_supervisor(root) as sup:
        pool = dynamic(sup.child("pool"))
        ref = await pool.start_actor(probe("a", journal, Script(shields=True), shutdown=1.0))
        with trio.move_on_after(0.5):
            await ref.call(Sleep(20))
        began = trio.current_time()
        await pool.terminate_child(ref)
        assert trio.current_time() - began == 19.5
        assert journal.kinds() == ["stuck", "stop_failed"]


async def ignore_cancellation(*, task_status: trio.TaskStatus[None]) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(20)
    task_status.started()


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_s70_an_init_that_ignores_its_timeout_is_reported_as_stuck_too(
    journal: TreeJournal, kind: str
) -> None:
    root = SupervisorSpec([DynamicSpec().child("pool")], report=journal.reports.append)
    async with no_leaks(), open_supervisor(root) as sup, trio.open_nursery() as nursery:

        async def start() -> None:
            spec = TaskSpec("a", ignore_cancellation, init_timeout=1.0)
            with pytest.raises(InitTimeout):
                await (sup if kind == "static" else dynamic(sup.child("pool"))).start_child(spec)
            assert trio.current_time() - began == 20

        began = trio.current_time()
        nursery.start_soon(start)
        await trio.sleep(5.9)
        assert journal.kinds() == []
        await trio.sleep(0.2)
        assert journal.kinds() == ["stuck"]


@pytest.mark.parametrize("repeat", range(100))
async def test_s71_an_outer_cancel_does_not_lose_the_order(
    journal: TreeJournal, repeat: int
) -> None:
    slow = Script(terminate_seconds=1)
    spec = SupervisorSpec([probe(name, journal, slow) for name in "abc"])
    async with trio.open_nursery() as nursery:
        await nursery.start(run_root, spec)
        nursery.cancel_scope.cancel()
    assert journal.lines[3:] == [
        line for name in "cba" for line in (f"terminate {name}", f"ended {name}")
    ]


async def test_s72_cancellation_is_not_a_crash_and_goes_on(journal: TreeJournal) -> None:
    spec = SupervisorSpec([probe("a", journal)], report=journal.reports.append)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            sup: SupervisorRef = await nursery.start(run_root, spec)
            scope.cancel()
    assert scope.cancelled_caught
    assert sup.exit_reason == SHUTDOWN
    assert journal.reports == []
    assert journal.lines == ["init a", "terminate a", "ended a"]


async def test_s72_a_cancel_scope_inside_a_handler_is_the_handlers_own(
    journal: TreeJournal,
) -> None:
    class Bounded(Actor):
        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            with trio.move_on_after(1) as scope:
                await trio.sleep(9)
            return scope.cancelled_caught

    async with open_actor_nursery() as actors:
        assert await (await actors.start(Bounded())).call(Echo()) is True


async def test_s73_no_task_outlives_its_supervisor(journal: TreeJournal) -> None:
    class WithHelper(Actor):
        def init(self) -> None:
            self.spawn(self.help)

        async def help(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)
                journal.note("helper ended")

    async with open_supervisor(SupervisorSpec([ChildSpec("a", WithHelper)])) as sup:
        ref = running(sup, "a")
        ref.monitor(lambda down: journal.note("down"))
        await settle()
        before = trio.lowlevel.current_statistics().tasks_living
        await sup.stop()
        assert journal.lines == ["helper ended", "down"]
        await settle()
        # The actor, its helper, the supervisor, and the two tasks of the border have gone.
        assert trio.lowlevel.current_statistics().tasks_living == before - 5


async def test_s73_a_helper_that_crashes_crashes_its_actor(journal: TreeJournal) -> None:
    boom = Boom()

    class Helped(Actor):
        def init(self) -> None:
            self.spawn(self.help, 2)

        async def help(self, seconds: float) -> None:
            await trio.sleep(seconds)
            raise boom

    async with open_actor_nursery() as actors:
        ref = await actors.start(Helped())
        assert await ref.wait_exit() == Crash(boom)


async def test_s74_a_group_of_ordinary_exceptions_is_one_crash(journal: TreeJournal) -> None:
    spec = SupervisorSpec([probe("a", journal)], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        ref = running(sup, "a")
        ref.cast(Raise(ExceptionGroup("two", [Boom(), Boom()])))
        await settle()
        [report] = journal.reports
        assert isinstance(report.exception, ExceptionGroup)
        assert running(sup, "a").alive


async def fail_when_cancelled() -> None:
    """Raises a group of Boom and Cancelled when it is cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        try:
            await trio.sleep_forever()
        finally:
            raise Boom


class Mixed(Actor):
    """Ends in a mixed group: in a handler, in terminate, or in a helper."""

    def __init__(self, place: str) -> None:
        self.place = place

    def init(self) -> None:
        if self.place == "helper":
            self.spawn(fail_when_cancelled)

    async def handle_cast(self, message: Any) -> None:
        if self.place == "handler":
            await fail_when_cancelled()

    async def terminate(self, reason: ExitReason) -> None:
        if self.place == "terminate":
            await fail_when_cancelled()


async def mixed_task(*, task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await fail_when_cancelled()


@pytest.mark.parametrize("place", ["handler", "terminate", "helper", "task"])
async def test_s74_a_group_that_mixes_in_cancelled_is_split(
    journal: TreeJournal, place: str
) -> None:
    child: AnySpec = ChildSpec("a", Mixed, (place,), shutdown=1.0)
    if place == "task":
        child = TaskSpec("a", mixed_task, shutdown=1.0)
    async with open_supervisor(SupervisorSpec([child], report=journal.reports.append)) as sup:
        ref = sup.child("a")
        assert ref is not None
        if isinstance(ref, ActorRef):
            ref.cast("go")
        await settle()
    assert isinstance(ref.exit_reason, Crash)
    crash = ref.exit_reason.exception
    assert isinstance(crash, Boom | ExceptionGroup)
    assert len(journal.reports) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["SIGINT", "exit"])
@pytest.mark.parametrize("place", ["handler", "helper", "task", "dynamic", "group"])
async def test_s75_keyboard_interrupt_and_system_exit_are_never_restarted(
    journal: TreeJournal, error: BaseException, place: str
) -> None:
    class Helped(Probe):
        def handle_info(self, message: Any) -> None:
            self.spawn(self.fail)

        async def fail(self) -> None:
            raise error

    async def task(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(1)
        if place == "task":
            raise error
        await trio.sleep_forever()

    inner = SupervisorSpec([probe("a", journal), probe("b", journal)])
    spec = SupervisorSpec(
        [
            probe("first", journal),
            inner.child("inner"),
            DynamicSpec().child("pool"),
            TaskSpec("task", task),
            ChildSpec("helped", Helped, ("helped", journal)),
            probe("last", journal),
        ],
        report=journal.reports.append,
    )

    async def scenario() -> None:
        async with open_supervisor(spec) as sup:
            match place:
                case "handler":
                    running(sup.child("inner"), "a").cast(Raise(error))  # type: ignore[arg-type]
                case "group":
                    grouped = BaseExceptionGroup("g", [Boom(), error])
                    running(sup, "first").cast(Raise(grouped))
                case "helper":
                    running(sup, "helped").info("go")
                case "dynamic":
                    ref = await dynamic(sup.child("pool")).start_actor(probe("x", journal))
                    ref.cast(Raise(error))
            await trio.sleep_forever()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - looked at below
        await scenario()
    if place == "group":
        assert isinstance(caught.value, BaseExceptionGroup)
    else:
        assert caught.value is error
    ends = [line.split()[1] for line in journal.lines if line.startswith("ended")]
    rest = [name for name in ends if name in ("last", "helped", "b", "first")]
    assert sorted(set(journal.lines)) == sorted(journal.lines)  # nothing happened twice
    assert {"last", "helped", "first"} <= set(rest)


async def test_s75_a_real_interrupt_inside_a_handler_stops_the_tree_in_order(
    journal: TreeJournal,
) -> None:
    class Interrupted(Probe):
        def handle_cast(self, message: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    spec = SupervisorSpec(
        [probe("a", journal), ChildSpec("b", Interrupted, ("b", journal)), probe("c", journal)]
    )

    async def scenario() -> None:
        async with open_supervisor(spec) as sup:
            running(sup, "b").cast("go")
            await trio.sleep_forever()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            await scenario()
    finally:
        signal.signal(signal.SIGINT, before)
    assert journal.lines.count("init b") == 1
    assert journal.lines[-4:] == ["terminate c", "ended c", "terminate a", "ended a"]


async def test_s75_with_a_signal_receiver_sigint_is_an_ordinary_stop(journal: TreeJournal) -> None:
    async with trio.open_nursery() as nursery:
        sup: SupervisorRef = await nursery.start(run_root, SupervisorSpec([probe("a", journal)]))
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            signal.raise_signal(signal.SIGINT)
            async for _ in signals:
                break
        assert await sup.stop() == SHUTDOWN


def test_s76_the_exit_path_is_a_plain_function() -> None:
    assert not inspect.iscoroutinefunction(Incarnation._exit)


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s76_no_task_ever_sees_part_of_an_exit(journal: TreeJournal, repeat: int) -> None:
    names: Registry[object] = Registry()
    spec = SupervisorSpec(
        [probe("a", journal, register=names.name("a"))], report=journal.reports.append
    )
    async with open_supervisor(spec) as sup, trio.open_nursery() as nursery:
        ref = running(sup, "a")
        downs: list[Down] = []
        ref.monitor(downs.append)
        halves: list[tuple[bool, ...]] = []

        async def look() -> None:
            for _ in range(60):
                dead = not ref.alive
                halves.append(
                    (
                        dead,
                        names.lookup("a") is not ref,
                        len(downs) == 1,
                        sup.child("a") is not ref,
                        len(journal.reports) == 1,
                    )
                )
                await trio.lowlevel.checkpoint()

        nursery.start_soon(look)
        nursery.start_soon(look)
        await trio.lowlevel.checkpoint()
        ref.cast(Raise())
    assert {len(set(half)) for half in halves} == {1}
    assert {half[0] for half in halves} == {False, True}


async def test_s77_terminate_runs_shielded_within_the_remaining_time(journal: TreeJournal) -> None:
    times: list[float] = []

    class Cleaning(Probe):
        async def terminate(self, reason: ExitReason) -> None:
            times.append(trio.current_effective_deadline() - trio.current_time())
            await trio.sleep(2)
            journal.note("cleaned up")

    spec = SupervisorSpec([ChildSpec("a", Cleaning, ("a", journal), shutdown=10.0)])
    with trio.CancelScope() as scope:
        async with open_supervisor(spec) as sup:
            with trio.move_on_after(1):
                await running(sup, "a").call(Sleep(4))
            scope.cancel()
    assert journal.lines == ["init a", "cleaned up"]
    assert times == [7.0]  # of ten seconds the current message took three


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_s78_context_comes_from_the_supervisor(journal: TreeJournal, kind: str) -> None:
    seen: list[str] = []

    class Curious(Probe):
        async def init(self) -> Any:
            seen.append(where.get())
            where.set("the actor itself")

    where.set("supervisor")
    spec = SupervisorSpec([DynamicSpec().child("pool")], report=journal.reports.append)
    async with open_supervisor(spec) as sup:
        where.set("caller")
        child = ChildSpec("a", Curious, ("a", journal))
        start = sup.start_child if kind == "static" else dynamic(sup.child("pool")).start_child
        ref: Any = await start(child)
        ref.cast(Raise())
        await ref.wait_exit()
        await settle()
    assert seen == ["supervisor", "supervisor"]


async def test_s79_the_handler_that_holds_up_the_loop_is_named(journal: TreeJournal) -> None:
    class Hog(Actor):
        def handle_cast(self, message: Any) -> None:
            until = perf_counter() + 0.03
            while perf_counter() < until:
                pass

    slow: list[SlowStep] = []
    watch = StepProfiler(slow.append, threshold=0.03)
    trio.lowlevel.add_instrument(watch)
    async with open_actor_nursery() as actors:
        ref = await actors.start(Hog(), name="hog")
        ref.cast(Echo("a position"))
        await settle()
        [step] = [step for step in slow if step.task.startswith("hog")]
        assert step.task == f"hog#{ref.serial}"
        assert step.message == "Echo"
        assert step.seconds >= 0.03
        assert watch.busy >= watch.longest >= step.seconds
    trio.lowlevel.remove_instrument(watch)


async def test_s79_a_batch_gives_way(journal: TreeJournal) -> None:
    class Counting(Actor):
        batch_limit = 10

        def init(self) -> None:
            self.batches: list[int] = []
            self.count = 0

        def handle_cast(self, message: Any) -> None:
            self.count += 1

        def after_batch(self) -> None:
            self.batches.append(self.count)

    async with open_actor_nursery() as actors:
        actor = Counting()
        ref = await actors.start(actor)
        for number in range(25):
            ref.cast(number)
        await trio.lowlevel.checkpoint()
        assert actor.count <= 10
        await settle()
        assert actor.batches == [10, 20, 25]
        await ref.stop()
        assert ref.exit_reason != KILLED
