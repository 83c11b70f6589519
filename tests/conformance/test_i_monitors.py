"""I. Monitors and links: statements 59 to 63."""

from typing import Any

import pytest
import trio

from locshare.actors import (
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorRef,
    Crash,
    Down,
    LinkExit,
    Monitor,
    Registry,
    ReplyTo,
    open_actor_nursery,
)
from locshare.actors.introspect import inspect, resume, suspend
from locshare.actors.testing import Echo, Finish, Probe, Raise, settle
from locshare.supervisor.testing import TreeJournal
from tests.conformance.kit import REPEATS


class Watcher(Actor):
    """Records what it receives, in order."""

    def init(self) -> None:
        self.seen: list[Any] = []

    def handle_cast(self, message: Any) -> None:
        self.seen.append(message)

    def handle_info(self, message: Any) -> None:
        self.seen.append(message)

    def handle_call(self, request: Any, reply_to: ReplyTo[Any]) -> Any:
        if isinstance(request, Raise):
            raise request.error
        return list(self.seen)


class Trapping(Watcher):
    trap_exits = True


async def watch(watcher: ActorRef, target: ActorRef | None) -> Monitor:
    return await inspect(watcher, lambda actor: actor.monitor(target))


async def seen_by(watcher: ActorRef) -> list[Any]:
    seen: Any = await watcher.call(Echo())
    return list(seen)


async def test_s59_exactly_one_down_for_each_monitor(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        watcher = await actors.start(Watcher())
        target = await actors.start(Probe("t", journal))
        one, two = await watch(watcher, target), await watch(watcher, target)
        outside: list[Down] = []
        third = target.monitor(outside.append)
        target.cast(Finish())
        await target.wait_exit()
        await settle()
        assert await seen_by(watcher) == [Down(one, target, NORMAL), Down(two, target, NORMAL)]
        assert outside == [Down(third, target, NORMAL)]
        assert not one.active


async def test_s59_a_callback_that_raises_keeps_no_other_from_hearing(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        target = await actors.start(Probe("t", journal))
        heard: list[Down] = []

        def broken(down: Down) -> None:
            raise RuntimeError

        target.monitor(broken)
        target.monitor(heard.append)
        await target.stop()
        assert len(heard) == 1


async def test_s60_monitoring_the_dead_or_unknown_gives_noproc_at_once(
    journal: TreeJournal,
) -> None:
    names: Registry[str] = Registry()
    async with open_actor_nursery() as actors:
        watcher = await actors.start(Watcher())
        target = await actors.start(Probe("t", journal))
        await target.stop()
        monitor = await watch(watcher, target)
        unknown = await watch(watcher, names.lookup("unknown"))
        downs = await seen_by(watcher)
        assert [(down.monitor, down.reason) for down in downs] == [
            (monitor, NOPROC),
            (unknown, NOPROC),
        ]
        outside: list[Down] = []
        target.monitor(outside.append)
        assert [down.reason for down in outside] == [NOPROC]


@pytest.mark.parametrize("queued", [False, True])
async def test_s61_after_a_demonitor_no_down_is_seen(journal: TreeJournal, queued: bool) -> None:
    async with open_actor_nursery() as actors:
        watcher = await actors.start(Watcher())
        target = await actors.start(Probe("t", journal))
        monitor = await watch(watcher, target)
        if queued:
            await suspend(watcher)
            await target.stop()
            monitor.cancel()  # its DOWN waits already
            await resume(watcher)
        else:
            monitor.cancel()
            await target.stop()
        monitor.cancel()
        assert await seen_by(watcher) == []


@pytest.mark.parametrize("repeat", REPEATS)
async def test_s62_down_comes_after_all_that_was_sent_and_after_the_names_are_free(
    journal: TreeJournal, repeat: int
) -> None:
    names: Registry[object] = Registry()

    class Talker(Actor):
        def __init__(self, listener: ActorRef) -> None:
            self.listener = listener

        def handle_cast(self, message: Any) -> None:
            for number in range(5):
                self.listener.cast(number)
            raise RuntimeError

        async def terminate(self, reason: Any) -> None:
            await trio.lowlevel.checkpoint()
            self.listener.info("last words")

    class Listener(Watcher):
        def handle_info(self, message: Any) -> None:
            super().handle_info(message)
            if isinstance(message, Down):
                self.seen.append(names.lookup("talker"))

    async with open_actor_nursery() as actors:
        listener = await actors.start(Listener())
        talker = await actors.start(Talker(listener), register=names.name("talker"))
        await watch(listener, talker)
        talker.cast("go")
        await talker.wait_exit()
        await settle()
        *words, down, name = await seen_by(listener)
        assert words == [0, 1, 2, 3, 4, "last words"]
        assert isinstance(down, Down)
        assert name is None


async def link(one: ActorRef, other: ActorRef, times: int = 1) -> None:
    for _ in range(times):
        await inspect(one, lambda actor: actor.link(other))


async def test_s63_a_link_ends_the_partner_on_an_abnormal_exit_only(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        one, two = [await actors.start(Probe(name, journal)) for name in "ab"]
        await link(one, two)
        two.cast(Finish(NORMAL))
        await two.wait_exit()
        await settle()
        assert one.alive

        three = await actors.start(Probe("c", journal))
        await link(one, three)
        one.cast(Raise())
        reason = await three.wait_exit()
        assert isinstance(reason, Crash)
        assert reason == one.exit_reason


async def test_s63_a_partner_that_traps_gets_one_message_however_often_it_linked(
    journal: TreeJournal,
) -> None:
    async with open_actor_nursery() as actors:
        trapping = await actors.start(Trapping())
        for end in (Raise(), Finish(SHUTDOWN)):
            partner = await actors.start(Probe("p", journal))
            await link(trapping, partner, times=2)
            await link(partner, trapping)
            partner.cast(end)
            await partner.wait_exit()
        seen = await seen_by(trapping)
        assert [type(message) for message in seen] == [LinkExit, LinkExit]
        assert isinstance(seen[0].reason, Crash)
        assert seen[1].reason == SHUTDOWN


async def test_s63_unlinking_undoes_it_and_the_dead_count_as_gone(journal: TreeJournal) -> None:
    async with open_actor_nursery() as actors:
        one, two = [await actors.start(Probe(name, journal)) for name in "ab"]
        await link(one, two)
        await inspect(two, lambda actor: actor.unlink(one))
        two.cast(Raise())
        await two.wait_exit()
        await settle()
        assert one.alive
        await link(one, two)  # the target is dead: noproc
        assert await one.wait_exit() is NOPROC
