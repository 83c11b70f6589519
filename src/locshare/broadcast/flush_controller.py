"""Measures how busy the event loop is, and sets the flush window of all sessions by it.

``FlushController.window()`` is 0 while the core has room (sessions flush at once) and up to 250 ms
under load, so that the number of writes falls as load rises. The decision is
:func:`locshare.broadcast.flush_window.next_window`; this file has the clocks, and the task that
samples them ten times a second.

Nothing runs per turn of the loop: the kernel knows how busy the thread is
(:mod:`locshare.broadcast.cpu_usage`), and the lateness of this task's timer is how long a ready
task waits.
"""

import math
import time

import trio
from msgspec import Struct

from locshare.broadcast.cpu_usage import ThreadCpuUsage
from locshare.broadcast.flush_window import (
    DEFAULT_LIMITS,
    IDLE,
    FlushWindowLimits,
    Load,
    next_window,
    smooth,
    window_for,
)
from locshare.telemetry.histogram import Distribution, Histogram

INTERVAL_S = 0.1
_MOST_STEPS = 5


class LoopStatistics(Struct, frozen=True):
    """The state of the event loop. Seconds, and shares of one core."""

    window: float
    """The flush window of the sessions that have one."""
    busy: float
    """Smoothed share of time not spent waiting for events."""
    lag: float
    """Smoothed lateness of a timer."""
    longest_lag: float
    """Since the last call of :meth:`FlushController.statistics`."""
    lags: Distribution
    """Every lateness, ten a second."""
    max_window: float
    """The widest that the window becomes."""


class FlushController:
    """One per process. ``window`` may be called at any time, also before ``run``."""

    def __init__(self, limits: FlushWindowLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._window = 0.0
        self._load = IDLE
        self._longest_lag = 0.0
        self._lags = Histogram()
        self._due = math.inf
        """When the next adjustment is due, by Trio's clock."""

    def window(self, now: float, deliveries: float) -> float:
        """The least time in seconds between two flushes of a session with ``deliveries`` per
        second, at ``now`` (Trio's clock).

        The widest window applies as soon as an adjustment is overdue: a sudden load can fill one
        turn of the loop for seconds, and the adjusting task does not run before that ends.
        """
        overdue = now - self._due > self._limits.max_lag
        if self._window == 0.0 and not overdue:
            return 0.0
        widest = self._limits.max_window if overdue else self._window
        return window_for(widest, deliveries, self._limits)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Measure and adjust until cancelled; the window is 0 afterwards.

        A supervised child. After a restart it begins with an idle load.
        """
        self._load = IDLE
        cpu = ThreadCpuUsage()
        try:
            # Real time, as for CPU usage: a mock clock says nothing about load.
            then, before = time.perf_counter(), cpu.seconds()
            task_status.started()
            while True:
                self._due = trio.current_time() + INTERVAL_S
                await trio.sleep_until(self._due)
                lag = trio.current_time() - self._due
                now, after = time.perf_counter(), cpu.seconds()
                self._adjust(now - then, after - before, lag)
                then, before = now, after
        finally:
            cpu.close()
            self._due = math.inf
            self._window = 0.0

    def _adjust(self, elapsed: float, used: float, lag: float) -> None:
        if elapsed <= 0.0:
            return
        self._longest_lag = max(self._longest_lag, lag)
        self._lags.observe(lag)
        measured = Load(min(used / elapsed, 1.0), lag)
        # An overloaded loop gets here late. One measurement then stands for several intervals, or
        # the window would widen more slowly the more it is needed.
        for _ in range(min(max(round(elapsed / INTERVAL_S), 1), _MOST_STEPS)):
            self._load = smooth(self._load, measured, self._limits)
            self._window = next_window(self._window, self._load, self._limits)

    def statistics(self) -> LoopStatistics:
        """As of now. Begins a new measurement of the longest lag."""
        statistics = self.peek()
        self._longest_lag = 0.0
        return statistics

    def peek(self) -> LoopStatistics:
        """As :meth:`statistics`, without a new measurement."""
        return LoopStatistics(
            self._window,
            self._load.busy,
            self._load.lag,
            self._longest_lag,
            self._lags.read(),
            self._limits.max_window,
        )
