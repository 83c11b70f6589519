"""Timers: one heap, one task, exact under the mock clock."""

from functools import partial
from itertools import pairwise
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import Actor, ReplyTo, Request, open_actor_nursery
from locshare.actors.actor import Timer
from locshare.actors.clock import SWEEP_AT, CallAt, current_clock
from locshare.actors.introspect import inspect, resume, suspend


class Seen(Request[list[object]]):
    """Answered with what came, and when."""


class Timed(Actor):
    def init(self) -> None:
        self.began = trio.current_time()
        self.seen: list[object] = []

    def handle_info(self, message: Any) -> None:
        self.seen.append((message, trio.current_time() - self.began))

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        return list(self.seen)


async def test_timers_fire_in_order_of_time_and_then_of_setting(autojump_clock: object) -> None:
    class Several(Timed):
        def init(self) -> None:
            super().init()
            self.send_after(3, "c")
            self.send_after(1, "a")
            self.send_after(1, "b")
            self.send_at(self.began + 2, "by the clock")

    async with open_actor_nursery() as actors:
        ref = await actors.start(Several())
        await trio.sleep(4)
        assert await ref.call(Seen()) == [("a", 1), ("b", 1), ("by the clock", 2), ("c", 3)]


async def test_a_cancelled_timer_is_never_seen_even_if_it_was_queued(
    autojump_clock: object,
) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Timed())
        early: Timer = await inspect(ref, lambda actor: actor.send_after(1, "early"))
        queued: Timer = await inspect(ref, lambda actor: actor.send_after(1, "queued"))
        early.cancel()
        assert not early.pending
        await suspend(ref)
        await trio.sleep(2)
        queued.cancel()
        queued.cancel()
        await resume(ref)
        assert await ref.call(Seen()) == []


async def test_timers_die_with_their_actor(autojump_clock: object) -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Timed())
        timer: Timer = await inspect(ref, lambda actor: actor.send_after(100, "never"))
        await ref.stop()
        assert not timer.pending
        assert current_clock().pending() == 0


async def test_an_earlier_timer_set_later_is_in_time(autojump_clock: object) -> None:
    clock = current_clock()
    fired: list[float] = []
    CallAt(clock, trio.current_time() + 9, lambda: fired.append(trio.current_time()))
    await trio.sleep(1)
    CallAt(clock, trio.current_time() + 1, lambda: fired.append(trio.current_time()))
    await trio.sleep(20)
    assert [later - earlier for earlier, later in pairwise(fired)] == [7]


async def test_disarmed_entries_are_swept_out_and_the_rest_still_fire(
    autojump_clock: object,
) -> None:
    clock = current_clock()
    fired: list[int] = []
    began = trio.current_time()
    kept = [CallAt(clock, began + n + 1, partial(fired.append, n)) for n in range(5)]
    for number in range(SWEEP_AT * 4):
        CallAt(clock, began + 1000 + number, lambda: fired.append(-1)).disarm()
    assert clock.pending() == 5
    assert len(clock._heap) < SWEEP_AT * 2 + 10
    kept[2].disarm()
    await trio.sleep(5000)
    assert fired == [0, 1, 3, 4]


async def test_disarmed_entries_stay_until_they_are_many_enough_to_sweep() -> None:
    clock = current_clock()
    armed = [CallAt(clock, trio.current_time() + 1000, list) for _ in range(SWEEP_AT + 10)]
    for each in armed[:SWEEP_AT]:
        each.disarm()
    assert len(clock._heap) == SWEEP_AT + 10
    armed[SWEEP_AT].disarm()
    assert len(clock._heap) == 9
    for each in armed:
        each.disarm()


async def test_a_timer_set_by_a_timer_is_in_time(autojump_clock: object) -> None:
    clock = current_clock()
    fired: list[float] = []

    def again() -> None:
        fired.append(trio.current_time())
        if len(fired) < 3:
            CallAt(clock, trio.current_time() + 2, again)

    again()
    await trio.sleep(10)
    assert [later - earlier for earlier, later in pairwise(fired)] == [2, 2]


async def test_no_task_per_timer() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Timed())
        await inspect(ref, lambda actor: actor.send_after(1000, "first"))
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(100):
            await inspect(ref, lambda actor: actor.send_after(1000, "more"))
        assert trio.lowlevel.current_statistics().tasks_living == before
