"""Restarts leave nothing: no task, monitor, name, timer, queue or byte.

A leak shows in every window of restarts, a cache of Python's that grows only in some: what counts
is the least growth per restart. `make nightly` does ten thousand (`--restarts 10000`).
"""

import gc
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
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
from locshare.actors.lowlevel import current_clock
from locshare.supervisor import (
    ChildSpec,
    DynamicSpec,
    Report,
    Strategy,
    SupervisorSpec,
    open_supervisor,
)

WINDOWS = 4
#: Until free lists and caches, which are bounded, have their size.
WARM_UP = 2_000
#: What one restart may leave, on an average: less than the smallest thing that it could leave.
SPARE_BYTES = 8.0
SPARE_OBJECTS = 0.3


class Die(Request[None]):
    """Never answered: the actor crashes while its caller waits."""


@dataclass(frozen=True)
class Watch:
    ref: ActorRef


class Watcher(Actor):
    """Monitors every actor that asks for it, and links to it."""

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


@pytest.fixture
def restarts_at_most(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--restarts")
    return number


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


async def nothing_is_left(restart: Callable[[int], Awaitable[None]], restarts: int) -> None:
    """``restart`` does the given number, in windows."""
    each = restarts // WINDOWS
    held = [Held.now()]
    for _ in range(WINDOWS):
        await restart(each)
        held.append(Held.now())
    assert len({now.tasks for now in held}) == 1
    for field, spare in (
        ("objects", SPARE_OBJECTS), ("blocks", SPARE_OBJECTS), ("bytes", SPARE_BYTES),
    ):  # fmt: skip
        grown = [
            (getattr(after, field) - getattr(before, field)) / each
            for before, after in pairwise(held)
        ]
        assert min(grown) < spare, f"{field} per restart, in each window: {grown}"


@pytest.mark.parametrize(("strategy", "lives"), [("one_for_one", 1), ("one_for_all", 2)])
async def test_restarts_leave_nothing_behind(
    strategy: Strategy, lives: int, restarts_at_most: int
) -> None:
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
        await nothing_is_left(restart, restarts_at_most // lives)
        # tracemalloc makes everything five times slower.
        tracemalloc.start()
        try:
            await restart(100)
            await nothing_is_left(restart, restarts_at_most // lives // 3)
        finally:
            tracemalloc.stop()

        assert watcher._incarnation.actor.downs == restarts * lives
        assert len(watcher._incarnation.watching) == 2  # of the living
        assert len(watcher._incarnation._monitors) == 2
        assert len(watcher._incarnation._links) == 2
        assert sorted(names) == ["a", "watcher"]
        assert current_clock().pending() == 2
        assert heir.handed_over == restarts
        assert not heir.entries
        assert len(sup._base_supervisor()._window._instants) < 100


async def test_dynamic_children_leave_nothing_behind(restarts_at_most: int) -> None:
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
        await nothing_is_left(come_and_go, restarts_at_most)
        assert pool.which_children() == ()
        assert current_clock().pending() == 0
