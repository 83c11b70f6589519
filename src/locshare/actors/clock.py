"""All timers of a Trio run in one heap, served by one task.

Used for ``send_after``, for call timeouts and for every deadline of a supervisor. The obvious
alternatives were measured and rejected: a task per timer costs about 3 KiB and 20 µs, a
``trio.CancelScope`` around every call or wait 6 µs, which is a third of a call; a heap entry costs
under 1 µs, and an entry that is disarmed is merely skipped when its time comes.

A timer fires once, never early, and never after ``disarm``; timers of one instant fire in the order
in which they were set. Time is ``trio.current_time()``, so a mock clock
makes it exact. ``fire`` runs in the clock's own system task: it must be quick, must not raise and
must not await; everything in this package only moves an entry into a mailbox or wakes a task.

The task is started by the first timer of a run and ends with the run.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from threading import get_ident
from typing import Final, Protocol, final

import trio

from locshare.actors.reasons import WrongThread

#: The name of the clock's task, for code that lists tasks.
CLOCK_TASK: Final = "actor clock"

#: Disarmed entries are swept out when there are more than this many and they are the majority.
SWEEP_AT = 256


class Timed(Protocol):
    """An entry of the heap."""

    armed: bool

    def fire(self) -> None:
        """Called once when the deadline has passed and ``armed`` is still true."""


@final
class Clock:
    """The timers of one Trio run. Get it with :func:`current_clock`."""

    __slots__ = (
        "_counter",
        "_disarmed",
        "_heap",
        "_scope",
        "_started",
        "_wake_at",
        "thread",
        "token",
    )

    def __init__(self) -> None:
        self.thread = get_ident()
        self.token = trio.lowlevel.current_trio_token()
        self._heap: list[tuple[float, int, Timed]] = []
        self._counter = count()
        self._disarmed = 0
        self._scope: trio.CancelScope | None = None
        self._wake_at = inf
        self._started = False

    def set(self, deadline: float, timed: Timed) -> None:
        """Arm ``timed`` for ``deadline`` (absolute seconds of ``trio.current_time()``). Raises
        ValueError for NaN, which would upset the order of the whole heap, and WrongThread.
        """
        if deadline != deadline:
            raise ValueError("a deadline must be a number of seconds, not NaN")
        self.check_thread()
        timed.armed = True
        heappush(self._heap, (deadline, next(self._counter), timed))
        if deadline < self._wake_at:
            self._wake_at = deadline
            if self._scope is not None:
                self._scope.deadline = deadline
            elif not self._started:
                self._started = True
                trio.lowlevel.spawn_system_task(self._serve, name=CLOCK_TASK)

    def check_thread(self) -> None:
        """Raise WrongThread outside of the thread of this run."""
        if get_ident() != self.thread:
            raise WrongThread

    def disarm(self, timed: Timed) -> None:
        """Make sure that ``timed`` does not fire. Idempotent, also after it has fired."""
        if timed.armed:
            timed.armed = False
            self._disarmed += 1
            if self._disarmed > SWEEP_AT and self._disarmed * 2 > len(self._heap):
                self._sweep()

    def pending(self) -> int:
        """How many timers are armed."""
        return sum(timed.armed for _, _, timed in self._heap)

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].armed]
        heapify(self._heap)
        self._disarmed = 0

    def _fire_due(self) -> None:
        now = trio.current_time()
        heap = self._heap
        while heap and (not heap[0][2].armed or heap[0][0] <= now):
            timed = heappop(heap)[2]
            if timed.armed:
                timed.armed = False
                timed.fire()
                heap = self._heap  # firing may have swept, which replaces the list
            else:
                self._disarmed -= 1

    async def _serve(self) -> None:
        while True:
            self._fire_due()
            self._wake_at = self._heap[0][0] if self._heap else inf
            with trio.CancelScope(deadline=self._wake_at) as self._scope:
                await trio.sleep_until(inf)
            self._scope = None
            # Between here and the next round nothing awaits, so a timer set by ``fire`` above
            # is seen when ``_wake_at`` is computed again.


_clock: trio.lowlevel.RunVar[Clock] = trio.lowlevel.RunVar("actor_clock")


def current_clock() -> Clock:
    """The clock of this Trio run, made on first use. Must be called inside ``trio.run``."""
    try:
        return _clock.get()
    except LookupError:
        clock = Clock()
        _clock.set(clock)
        return clock


@final
class CallAt:
    """Call a plain function at a deadline, unless disarmed before."""

    __slots__ = ("_clock", "armed", "callback", "deadline")

    def __init__(self, clock: Clock, deadline: float, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.deadline = deadline
        self._clock = clock
        self.armed = False
        if deadline != inf:
            clock.set(deadline, self)

    def fire(self) -> None:
        self.callback()

    def disarm(self) -> None:
        """Do not call. Idempotent. Drops the callback at once; the entry may stay in the heap for a
        while.
        """
        self._clock.disarm(self)
        self.callback = _nothing


def _nothing() -> None:
    pass
