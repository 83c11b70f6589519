"""Telemetry events: what a listener hears of a tree, what it never hears, what it cannot harm."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    Actor,
    ActorRef,
    MailboxSpec,
    NoProc,
    Request,
    StartError,
    on_call,
    on_cast,
)
from locshare.actors.introspect import (
    Interceptor,
    install,
    interceptor_of,
    is_traced,
    suspend,
    trace,
)
from locshare.actors.lowlevel import actor_incarnation_of
from locshare.supervisor import (
    Backoff,
    BadSpec,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisorRef,
    Event,
    GaveUp,
    HandlerSpan,
    MailboxGauge,
    RestartBudgetExceeded,
    Restarted,
    Started,
    Stopped,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)

SECRET = "the secret"


@dataclass(frozen=True)
class Say:
    text: str = SECRET


@dataclass(frozen=True)
class Fail:
    text: str = SECRET


class Ask(Request[str]): ...


class Worker(Actor[Say | Fail]):
    mailbox = MailboxSpec(capacity=4)

    def __init__(self) -> None:
        self.last = SECRET

    @on_cast(Say)
    def note(self, message: Say) -> None:
        self.last = message.text

    @on_cast(Fail)
    def fail(self, message: Fail) -> None:
        raise ValueError(message.text)

    @on_call(Ask)
    async def answer(self, request: Ask) -> str:
        await trio.sleep(1)
        return self.last


def child(supervisor: SupervisorRef, name: str) -> ActorRef:
    ref = supervisor.child(name)
    assert isinstance(ref, ActorRef)
    return ref


def names(events: list[Event]) -> list[str]:
    return [f"{type(event).__name__} {event.supervisor}/{event.child_id}" for event in events]


def tree(listener: Callable[[Event], None] | None = None, **options: Any) -> SupervisorSpec:
    quiet: list[object] = []
    inner = SupervisorSpec([ChildSpec("leaf", Worker)])
    return SupervisorSpec(
        [
            ChildSpec("worker", Worker),
            inner.child("inner"),
            DynamicSpec().child("pool"),
        ],
        telemetry=listener,
        report=quiet.append,
        **options,
    )


async def test_a_listener_of_the_spec_hears_the_first_starts_and_the_last_stops() -> None:
    events: list[Event] = []
    async with open_supervisor(tree(events.append)):
        assert names(events) == [
            "Started root/worker",
            "Started inner/leaf",
            "Started root/inner",
            "Started root/pool",
        ]
        events.clear()
    assert names(events) == [
        "Stopped root/pool",
        "Stopped inner/leaf",
        "Stopped root/inner",
        "Stopped root/worker",
    ]
    assert all(isinstance(event, Stopped) and event.expected for event in events)


async def test_a_crash_is_a_stop_and_a_restart() -> None:
    events: list[Event] = []
    async with open_supervisor(tree()) as root:
        root.subscribe(events.append)
        worker = child(root, "worker")
        await trio.sleep(3)
        worker.cast(Fail())
        await worker.wait_exit()
        await wait_all_tasks_blocked()
        stopped, restarted = events
        assert stopped == Stopped(
            "root", "worker", worker.serial, 3.0, "crash", "ValueError", False, 3.0
        )
        again = child(root, "worker")
        assert restarted == Restarted("root", "worker", again.serial, 3.0, 1)


async def test_a_start_that_fails_is_a_stop_without_seconds() -> None:
    events: list[Event] = []

    class Broken(Actor):
        def init(self) -> None:
            raise OSError

    async with open_supervisor(tree()) as root:
        root.subscribe(events.append)
        with pytest.raises(StartError):
            await root.start_child(ChildSpec("broken", Broken))
        (event,) = events
        assert isinstance(event, Stopped)
        assert (event.exception, event.seconds) == ("OSError", None)


async def test_a_budget_that_trips_is_heard() -> None:
    events: list[Event] = []

    async def scenario() -> None:
        async with open_supervisor(tree(events.append, max_restarts=0)) as root:
            child(root, "worker").cast(Fail())
            await trio.sleep_forever()

    with pytest.raises(RestartBudgetExceeded):
        await scenario()
    (event,) = [event for event in events if isinstance(event, GaveUp)]
    assert (event.supervisor, event.child_id, event.restarts) == ("root", "worker", 0)


async def test_plain_tasks_and_dynamic_children_are_heard_too() -> None:
    events: list[Event] = []
    async with open_supervisor(tree()) as root:
        pool = root.child("pool")
        assert isinstance(pool, DynamicSupervisorRef)
        root.subscribe(events.append)
        spec = TaskSpec("task", trio.sleep, (1,), restart="temporary", handshake=False)
        ref = await pool.start_child(spec)
        await ref.wait_exit()
        assert names(events) == ["Started pool/task", "Stopped pool/task"]


async def test_a_restart_after_a_back_off_is_a_restart() -> None:
    events: list[Event] = []
    spec = ChildSpec("slow", Worker, backoff=Backoff(initial_s=5, jitter="none"))
    async with open_supervisor(SupervisorSpec([spec], report=lambda _: None)) as root:
        root.subscribe(events.append)
        child(root, "slow").cast(Fail())
        await trio.sleep(6)
        assert [(type(event), event.at) for event in events] == [(Stopped, 0.0), (Restarted, 5.0)]


async def test_a_subscription_hears_what_is_below_its_supervisor_only() -> None:
    events: list[Event] = []
    async with open_supervisor(tree()) as root:
        inner = child(root, "inner")
        assert isinstance(inner, SupervisorRef)
        inner.subscribe(events.append)
        for ref in (child(root, "worker"), child(inner, "leaf")):
            ref.cast(Fail())
            await ref.wait_exit()
            await wait_all_tasks_blocked()
        assert names(events) == ["Stopped inner/leaf", "Restarted inner/leaf"]


async def test_a_cancelled_subscription_hears_nothing_more() -> None:
    events: list[Event] = []
    async with open_supervisor(tree()) as root:
        subscription = root.subscribe(events.append, spans=True)
        active = [subscription.active]
        subscription.cancel()
        subscription.cancel()
        assert [*active, subscription.active] == [True, False]
        worker = child(root, "worker")
        worker.cast(Fail())
        await worker.wait_exit()
        await wait_all_tasks_blocked()
    assert events == []


# -- spans -------------------------------------------------------------------------------------


async def test_spans_name_the_kind_the_type_and_the_actor() -> None:
    events: list[Event] = []
    async with open_supervisor(tree()) as root:
        root.subscribe(events.append, spans=True)
        inner = child(root, "inner")
        assert isinstance(inner, SupervisorRef)
        leaf = child(inner, "leaf")
        leaf.cast(Say("x"))
        assert await leaf.call(Ask()) == "x"
        leaf.info("ignored")
        await wait_all_tasks_blocked()
        spans = [event for event in events if isinstance(event, HandlerSpan)]
        assert [(span.kind, span.message) for span in spans] == [
            ("cast", "Say"),
            ("call", "Ask"),
            ("info", "str"),
        ]
        assert {(span.supervisor, span.child_id) for span in spans} == {("inner", "leaf")}
        assert {span.incarnation for span in spans} == {leaf.serial}
        assert all(span.seconds >= 0 for span in spans)


async def test_actors_that_start_later_have_spans_too() -> None:
    events: list[Event] = []
    async with open_supervisor(tree()) as root:
        root.subscribe(events.append, spans=True)
        await root.start_child(ChildSpec("new", Worker))
        child(root, "new").cast(Say())
        await wait_all_tasks_blocked()
        assert [event.child_id for event in events if isinstance(event, HandlerSpan)] == ["new"]


async def test_no_hook_is_in_place_unless_a_listener_wants_spans() -> None:
    def hooks(root: SupervisorRef) -> list[bool]:
        inner = child(root, "inner")
        assert isinstance(inner, SupervisorRef)
        refs = (child(root, "worker"), inner, child(inner, "leaf"))
        return [actor_incarnation_of(ref).debug is not None for ref in refs]

    async with open_supervisor(tree(lambda _event: None)) as root:
        root.subscribe(lambda _event: None)
        assert hooks(root) == [False, False, False]
        first, second = (root.subscribe(lambda _event: None, spans=True) for _ in range(2))
        assert hooks(root) == [True, True, True]
        first.cancel()
        assert hooks(root) == [True, True, True]
        second.cancel()
        assert hooks(root) == [False, False, False]


async def test_spans_leave_traces_and_interceptors_in_place() -> None:
    async with open_supervisor(tree()) as root:
        worker = child(root, "worker")
        interceptor = Interceptor()
        trace(worker)
        subscription = root.subscribe(lambda _event: None, spans=True)
        install(worker, interceptor)
        subscription.cancel()
        assert is_traced(worker)
        assert interceptor_of(worker) is interceptor


# -- gauges ------------------------------------------------------------------------------------


async def test_gauges_show_the_mailbox_of_every_actor_below() -> None:
    async with open_supervisor(tree()) as root:
        worker = child(root, "worker")
        await suspend(worker)
        for _ in range(6):
            worker.cast(Say())
        gauges = {gauge.child_id: gauge for gauge in root.mailboxes()}
        assert list(gauges) == ["worker", "inner", "leaf", "pool"]
        assert gauges["pool"].capacity is None
        now = trio.current_time()
        found = gauges["worker"]
        assert found == MailboxGauge(
            "root", "worker", worker.serial, found.at, waiting=4, capacity=4, high_water=4,
            handled=0, dropped=2,
        )  # fmt: skip
        assert found.at <= now
    with pytest.raises(NoProc):
        root.mailboxes()


# -- what listeners cannot do --------------------------------------------------------------------


async def test_a_listener_that_raises_is_unsubscribed_and_harms_no_actor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError(SECRET)

    async with open_supervisor(tree()) as root:
        subscription = root.subscribe(broken, spans=True)
        root.subscribe(heard.append)
        worker = child(root, "worker")
        worker.cast(Say())
        worker.cast(Say())
        await wait_all_tasks_blocked()
        assert worker.alive
        assert not subscription.active
        worker.cast(Fail())
        await worker.wait_exit()
        await wait_all_tasks_blocked()
        assert child(root, "worker").alive
    assert names(heard)[:2] == ["Stopped root/worker", "Restarted root/worker"]
    assert [record.message for record in caplog.records] == [
        "a telemetry listener raised RuntimeError and is unsubscribed"
    ]


@pytest.mark.parametrize("spans", [True, False])
async def test_a_listener_may_end_the_program(spans: bool) -> None:
    def leave(event: Event) -> None:
        raise SystemExit(3)

    async def scenario() -> None:
        async with open_supervisor(tree()) as root:
            root.subscribe(leave, spans=spans)
            child(root, "worker").cast(Say() if spans else Fail())
            await trio.sleep_forever()

    with pytest.raises(SystemExit) as caught:
        await scenario()
    assert caught.value.code == 3


async def test_a_listener_may_subscribe_and_cancel() -> None:
    heard: list[Event] = []
    async with open_supervisor(tree()) as root:

        def listener(event: Event) -> None:
            subscription.cancel()
            root.subscribe(heard.append)

        subscription = root.subscribe(listener)
        for _ in range(2):
            worker = child(root, "worker")
            worker.cast(Fail())
            await worker.wait_exit()
            await wait_all_tasks_blocked()
        assert names(heard) == ["Restarted root/worker", "Stopped root/worker",
                                "Restarted root/worker"]  # fmt: skip


async def test_events_contain_no_message_no_state_and_no_text_of_an_exception() -> None:
    events: list[Event] = []
    async with open_supervisor(tree(events.append)) as root:
        root.subscribe(events.append, spans=True)
        worker = child(root, "worker")
        worker.cast(Say())
        await worker.call(Ask())
        worker.cast(Fail())
        await worker.wait_exit()
        await wait_all_tasks_blocked()
        events.extend(root.mailboxes())
    kinds = {type(event) for event in events}
    assert kinds == {Started, Restarted, Stopped, HandlerSpan, MailboxGauge}
    assert not re.search(SECRET, repr(events))
    for event in events:
        for field in fields(event):
            assert isinstance(getattr(event, field.name), str | int | float | None)


async def test_a_bad_listener_is_refused() -> None:
    bad: Any = "no function"
    async with open_supervisor(tree()) as root:
        with pytest.raises(TypeError, match="listener must be a function"):
            root.subscribe(bad)
    for spec in (SupervisorSpec, DynamicSpec):
        with pytest.raises(BadSpec, match="telemetry"):
            spec(telemetry=bad)
    with pytest.raises(NoProc):
        root.subscribe(lambda _event: None)
