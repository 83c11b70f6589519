"""The actor's loop: batches, what a crash loses and what it does not, helpers, hosts."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    SHUTDOWN,
    Actor,
    ActorRef,
    Continue,
    Crash,
    Exited,
    InitTimeout,
    MailboxHeir,
    NoProc,
    Registry,
    ReplyTo,
    Request,
    StartError,
    StopActor,
    open_actor_nursery,
)
from locshare.actors.introspect import inspect, resume, suspend


class Total(Request[int]):
    """Answered with the sum so far."""


class Summing(Actor):
    """Adds up casts; flushes after each batch; crashes in the flush after "poison"."""

    def init(self) -> None:
        self.total = 0
        self.flushed: list[int] = []
        self.poisoned = False

    def handle_cast(self, message: Any) -> None:
        if message == "poison":
            self.poisoned = True
        else:
            self.total += message

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        return self.total

    def after_batch(self) -> None:
        if self.poisoned:
            raise RuntimeError
        self.flushed.append(self.total)


async def test_after_batch_comes_once_for_all_that_waited() -> None:
    async with open_actor_nursery() as actors:
        actor = Summing()
        ref = await actors.start(actor)
        for number in (1, 2, 3):
            ref.cast(number)
        await wait_all_tasks_blocked()
        assert actor.flushed == [6]
        await inspect(ref, lambda actor: None)  # inspection is no batch
        assert actor.flushed == [6]


async def test_a_crash_in_after_batch_loses_no_message() -> None:
    heir = MailboxHeir()
    async with open_actor_nursery() as actors:
        ref = await actors.start(Summing(), heir=heir)
        await suspend(ref)
        ref.cast("poison")
        for _ in range(Summing.batch_limit + 4):
            ref.cast(1)
        await resume(ref)
        reason = await ref.wait_exit()
        assert isinstance(reason, Crash)
        new = await actors.start(Summing(), heir=heir)
        assert await new.call(Total()) == 5  # the rest had been handled, and waited for no flush


async def test_after_batch_comes_before_the_actor_gives_way_but_not_before_terminate() -> None:
    class Stopping(Summing):
        def handle_cast(self, message: Any) -> Any:
            return StopActor()

    async with open_actor_nursery() as actors:
        actor = Stopping()
        ref = await actors.start(actor)
        ref.cast(1)
        await ref.wait_exit()
        assert actor.flushed == []


async def test_a_handler_may_stop_itself_from_a_continue() -> None:
    class Once(Actor):
        def init(self) -> Continue:
            return Continue()

        def handle_continue(self, value: Any) -> StopActor:
            return StopActor(SHUTDOWN)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Once())
        assert await ref.wait_exit() == SHUTDOWN


@pytest.mark.parametrize("result", ["text", 3, StopActor()])
async def test_a_wrong_return_value_of_init_is_a_failed_start(result: object) -> None:
    class Wrong(Actor):
        def init(self) -> Any:
            return result

    async with open_actor_nursery() as actors:
        with pytest.raises(StartError, match="did not start"):
            await actors.start(Wrong())


async def test_an_actor_nursery_refuses_an_init_that_declines_or_takes_too_long(
    autojump_clock: object,
) -> None:
    from locshare.actors import IGNORE

    class Declining(Actor):
        def init(self) -> Any:
            return IGNORE

    class Slow(Actor):
        async def init(self) -> None:
            await trio.sleep(99)

    names: Registry[object] = Registry()
    async with open_actor_nursery() as actors:
        with pytest.raises(StartError, match="declined"):
            await actors.start(Declining())
        with pytest.raises(InitTimeout):
            await actors.start(Slow(), register=names.name("slow"), init_timeout=2)
        with trio.move_on_after(1) as scope:
            await actors.start(Slow(), register=names.name("slow"))
        assert scope.cancelled_caught
        assert len(names) == 0


async def test_an_error_in_a_hosts_block_leaves_bare_after_the_actors_have_stopped() -> None:
    refs: list[ActorRef] = []

    async def scenario() -> None:
        async with open_actor_nursery() as actors:
            refs.append(await actors.start(Summing()))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await scenario()
    assert refs[0].exit_reason == SHUTDOWN


async def test_only_the_living_spawn_helpers() -> None:
    async with open_actor_nursery() as actors:
        actor = Summing()
        ref = await actors.start(actor)
        await ref.stop()
        with pytest.raises(RuntimeError, match="alive"):
            actor.spawn(trio.sleep, 1)
        with pytest.raises(NoProc):
            await ref.stop()


async def test_the_texts_of_errors_name_types_only() -> None:
    class Secretive(Actor):
        def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
            raise ValueError("47.3769 N")

    async with open_actor_nursery() as actors:
        ref = await actors.start(Secretive(), name="secretive")
        with pytest.raises(Exited) as caught:
            await ref.call(Total())
    assert str(caught.value) == "secretive is down (crash: ValueError)"
    for thing in (caught.value, caught.value.reason, ref):
        assert "47" not in repr(thing).replace(f"#{ref.serial}", "")


async def test_a_busy_actor_does_not_starve_the_others(autojump_clock: object) -> None:
    class Restless(Actor):
        def init(self) -> None:
            self.ref.cast("again")

        def handle_cast(self, message: Any) -> None:
            self.ref.cast("again")

    async with open_actor_nursery() as actors:
        ref = await actors.start(Restless())
        other = await actors.start(Summing())
        other.cast(1)
        assert await other.call(Total()) == 1
        assert await ref.stop() == SHUTDOWN  # and the stop overtakes its endless backlog
