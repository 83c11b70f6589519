"""Measures how busy the event loop is, and sets the flush window of all sessions by it.

``Pacer.window()`` is 0 while the core has room (sessions flush at once) and up to 250 ms under
load, so that the number of writes falls as load rises. The decision is
:func:`locshare.broadcast.pacing.next_window`; this file has the clock, the Trio instrument that
sees when the loop waits, and the task that brings them together ten times a second.

The instrument has the two I/O hooks only, so it costs one call before and one after each turn of
the loop and nothing per task.
"""

import time

import trio
from msgspec import Struct

from locshare.broadcast.pacing import DEFAULT_LIMITS, IDLE, Load, PacingLimits, next_window, smooth

INTERVAL_S = 0.1
_MOST_STEPS = 5


class LoopStatistics(Struct, frozen=True):
    """A picture of the event loop. Seconds, and shares of one core."""

    window: float
    busy: float
    """Smoothed share of time not spent waiting."""
    lag: float
    """Smoothed mean length of a turn."""
    longest_turn: float
    """Since the last picture was taken."""
    turns: int
    """Since the start."""


class LoopMeter(trio.abc.Instrument):
    """Adds up how long the loop works and how long it waits, turn by turn.

    With real time: a mock clock says nothing about load.
    """

    def __init__(self) -> None:
        self.worked = 0.0
        self.waited = 0.0
        self.turns = 0
        self.longest = 0.0
        self._mark = time.perf_counter()

    def this_turn(self) -> float:
        """How long the present turn has taken so far; 0 before the loop has been seen to wait."""
        return time.perf_counter() - self._mark if self.turns else 0.0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's signature
        """The turn is over."""
        now = time.perf_counter()
        turn = now - self._mark
        self.worked += turn
        self.turns += 1
        if turn > self.longest:
            self.longest = turn
        self._mark = now

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's signature
        """The next turn begins."""
        now = time.perf_counter()
        self.waited += now - self._mark
        self._mark = now


class Pacer:
    """One for the whole process. ``window`` may be read at any time, also before ``run``."""

    def __init__(self, limits: PacingLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._window = 0.0
        self._load = IDLE
        self._meter = LoopMeter()

    def window(self) -> float:
        """The least time between two flushes of a session now, in seconds.

        The widest at once when the turn that asks has already taken too long: a sudden load can
        fill one turn for seconds, and the task that adjusts is not run before it ends.
        """
        if self._meter.this_turn() > self._limits.max_lag:
            return self._limits.max_window
        return self._window

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Measure and adjust until cancelled; the window is 0 again afterwards.

        A supervised child. Started again after a crash it begins from an idle picture.
        """
        self._load = IDLE
        meter = self._meter = LoopMeter()
        trio.lowlevel.add_instrument(meter)
        try:
            task_status.started()
            while True:
                worked, waited, turns = meter.worked, meter.waited, meter.turns
                await trio.sleep(INTERVAL_S)
                self._adjust(meter.worked - worked, meter.waited - waited, meter.turns - turns)
        finally:
            trio.lowlevel.remove_instrument(meter)
            self._window = 0.0

    def _adjust(self, worked: float, waited: float, turns: int) -> None:
        total = worked + waited
        if total <= 0.0:
            return
        measured = Load(worked / total, worked / max(turns, 1))
        # An overloaded loop comes here late: then one measurement stands for several intervals,
        # or the window would widen the slower the more it is needed.
        for _ in range(min(max(round(total / INTERVAL_S), 1), _MOST_STEPS)):
            self._load = smooth(self._load, measured, self._limits)
            self._window = next_window(self._window, self._load, self._limits)

    def statistics(self) -> LoopStatistics:
        """A picture of now; begins a new measurement of the longest turn."""
        picture = self.peek()
        self._meter.longest = 0.0
        return picture

    def peek(self) -> LoopStatistics:
        """A picture of now that takes nothing from the next one of :meth:`statistics`."""
        meter, load = self._meter, self._load
        return LoopStatistics(self._window, load.busy, load.lag, meter.longest, meter.turns)
