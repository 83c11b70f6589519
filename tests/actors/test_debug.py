"""Interceptors: OTP's debug functions, and what fault injection is made of."""

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
import trio.testing

from locshare.actors import (
    KILLED,
    Actor,
    CallTimeout,
    Crash,
    Exited,
    ExitReason,
    MailboxSpec,
    Offer,
    ReplyTo,
    Request,
    open_actor_nursery,
)
from locshare.actors.introspect import (
    Interceptor,
    install,
    interceptor_of,
    is_traced,
    resume,
    statistics,
    suspend,
    trace,
    trace_events,
)
from locshare.actors.lowlevel import fill_mailbox


class Ask(Request[str]):
    """Answered with what was handled so far."""


class Worker(Actor):
    mailbox = MailboxSpec(capacity=3)

    def init(self) -> None:
        self.handled: list[object] = []
        self.terminated: ExitReason | None = None

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        return str(self.handled)

    def handle_cast(self, message: Any) -> None:
        self.handled.append(message)

    def handle_info(self, message: Any) -> None:
        self.handled.append(message)


class Seen(Interceptor):
    """Notes what it is shown; raises at ``crash_at``; takes ``seconds`` for each message."""

    def __init__(self, crash_at: object = None, seconds: float = 0.0) -> None:
        self.messages: list[object] = []
        self.ends: list[ExitReason] = []
        self.crash_at = crash_at
        self.seconds = seconds

    def before(self, message: object) -> Awaitable[None] | None:
        self.messages.append(message)
        if message == self.crash_at:
            raise RuntimeError
        return self.wait() if self.seconds else None

    async def wait(self) -> None:
        await trio.sleep(self.seconds)

    def before_terminate(self, reason: ExitReason) -> None:
        self.ends.append(reason)


async def test_it_sees_each_message_that_is_handled_and_no_other(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        worker = Worker()
        ref = await actors.start(worker)
        seen = Seen()
        install(ref, seen)
        assert interceptor_of(ref) is seen
        request = Ask()
        worker.send_after(1, "due")
        worker.send_after(1, "cancelled").cancel()
        late = worker.send_after(1, "cancelled when it was queued")
        ref.cast("cast")
        ref.info("info")
        await ref.call(request)
        with trio.move_on_after(0):
            await ref.call(Ask())
        await suspend(ref)
        await trio.sleep(2)
        late.cancel()
        await resume(ref)
        await ref.call(request)
        assert seen.messages == ["cast", "info", request, "due", request]
        install(ref, None)
        ref.cast("unseen")
        await ref.call(request)
        assert len(seen.messages) == 5
        assert interceptor_of(ref) is None


async def test_what_it_raises_is_the_crash_of_the_handler() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Worker())
        request = Ask()
        install(ref, Seen(crash_at=request))
        ref.cast("before")
        with pytest.raises(Exited) as caught:
            await ref.call(request)
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert isinstance(ref.exit_reason, Crash)


async def test_what_it_awaits_is_the_time_of_the_handler(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Worker())
        install(ref, Seen(seconds=3))
        began = trio.current_time()
        with pytest.raises(CallTimeout):
            await ref.call(Ask(), 2)
        assert await ref.call(Ask()) == "[]"
        assert trio.current_time() - began == 6, "the first was abandoned, but it took its time"


async def test_it_and_a_trace_know_nothing_of_each_other() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Worker())
        seen = Seen()
        trace(ref)
        install(ref, seen)
        await ref.call(Ask())
        assert [event.type for event in trace_events(ref)] == ["Ask"]
        trace(ref, on=False)
        await ref.call(Ask())
        trace(ref)
        install(ref, None)
        assert is_traced(ref)
        await ref.call(Ask())
        assert len(seen.messages) == 2
        assert len(trace_events(ref)) == 1


async def test_it_hears_of_the_end_also_of_an_actor_without_terminate() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Worker())
        seen = Seen()
        install(ref, seen)
        reason = await ref.stop()
        assert seen.ends == [reason]


async def test_an_interceptor_that_hangs_is_killed_like_a_handler(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Worker())
        install(ref, Seen(seconds=10_000))
        ref.cast("forever")
        await trio.testing.wait_all_tasks_blocked()
        await actors.stop(timeout=2)
        assert ref.exit_reason is KILLED


async def test_a_filled_mailbox_is_full_until_the_actor_runs_and_then_as_it_was() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Worker())
        await suspend(ref)
        ref.cast("there before")
        assert fill_mailbox(ref) == 2
        assert ref.offer("no room") is Offer.FULL
        assert statistics(ref).waiting == 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.deliver, "waited")
            await trio.testing.wait_all_tasks_blocked()
            await resume(ref)
        assert await ref.call(Ask()) == "['there before', 'waited']"
        await ref.stop()
        assert fill_mailbox(ref) == 0
