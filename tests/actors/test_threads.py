"""Other threads: the ordinary surface refuses them and changes nothing; `from_thread` is theirs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    NO_REPLY,
    Actor,
    ActorRef,
    CallTimeout,
    Exited,
    MailboxSpec,
    NoProc,
    Overflow,
    Registry,
    ReplyTo,
    Request,
    WrongThread,
    introspect,
    open_actor_nursery,
)
from locshare.supervisor import ChildSpec, SupervisorSpec, open_supervisor
from tests.running import LAST_RESORT_S


@dataclass(frozen=True)
class Ask(Request[int]):
    """How many messages have come?"""


@dataclass(frozen=True)
class Defer(Request[object]):
    """Answered later, through `Ear.deferred`."""


class Ear(Actor[object]):
    """Remembers what it hears."""

    def init(self) -> None:
        self.heard: list[object] = []
        self.deferred: Any = None
        self.timer = self.send_after(1000, "due")
        self.monitored: Any = None

    def handle_cast(self, message: object) -> None:
        if message == "crash":
            raise RuntimeError
        self.heard.append(message)

    def handle_info(self, message: object) -> None:
        self.heard.append(message)

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        if isinstance(request, Defer):
            self.deferred = reply_to
            return NO_REPLY
        return len(self.heard)


async def elsewhere(function: Callable[[], object]) -> object:
    """Run it in a thread; return what it returns or raises."""

    def run() -> object:
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            return error

    return await trio.to_thread.run_sync(run)


def in_another_run(function: Callable[[], object]) -> object:
    """The same, in a thread with its own Trio run, in which Trio's functions do work."""

    async def main() -> object:
        return function()

    return trio.run(main)


@dataclass
class Here:
    ear: Ear
    ref: ActorRef[object]
    names: Registry[str]
    monitor: Any
    sup: Any


ORDINARY: dict[str, Callable[[Here], object]] = {
    "cast": lambda h: h.ref.cast("x"),
    "info": lambda h: h.ref.info("x"),
    "offer": lambda h: h.ref.offer("x"),
    "name's cast": lambda h: h.names.name("ear").cast("x"),
    "name's info": lambda h: h.names.name("ear").info("x"),
    "name's offer": lambda h: h.names.name("ear").offer("x"),
    "reply": lambda h: h.ear.deferred.reply("x"),
    "fail": lambda h: h.ear.deferred.fail(ValueError()),
    "kill": lambda h: introspect.kill(h.ref),
    "monitor": lambda h: h.ref.monitor(print),
    "monitor of an actor": lambda h: h.ear.monitor(h.ref),
    "cancel a monitor": lambda h: h.monitor.cancel(),
    "link": lambda h: h.ear.link(h.ref),
    "unlink": lambda h: h.ear.unlink(h.ref),
    "spawn": lambda h: h.ear.spawn(trio.sleep_forever),
    "send_at": lambda h: h.ear.send_at(0, "x"),
    "send_after": lambda h: h.ear.send_after(0, "x"),
    "cancel a timer": lambda h: h.ear.timer.cancel(),
    "register": lambda h: h.names.register("other", h.ref),
    "unregister": lambda h: h.names.unregister("ear", h.ref),
}


@pytest.mark.parametrize("another_run", [False, True], ids=["plain thread", "thread with Trio"])
@pytest.mark.parametrize("parked", [True, False], ids=["parked", "busy"])
@pytest.mark.parametrize("what", ORDINARY)
async def test_the_ordinary_surface_raises_in_another_thread_and_changes_nothing(
    what: str, parked: bool, another_run: bool
) -> None:
    """One cast to a parked actor stopped it from ever waking."""
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ear = Ear()
        ref = await actors.start(ear, register=names.name("ear"))
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await ref.call(Defer(), None))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        here = Here(ear, ref, names, ref.monitor(lambda _: None), None)
        if not parked:
            await introspect.suspend(ref)
        before = introspect.statistics(ref)
        function = ORDINARY[what]
        error = await elsewhere(
            (lambda: in_another_run(lambda: function(here)))
            if another_run
            else (lambda: function(here))
        )
        assert isinstance(error, RuntimeError)
        if what != "send_after":  # which asks Trio for the time first
            assert isinstance(error, WrongThread)
            assert "from_thread" in str(error)
        assert introspect.statistics(ref) == before
        assert names.lookup("ear") is ref
        assert len(names) == 1
        await introspect.resume(ref)
        ref.cast("hello")
        assert await ref.call(Ask()) == 1
        assert ear.timer.pending
        assert here.monitor.active
        ear.deferred.reply("late")
        await wait_all_tasks_blocked()
        assert answers == ["late"]


