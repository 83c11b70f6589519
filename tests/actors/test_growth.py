"""What is asked in vain, again and again, leaves nothing behind."""

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    Actor,
    ActorRef,
    CallTimeout,
    MailboxFull,
    MailboxSpec,
    Overflow,
    ReplyTo,
    Request,
    introspect,
    open_actor_nursery,
)
from locshare.actors.lowlevel import actor_incarnation_of
from locshare.actors.mailbox import SWEEP_AT
from locshare.supervisor import SupervisorSpec, TaskSpec, open_supervisor
from tests.running import LAST_RESORT_S


class Ask(Request[None]):
    """Never answered in time."""


class Busy(Actor):
    """Never finishes its first message."""

    async def handle_cast(self, message: Any) -> None:
        await trio.sleep_forever()

    async def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> None:
        await trio.sleep_forever()


class Stopping(Busy):
    mailbox = MailboxSpec(capacity=1, overflow=Overflow.STOP)


class Unbounded(Busy):
    mailbox = MailboxSpec(capacity=None)


def waiting(ref: ActorRef) -> int:
    """Entries in both lanes."""
    mailbox = ref._incarnation.mailbox
    return len(mailbox.system) + len(mailbox.queue) + len(mailbox.senders)


async def test_a_full_mailbox_that_stops_its_actor_asks_once() -> None:
    async with open_actor_nursery(timeout=0) as actors:
        ref = await actors.start(Stopping())
        ref.cast("busy")
        await wait_all_tasks_blocked()
        for _ in range(1000):
            ref.cast("more")
        assert waiting(ref) == 2  # what there was room for, and the stop
        assert introspect.statistics(ref).dropped == 999


async def test_asking_a_busy_actor_to_stop_again_adds_nothing() -> None:
    async with open_actor_nursery(timeout=0) as actors:
        ref = await actors.start(Busy())
        ref.cast("busy")
        await wait_all_tasks_blocked()
        timers = ref._incarnation.clock.pending()
        for _ in range(100):
            with pytest.raises(CallTimeout):
                await ref.stop(timeout=0)
        assert waiting(ref) == 1
        assert ref._incarnation.clock.pending() == timers


async def test_stopping_a_supervisor_again_and_again_adds_nothing() -> None:
    async def shielded(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope(shield=True):
            task_status.started()
            await leave.wait()

    leave = trio.Event()
    inner = SupervisorSpec([TaskSpec("a", shielded)]).child("inner", restart="temporary")
    async with open_supervisor(SupervisorSpec([inner], report=lambda _: None)) as root:
        sup: Any = root.child("inner")
        for timeout in range(1000, 900, -1):
            with trio.move_on_after(0):
                await sup.stop(timeout=timeout)
        assert waiting(sup) <= 1
        assert sup._incarnation.clock.pending() <= 2
        leave.set()
        await sup.wait_exit()


@pytest.mark.parametrize("how", ["times out", "is cancelled"])
async def test_an_inspection_that_is_given_up_is_taken_back(
    autojump_clock: object, how: str
) -> None:
    async with open_actor_nursery(timeout=0) as actors:
        ref = await actors.start(Busy())
        ref.cast("busy")
        await wait_all_tasks_blocked()
        for _ in range(100):
            if how == "times out":
                with pytest.raises(CallTimeout):
                    await introspect.get_state(ref, 1)
            else:
                with trio.move_on_after(1):
                    await introspect.get_state(ref, None)
        assert waiting(ref) == 0


@pytest.mark.parametrize("how", ["times out", "is cancelled"])
async def test_calls_that_are_given_up_do_not_pile_up_where_there_is_no_bound(
    autojump_clock: object, how: str
) -> None:
    async with open_actor_nursery(timeout=0) as actors:
        ref = await actors.start(Unbounded())
        ref.cast("busy")
        await wait_all_tasks_blocked()
        ref.cast("stays")
        for _ in range(10 * SWEEP_AT):
            if how == "times out":
                with pytest.raises(CallTimeout):
                    await ref.call(Ask(), 1)
            else:
                with trio.move_on_after(1):
                    await ref.call(Ask(), None)
        assert waiting(ref) <= 2 * SWEEP_AT + 2
        assert ref._incarnation.mailbox.queue[0] == (0, "stays")


async def test_a_cancelled_call_that_waits_for_room_is_withdrawn(
    autojump_clock: object,
) -> None:
    class Small(Busy):
        mailbox = MailboxSpec(capacity=1)

    async with open_actor_nursery(timeout=0) as actors:
        ref = await actors.start(Small())
        ref.cast("busy")
        await wait_all_tasks_blocked()
        ref.cast("fills it")
        for _ in range(100):
            with pytest.raises(CallTimeout):
                await ref.call(Ask(), 1)
        assert waiting(ref) == 1


async def test_a_helper_that_spawns_another_at_its_end_does_not_hold_up_the_end() -> None:
    class Helped(Actor):
        def init(self) -> None:
            self.spawn(self.first)

        async def first(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                self.spawn(trio.sleep_forever)

    async with open_actor_nursery() as actors:
        ref = await actors.start(Helped())
        await wait_all_tasks_blocked()
        with trio.fail_after(LAST_RESORT_S):
            await ref.stop()


async def test_a_refused_call_counts_once(autojump_clock: object) -> None:
    async with open_actor_nursery(timeout=0) as actors:
        ref = await actors.start(Stopping())
        ref.cast("busy")
        await wait_all_tasks_blocked()
        ref.cast("fills it")
        for _ in range(10):
            with pytest.raises(MailboxFull):
                await ref.call(Ask())
        assert waiting(ref) == 2
        assert introspect.statistics(ref).dropped == 10


async def test_monitors_that_are_cancelled_leave_nothing_with_their_target() -> None:
    async with open_actor_nursery() as actors:
        ref = await actors.start(Busy())
        for _ in range(100):
            ref.monitor(lambda _down: None).cancel()
        assert not actor_incarnation_of(ref)._monitors
