"""Mailboxes: the bound, the four overflow rules, waiting for room, what is exempt."""

from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    ActorNursery,
    ActorRef,
    Crash,
    Exited,
    ExitReason,
    MailboxFull,
    MailboxSpec,
    NoProc,
    Offer,
    Overflow,
    open_actor_nursery,
)
from locshare.actors.introspect import inspect, resume, statistics, suspend
from locshare.actors.testing import Echo, Probe


async def full(actors: ActorNursery, overflow: Overflow) -> ActorRef:
    """A suspended actor whose mailbox of two holds 1 and 2."""

    class Narrow(Probe):
        mailbox = MailboxSpec(capacity=2, overflow=overflow)

    ref = await actors.start(Narrow())
    await suspend(ref)
    assert ref.offer(1) is Offer.ACCEPTED
    assert ref.offer(2) is Offer.ACCEPTED
    return ref


async def seen(ref: ActorRef) -> list[object]:
    await resume(ref)
    await wait_all_tasks_blocked()
    return await inspect(ref, lambda actor: cast("Probe", actor).messages())


async def test_without_a_bound_everything_is_taken() -> None:
    class Wide(Probe):
        mailbox = MailboxSpec(capacity=None)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Wide())
        await suspend(ref)
        assert {ref.offer(number) for number in range(5000)} == {Offer.ACCEPTED}
        assert len(await seen(ref)) == 5000


async def test_refuse_says_full_and_counts_only_what_was_lost() -> None:
    async with open_actor_nursery() as actors:
        ref = await full(actors, Overflow.REFUSE)
        assert ref.offer(3) is Offer.FULL
        assert statistics(ref).dropped == 0
        ref.cast(4)
        ref.info(5)
        assert statistics(ref).dropped == 2
        assert await seen(ref) == [1, 2]


async def test_refuse_makes_deliver_wait_for_room_in_the_order_of_arrival() -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await full(actors, Overflow.REFUSE)
        for number in (3, 4, 5):
            nursery.start_soon(ref.deliver, number)
            await wait_all_tasks_blocked()
        assert ref.offer("overtakes") is Offer.FULL
        assert await seen(ref) == [1, 2, 3, 4, 5]


async def test_a_cancelled_deliver_was_not_taken(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        ref = await full(actors, Overflow.REFUSE)
        with trio.move_on_after(1) as scope:
            await ref.deliver(3)
        assert scope.cancelled_caught
        assert await seen(ref) == [1, 2]


async def test_deliver_to_the_dead_and_the_dying() -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await full(actors, Overflow.REFUSE)

        async def wait_in_vain() -> None:
            with pytest.raises(Exited):
                await ref.deliver(3)

        nursery.start_soon(wait_in_vain)
        await wait_all_tasks_blocked()
        await ref.stop()
        with pytest.raises(NoProc):
            await ref.deliver(4)


async def test_drop_newest_drops_and_counts_and_no_sender_waits() -> None:
    async with open_actor_nursery() as actors:
        ref = await full(actors, Overflow.DROP_NEWEST)
        assert ref.offer(3) is Offer.FULL
        await ref.deliver(4)
        ref.cast(5)
        with pytest.raises(MailboxFull):
            await ref.call(Echo())
        assert statistics(ref).dropped == 4
        assert await seen(ref) == [1, 2]


async def test_drop_oldest_makes_room_and_tells_a_caller_that_was_pushed_out() -> None:
    async with open_actor_nursery() as actors, trio.open_nursery() as nursery:
        ref = await full(actors, Overflow.DROP_OLDEST)

        async def pushed_out() -> None:
            with pytest.raises(MailboxFull):
                await ref.call(Echo(), None)

        nursery.start_soon(pushed_out)
        await wait_all_tasks_blocked()
        for number in (3, 4):
            assert ref.offer(number) is Offer.ACCEPTED
        assert statistics(ref).dropped == 3
        assert await seen(ref) == [3, 4]


async def test_stop_ends_the_actor() -> None:
    async with open_actor_nursery() as actors:
        ref = await full(actors, Overflow.STOP)
        ref.cast(3)
        reason = await ref.wait_exit()
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, MailboxFull)
        assert statistics(ref).dropped == 3  # the one too many, and the two that waited


async def test_an_actor_that_its_full_mailbox_stops_has_its_time_to_terminate(
    autojump_clock: object,
) -> None:
    class Slow(Probe):
        mailbox = MailboxSpec(capacity=1, overflow=Overflow.STOP)

        async def terminate(self, reason: ExitReason) -> None:
            await trio.sleep(4)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Slow())
        began = trio.current_time()
        ref.cast(1)
        ref.cast(2)
        assert isinstance(await ref.wait_exit(), Crash)
        assert trio.current_time() == began + 4


@pytest.mark.parametrize("overflow", Overflow)
async def test_down_and_timers_are_exempt_from_the_bound(
    overflow: Overflow, autojump_clock: object
) -> None:
    class Timed(Probe):
        mailbox = MailboxSpec(capacity=2, overflow=overflow)

        async def init(self) -> None:
            self.send_after(1, "timer")
            self.monitor(None)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Timed())
        await suspend(ref)
        await trio.sleep(0.5)
        ref.offer(1)
        ref.offer(2)
        await trio.sleep(1)
        assert statistics(ref).waiting >= 3
        assert "timer" in await seen(ref)


async def test_a_ref_keeps_neither_the_actor_nor_its_mailbox_alive() -> None:
    import gc
    import weakref

    async with open_actor_nursery() as actors:
        actor = Probe()
        ghost = weakref.ref(actor)
        ref = await actors.start(actor)
        del actor
        ref.cast(object())
        await ref.stop()
        gc.collect()
        assert ghost() is None
        assert not ref.alive
