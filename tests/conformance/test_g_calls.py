"""G. Calls: statements 45 to 52."""

from dataclasses import dataclass
from typing import Any

import pytest
import trio

from locshare.actors import (
    IGNORE,
    NO_REPLY,
    NORMAL,
    Actor,
    ActorRef,
    BadReturn,
    CallTimeout,
    CallToSelf,
    Continue,
    Crash,
    Exited,
    MailboxSpec,
    NoProc,
    Registry,
    ReplyTo,
    Request,
    StopActor,
    UnhandledMessage,
    open_actor_nursery,
)
from locshare.actors.introspect import statistics
from locshare.actors.lowlevel import actor_incarnation_of
from locshare.actors.testing import AddUp, Boom, Echo, Finish, Probe, Script, Sleep, settle
from locshare.supervisor.testing import TreeJournal


class Narrow(Probe):
    mailbox = MailboxSpec(capacity=1)


async def timed_out(ref: ActorRef, request: Request[Any], timeout: float) -> float:
    """How long a call took to time out."""
    began = trio.current_time()
    with pytest.raises(CallTimeout):
        await ref.call(request, timeout)
    return trio.current_time() - began


async def test_s45_the_timeout_covers_the_handling(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        assert await timed_out(ref, Sleep(4), 2) == 2


async def test_s45_the_timeout_covers_the_queue(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await actors.start(Probe("a", journal))
        nursery.start_soon(ref.call, Sleep(4))
        await settle()
        assert await timed_out(ref, Echo(), 2) == 2


async def test_s45_the_timeout_covers_the_wait_for_room(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await actors.start(Narrow("a", journal))
        nursery.start_soon(ref.call, Sleep(4))
        await settle()
        ref.cast("fills the mailbox")
        assert await timed_out(ref, AddUp(1), 2) == 2
        assert await ref.call(AddUp(0)) == 0  # it never reached the server


async def test_s46_after_a_timeout_the_server_goes_on_and_the_late_reply_is_dropped(
    journal: TreeJournal,
) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        await timed_out(ref, Sleep(4, "late"), 2)
        assert await ref.call(Echo("mine")) == "mine"
        await trio.sleep(5)
        assert await ref.call(Echo("and mine")) == "and mine"
        assert journal.lines == ["init a"]


async def test_s46_a_call_whose_caller_gave_up_before_it_was_taken_is_skipped(
    journal: TreeJournal,
) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await actors.start(Probe("a", journal))
        nursery.start_soon(ref.call, Sleep(4))
        await settle()
        await timed_out(ref, AddUp(1), 2)
        assert await ref.call(AddUp(0)) == 0
        await settle()
        assert statistics(ref).skipped == 1


async def test_s47_a_call_to_the_dead_or_unknown_fails_at_once(journal: TreeJournal) -> None:
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        await ref.stop()
        began = trio.current_time()
        with pytest.raises(NoProc):
            await ref.call(Echo(), None)
        with pytest.raises(NoProc):
            await names.name("unknown").call(Echo(), None)
        assert trio.current_time() == began


async def test_s48_if_the_server_dies_every_caller_learns_the_reason_promptly(
    journal: TreeJournal,
) -> None:
    """In the handler, in the queue, waiting for room, answered later, inspecting."""

    class Later(Narrow):
        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            if request == Echo("later"):
                return NO_REPLY
            if isinstance(request, WorkThenFail):
                await trio.sleep(request.seconds)
                raise request.error
            return await super().handle_call(request, reply_to)

    boom = Boom()
    seen: dict[str, Any] = {}

    async with open_actor_nursery() as actors:
        ref = await actors.start(Later("a", journal))

        async def caller(caller_name: str, request: Request[Any], timeout: float | None) -> None:
            with pytest.raises(Exited) as caught:
                await ref.call(request, timeout)
            assert caught.value.__cause__ is boom
            seen[caller_name] = (caught.value.reason, trio.current_time())

        async with trio.open_nursery() as nursery:
            for caller_name, request, timeout in (
                ("deferred", Echo("later"), None),
                ("handling", WorkThenFail(3, boom), 60),
                ("queued", Echo(), None),
                ("no room", Echo(), 60),
            ):
                nursery.start_soon(caller, caller_name, request, timeout)
                await settle()
    assert seen.keys() == {"deferred", "handling", "queued", "no room"}
    assert {instant for _, instant in seen.values()} == {3}
    assert all(isinstance(reason, Crash) for reason, _ in seen.values())


@dataclass(frozen=True)
class WorkThenFail(Request[None]):
    seconds: float
    error: Exception


async def test_s49_a_call_to_oneself_fails_at_once(journal: TreeJournal) -> None:
    class Selfish(Actor):
        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            began = trio.current_time()
            try:
                await self.ref.call(Echo())
            except CallToSelf:
                return trio.current_time() - began

    async with open_actor_nursery() as actors:
        assert await (await actors.start(Selfish())).call(Echo()) == 0


async def test_s49_a_cycle_ends_by_timeout(journal: TreeJournal) -> None:
    class Asks(Actor):
        other: ActorRef

        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            try:
                return await self.other.call(Echo(), 2)
            except CallTimeout:
                return "timeout"

    async with open_actor_nursery() as actors:
        one, two = Asks(), Asks()
        one_ref, two_ref = await actors.start(one), await actors.start(two)
        one.other, two.other = two_ref, one_ref
        assert await one_ref.call(Echo(), 9) == "timeout"


async def test_s50_a_reply_may_come_later_from_another_task_and_the_first_counts(
    journal: TreeJournal,
) -> None:
    class Later(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            self.spawn(self.answer, reply_to)
            return NO_REPLY

        async def answer(self, reply_to: ReplyTo[Any]) -> None:
            await trio.sleep(2)
            reply_to.reply("first")
            reply_to.reply("second")
            reply_to.fail(Boom())

    async with open_actor_nursery() as actors:
        ref = await actors.start(Later())
        assert await ref.call(Echo()) == "first"
        with trio.move_on_after(1) as scope:
            await ref.call(Echo())
        assert scope.cancelled_caught
        await trio.sleep(5)  # the late answer to the cancelled caller changes nothing
        assert await ref.call(Echo()) == "first"
        assert actor_incarnation_of(ref).unanswered == {}


@pytest.mark.parametrize("kind", ["cast", "info", "call", "continue"])
async def test_s51_a_wrong_return_value_crashes_the_server(journal: TreeJournal, kind: str) -> None:
    class Wrong(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            return IGNORE if kind == "call" else Continue()

        def handle_cast(self, message: Any) -> Any:
            return "ok"

        handle_info = handle_cast

        def handle_continue(self, value: Any) -> Any:
            return "ok"

    async with open_actor_nursery() as actors:
        ref = await actors.start(Wrong())
        if kind == "cast":
            ref.cast("x")
        elif kind == "info":
            ref.info("x")
        with pytest.raises(Exited) as caught:
            await ref.call(Echo())
        assert isinstance(caught.value.__cause__, BadReturn)


async def test_s51_a_missing_handler_crashes_and_the_caller_sees_why(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Actor())
        with pytest.raises(Exited) as caught:
            await ref.call(Echo())
        assert isinstance(caught.value.__cause__, UnhandledMessage)
        assert "Echo" in str(caught.value.__cause__)

        ref = await actors.start(Actor())
        ref.cast(Echo())
        reason = await ref.wait_exit()
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, UnhandledMessage)


async def test_s51_an_unexpected_info_is_logged_and_ignored(
    journal: TreeJournal, caplog: pytest.LogCaptureFixture
) -> None:
    class Bare(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            return "alive"

    async with open_actor_nursery() as actors:
        ref = await actors.start(Bare())
        ref.info("the text of a message")
        assert await ref.call(Echo()) == "alive"
    assert "unexpected message of type str" in caplog.text
    assert "the text" not in caplog.text


async def test_s52_stop_with_reply_delivers_the_reply_even_if_terminate_crashes(
    journal: TreeJournal,
) -> None:
    class Last(Probe):
        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            return StopActor(NORMAL, reply="goodbye")

    async with open_actor_nursery() as actors:
        ref = await actors.start(Last("a", journal, Script(terminate_error=Boom())))
        assert await ref.call(Echo()) == "goodbye"
        assert isinstance(await ref.wait_exit(), Crash)


async def test_an_exception_as_a_value_is_returned_and_fail_raises(journal: TreeJournal) -> None:
    """The choice OTP leaves open: only what was passed to `fail` is raised in the caller."""

    class Values(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            if request == Echo("fail"):
                reply_to.fail(Boom("no"))
                return NO_REPLY
            return Boom("a value")

    async with open_actor_nursery() as actors:
        ref = await actors.start(Values())
        assert isinstance(await ref.call(Echo()), Boom)
        with pytest.raises(Boom, match="no"):
            await ref.call(Echo("fail"))
        assert ref.alive


async def test_a_stop_without_a_reply_tells_the_caller_the_reason(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        with pytest.raises(Exited) as caught:
            await ref.call(Finish())
        assert caught.value.reason == NORMAL


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
async def test_a_bad_timeout_sends_nothing(journal: TreeJournal, timeout: float) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Probe("a", journal))
        with pytest.raises(ValueError, match="timeout"):
            await ref.call(AddUp(1), timeout)
        assert await ref.call(AddUp(0), float("inf")) == 0
