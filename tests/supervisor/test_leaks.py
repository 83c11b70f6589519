"""Ten thousand restarts leave nothing: no task, monitor, name, timer, queue or byte."""

import gc
import sys
import tracemalloc
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from locshare.actors import (
    NO_REPLY,
    Actor,
    ActorRef,
    Down,
    Exited,
    MailboxHeir,
    Registry,
    ReplyTo,
    Request,
)
from locshare.actors.clock import current_clock
from locshare.supervisor import (
    ChildSpec,
    DynamicSpec,
    Report,
    Strategy,
    SupervisorSpec,
    open_supervisor,
)

RESTARTS = 10_000
#: tracemalloc makes everything five times slower, so it looks at some of them only; the blocks of
#: Python's allocator are counted over all.
TRACED = 1_000

#: Until Python's caches and free lists, which are bounded, have their size.
WARM_UP = 2_000
#: What may differ for reasons of its own (a dict that has just grown, a cache), however many
#: rounds there were.
SPARE_BYTES = 4_000
SPARE_OBJECTS = 200


class Die(Request[None]):
    """Never answered: the actor crashes while its caller waits."""


@dataclass(frozen=True)
class Watch:
    ref: ActorRef


class Watcher(Actor):
    """Monitors everybody who asks for it, and is linked to them."""

    trap_exits = True

    def init(self) -> None:
        self.downs = 0

    def handle_cast(self, message: Watch) -> None:
        self.monitor(message.ref)
        self.link(message.ref)

    def handle_info(self, message: Any) -> None:
        self.downs += isinstance(message, Down)


class Fragile(Actor):
    """Holds one of everything that an actor can hold, and dies holding it."""

    def __init__(self, watchers: Registry[str]) -> None:
        self.watchers = watchers

    def init(self) -> None:
        self.send_after(1000, "later")
        self.monitor(None)
        self.spawn(trio.sleep_forever)
        watcher = self.watchers.lookup("watcher")
        if watcher is not None:
            self.monitor(watcher)
            watcher.cast(Watch(self.ref))

    def handle_call(self, request: Die, reply_to: ReplyTo[None]) -> Any:
        self.ref.cast("crash")
        self.ref.cast("for the heir")
        return NO_REPLY

    def handle_cast(self, message: Any) -> None:
        if message == "crash":
            raise RuntimeError

    def handle_info(self, message: Any) -> None:
        pass


def forget(report: Report) -> None:
    """A hook that keeps nothing."""


def ignore(down: Down) -> None:
    """A monitor's callback that keeps nothing."""


class Held(NamedTuple):
    """What is in use, without what waits to be collected or swept."""

    bytes: int
    blocks: int
    objects: int
    tasks: int

    @classmethod
    def now(cls) -> "Held":
        current_clock()._sweep()  # its heap keeps a bounded number of disarmed entries
        gc.collect()
        return cls(
            tracemalloc.get_traced_memory()[0],
            sys.getallocatedblocks(),
            len(gc.get_objects()),
            trio.lowlevel.current_statistics().tasks_living,
        )

    def nothing_since(self, before: "Held") -> None:
        assert self.tasks == before.tasks
        assert self.objects - before.objects < SPARE_OBJECTS
        assert self.blocks - before.blocks < SPARE_OBJECTS
        assert self.bytes - before.bytes < SPARE_BYTES


@pytest.mark.parametrize(("strategy", "lives"), [("one_for_one", 1), ("one_for_all", 2)])
async def test_restarts_leave_nothing_behind(strategy: Strategy, lives: int) -> None:
    """``lives``: how many children each crash costs one."""
    names: Registry[str] = Registry()
    heir = MailboxHeir()
    spec = SupervisorSpec(
        [
            ChildSpec("a", Fragile, (names,), register=names.name("a"), heir=heir),
            ChildSpec("b", Fragile, (names,)),
        ],
        strategy=strategy,
        max_restarts=10**9,
        max_seconds=0.001,  # so that the window, too, has forgotten
        report=forget,
    )
    outside = SupervisorSpec(
        [ChildSpec("watcher", Watcher, register=names.name("watcher")), spec.child("group")]
    )
    restarts = 0

    async with open_supervisor(outside) as root:
        sup: Any = root.child("group")
        watcher: Any = names.lookup("watcher")

        async def restart(times: int) -> None:
            nonlocal restarts
            restarts += times
            for _ in range(times):
                ref = await names.wait("a")
                ref.monitor(ignore)
                ref.monitor(ignore).cancel()
                with pytest.raises(Exited):
                    await ref.call(Die(), 1000)
            await wait_all_tasks_blocked()

        await restart(WARM_UP // lives)
        before = Held.now()
        await restart((RESTARTS - TRACED) // lives)
        Held.now().nothing_since(before)

        tracemalloc.start()
        try:
            await restart(100)
            before = Held.now()
            await restart(TRACED // lives)
            Held.now().nothing_since(before)
        finally:
            tracemalloc.stop()

        assert watcher._incarnation.actor.downs == restarts * lives
        assert len(watcher._incarnation.watching) == 2  # those who live
        assert len(watcher._incarnation._monitors) == 2
        assert len(watcher._incarnation._links) == 2
        assert sorted(names) == ["a", "watcher"]
        assert current_clock().pending() == 2
        assert heir.handed_over == restarts
        assert not heir.entries
        assert len(sup._overseer()._window._instants) < 100


async def test_dynamic_children_leave_nothing_behind() -> None:
    names: Registry[str] = Registry()
    spec = SupervisorSpec(
        [
            ChildSpec("watcher", Watcher, register=names.name("watcher")),
            DynamicSpec(max_restarts=10**9).child("pool"),
        ],
        report=forget,
    )
    async with open_supervisor(spec) as sup:
        pool: Any = sup.child("pool")
        child = ChildSpec("x", Fragile, (names,), restart="temporary")

        async def come_and_go(times: int) -> None:
            for number in range(times):
                ref = await pool.start_actor(child)
                if number % 2:
                    await pool.terminate_child(ref)
                else:
                    ref.cast("crash")
                    await ref.wait_exit()
            await wait_all_tasks_blocked()

        await come_and_go(WARM_UP)
        before = Held.now()
        await come_and_go(RESTARTS)
        Held.now().nothing_since(before)
        assert pool.which_children() == ()
        assert current_clock().pending() == 0