async def test_what_a_thread_sends_arrives_in_its_order() -> None:
    async with open_actor_nursery() as actors:
        ear = Ear()
        ref = await actors.start(ear)

        def work() -> list[int]:
            counts = []
            for number in range(0, 300, 3):
                ref.from_thread.cast(number)
                ref.from_thread.info(number + 1)
                ref.from_thread.cast(number + 2)
                counts.append(ref.from_thread.call(Ask()))
            return counts

        assert await elsewhere(work) == list(range(3, 301, 3))
        assert ear.heard == list(range(300))


async def test_a_cast_from_a_thread_wakes_a_parked_actor() -> None:
    async with open_actor_nursery() as actors:
        ear = Ear()
        ref = await actors.start(ear)
        await wait_all_tasks_blocked()
        await elsewhere(lambda: ref.from_thread.cast("hello"))
        with trio.fail_after(LAST_RESORT_S):
            while not ear.heard:
                await trio.lowlevel.checkpoint()


async def test_many_threads_lose_nothing_that_there_is_room_for() -> None:
    class Roomy(Ear):
        mailbox = MailboxSpec(capacity=None)

    async with open_actor_nursery() as actors:
        ear = Roomy()
        ref = await actors.start(ear)

        def work(first: int) -> None:
            for number in range(first, first + 200):
                ref.from_thread.cast(number)
            ref.from_thread.call(Ask())

        async with trio.open_nursery() as nursery:
            for worker in range(8):
                nursery.start_soon(trio.to_thread.run_sync, work, 200 * worker)
        assert sorted(ear.heard) == list(range(1600))  # type: ignore[type-var]
        for worker in range(8):
            mine = [
                number for number in ear.heard if number in range(200 * worker, 200 * worker + 200)
            ]
            assert mine == sorted(mine)  # type: ignore[type-var]


async def test_a_thread_that_is_faster_than_the_loop_loses_and_is_bounded() -> None:
    class Small(Ear):
        mailbox = MailboxSpec(capacity=10, overflow=Overflow.DROP_NEWEST)

    async with open_actor_nursery() as actors:
        ear = Small()
        ref = await actors.start(ear)
        await introspect.suspend(ref)

        def work() -> None:
            for number in range(1000):
                ref.from_thread.cast(number)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()  # the loop stands still meanwhile
        assert len(ref.from_thread._waiting) == 10
        await elsewhere(lambda: None)
        await introspect.resume(ref)
        assert await ref.call(Ask()) == 10
        assert introspect.statistics(ref).dropped == 990


async def test_a_call_from_a_thread_says_what_went_wrong() -> None:
    class Slow(Ear):
        async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            await trio.sleep_forever()

    class Crashing(Ear):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            raise LookupError

    async with open_actor_nursery(timeout=0) as actors:
        slow, crashing = await actors.start(Slow()), await actors.start(Crashing())
        error = await elsewhere(lambda: slow.from_thread.call(Ask(), 0.01))
        assert isinstance(error, CallTimeout)
        error = await elsewhere(lambda: crashing.from_thread.call(Ask()))
        assert isinstance(error, Exited)
        assert isinstance(error.__cause__, LookupError)
        assert isinstance(await elsewhere(lambda: crashing.from_thread.call(Ask())), NoProc)
        assert isinstance(await elsewhere(lambda: slow.from_thread.call(Ask(), nan)), ValueError)


async def test_a_blocking_call_in_the_actors_own_thread_is_refused() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Ear())
        with pytest.raises(RuntimeError):
            ref.from_thread.call(Ask())


def test_after_the_run_casts_are_dropped_and_calls_raise_noproc() -> None:
    refs: list[ActorRef[object]] = []

    async def main() -> None:
        async with open_actor_nursery() as actors:
            refs.append(await actors.start(Ear()))
            assert refs[0].from_thread is refs[0].from_thread

    trio.run(main)
    refs[0].from_thread.cast("x")
    refs[0].from_thread.info("x")
    with pytest.raises(NoProc):
        refs[0].from_thread.call(Ask())


async def test_a_dead_target_drops_and_counts() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Ear())
        await ref.stop()
        await elsewhere(lambda: ref.from_thread.cast("x"))
        await wait_all_tasks_blocked()
        with trio.fail_after(LAST_RESORT_S):
            while not introspect.statistics(ref).dropped:
                await trio.lowlevel.checkpoint()


async def test_a_supervisors_requests_may_come_from_a_thread_by_its_loop() -> None:
    """`trio.from_thread` is the way to all that is not a message."""
    async with open_supervisor(SupervisorSpec()) as sup:

        def work() -> object:
            return trio.from_thread.run(sup.start_child, ChildSpec("a", Ear))

        assert await elsewhere(work) is sup.child("a")
