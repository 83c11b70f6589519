"""H. Casts, order, continue: statements 53 to 58."""

from collections.abc import Awaitable
from typing import Any

import pytest
import trio

from locshare.actors import (
    Actor,
    ActorRef,
    Continue,
    Crash,
    Exited,
    HandlerResult,
    MailboxHeir,
    MailboxSpec,
    Offer,
    Registry,
    ReplyTo,
    StartError,
    open_actor_nursery,
)
from locshare.actors.introspect import resume, statistics, suspend
from locshare.actors.testing import AddUp, Boom, Echo, Probe, Raise, Script, Sleep, settle
from locshare.supervisor.testing import TreeJournal
from tests.conformance.kit import REPEATS


async def test_s53_cast_returns_at_once_and_never_fails(journal: TreeJournal) -> None:
    class Narrow(Probe):
        mailbox = MailboxSpec(capacity=2)

    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        ref = await actors.start(Narrow("a", journal))
        for number in range(5):
            ref.cast(number)  # three too many: dropped and counted
        assert statistics(ref).dropped == 3
        await settle()
        assert journal.take() == ["init a", "a cast 0", "a cast 1"]
        await ref.stop()
        ref.cast("to the dead")
        ref.info("to the dead")
        names.name("unknown").cast("to no holder")
        names.name("unknown").info("to no holder")
        assert ref.offer("to the dead") is Offer.DEAD
        assert statistics(ref).dropped == 5


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s54_one_senders_messages_keep_their_order(journal: TreeJournal, repeat: int) -> None:
    class Ordered(Actor):
        mailbox = MailboxSpec(capacity=2)

        def init(self) -> None:
            self.seen: dict[str, list[int]] = {"x": [], "y": []}

        def note(self, message: tuple[str, int]) -> None:
            self.seen[message[0]].append(message[1])

        def handle_cast(self, message: Any) -> HandlerResult:
            self.note(message)
            return None

        handle_info = handle_cast

        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            if request.value is None:
                return self.seen
            return self.note(request.value)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Ordered())

        async def send(sender: str) -> None:
            for number in range(0, 40, 4):
                ref.cast((sender, number))
                await ref.deliver((sender, number + 1))
                await ref.call(Echo((sender, number + 2)))
                ref.info((sender, number + 3))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, "x")
            nursery.start_soon(send, "y")
        seen: Any = await ref.call(Echo())
        for numbers in seen.values():
            assert numbers == sorted(numbers)
            assert set(numbers) >= {n for n in range(40) if n % 4 in (1, 2)}


async def test_s55_one_message_at_a_time(journal: TreeJournal) -> None:
    class Overlap(Actor):
        inside = 0

        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            self.inside += 1
            await trio.sleep(1)
            assert self.inside == 1
            self.inside -= 1

    async with open_actor_nursery() as actors:
        ref = await actors.start(Overlap())
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(ref.call, Echo())
        assert trio.current_time() - began == 4


class Continuing(Actor):
    """Notes everything; goes on once from init and once from each cast."""

    def __init__(self, journal: TreeJournal) -> None:
        self.journal = journal

    async def init(self) -> Continue:
        await trio.sleep(1)
        return Continue("from init")

    def handle_continue(self, value: Any) -> HandlerResult | Awaitable[HandlerResult]:
        self.journal.note(f"continue {value}")
        return Continue("twice") if value == "again" else None

    def handle_cast(self, message: Any) -> HandlerResult:
        self.journal.note(f"cast {message}")
        return Continue(message)

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        self.journal.note("call")
        return Continue("from call", reply="early")


async def test_s56_a_continue_runs_before_any_message(journal: TreeJournal) -> None:
    names: Registry[object] = Registry()
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:

        async def start() -> None:
            await actors.start(Continuing(journal), register=names.name("c"))

        nursery.start_soon(start)
        await settle()
        ref = names.lookup("c")
        assert ref is not None
        ref.cast("again")  # queued during init
        ref.cast("b")
        assert await ref.call(Echo()) == "early"
        await settle()
        assert journal.lines == [
            "continue from init",
            *("cast again", "continue again", "continue twice"),
            *("cast b", "continue b"),
            *("call", "continue from call"),
        ]


@pytest.mark.parametrize("fails", [False, True])
async def test_s57_a_named_actor_is_reachable_while_init_runs(
    journal: TreeJournal, fails: bool
) -> None:
    names: Registry[object] = Registry()
    script = Script(init_seconds=3, init_error=Boom() if fails else None)
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:

        async def start() -> None:
            try:
                await actors.start(Probe("a", journal, script), register=names.name("a"))
            except StartError:
                assert fails

        nursery.start_soon(start)
        await settle()
        began = trio.current_time()
        names.name("a").cast("early")
        if fails:
            with pytest.raises(Exited) as caught:
                await names.name("a").call(Echo(1), None)
            assert isinstance(caught.value.__cause__, Boom)
        else:
            assert await names.name("a").call(Echo(1), None) == 1
            assert journal.lines == ["init a", "a cast early"]
        assert trio.current_time() - began == 3


async def test_s58_when_an_actor_dies_its_mailbox_goes_with_it(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await actors.start(Probe("a", journal))
        reasons: list[Any] = []

        async def ask() -> None:
            with pytest.raises(Exited) as caught:
                await ref.call(Echo(), None)
            reasons.append(caught.value.reason)

        await suspend(ref)
        ref.cast(Raise())
        ref.cast("lost")
        ref.info("lost")
        nursery.start_soon(ask)
        await settle()
        await resume(ref)
        await ref.wait_exit()
        await settle()
        assert isinstance(reasons[0], Crash)
        assert statistics(ref).dropped == 2
        assert journal.lines == ["init a", "terminate a", "ended a"]


async def crash_with_backlog(ref: ActorRef) -> None:
    ref.cast("before")
    ref.cast(Raise())
    for number in range(3):
        ref.cast(number)
    ref.info("news")
    await ref.wait_exit()


async def test_s58_unless_it_has_an_heir_which_hands_over_what_waited_in_order(
    journal: TreeJournal,
) -> None:
    heir = MailboxHeir()
    async with open_actor_nursery() as actors:
        first = await actors.start(Probe("a", journal), heir=heir)
        await crash_with_backlog(first)
        assert statistics(first).dropped == 0
        journal.take()
        second = await actors.start(Probe("a", journal), heir=heir)
        second.cast("new")
        assert await second.call(AddUp(0)) == 0
        assert journal.take() == [
            *("init a", "a cast 0", "a cast 1", "a cast 2", "a info news", "a cast new")
        ]
        assert heir.handed_over == 4
        assert heir.clear() == 0


async def test_s58_an_heir_survives_starts_that_fail_and_is_not_used_after_an_ordinary_end(
    journal: TreeJournal,
) -> None:
    heir = MailboxHeir()
    async with open_actor_nursery() as actors:
        await crash_with_backlog(await actors.start(Probe("a", journal), heir=heir))
        with pytest.raises(StartError):
            await actors.start(Probe("b", journal, Script(init_error=Boom())), heir=heir)
        assert len(heir.entries) == 4
        third = await actors.start(Probe("c", journal), heir=heir)
        assert await third.call(AddUp(1)) == 1
        with trio.move_on_after(1):
            await third.call(Sleep(5))
        third.cast("too late")
        await third.stop(timeout=10)
        assert heir.clear() == 0
