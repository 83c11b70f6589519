"""The flush window, given the load of the core. Pure: no clock, no tasks.

A wider window joins more updates into one write, so the load falls as the window widens. A
controller that sums up corrections can chase that feedback in circles. Here, each window has one
load at which it is right (:func:`fitting_load`), which rises with the window, and each step goes
part of the way to the point where load and window fit. That point does not depend on history. The
fitting load rises with the square of the window: the wider the window, the more of the spare core
is used before everyone waits longer for a few who send more. Steps are ratios, since what a window
saves depends on its ratio to another one.

The load is smoothed, so that one long turn of the loop (a garbage collection, a storm of
connections) moves nothing. Between no window and the narrowest there is a gap in the loads, so that
it does not open and close all the time.

The aim is the narrowest window that leaves the core some room, not an idle core: a window costs
every update half of its width in latency. Only sessions in which it joins something have one
(:func:`window_for`): a family's updates are too far apart to be joined, however busy the core.
"""

from math import exp
from typing import Final

from msgspec import Struct

from locshare.config.sections import FlushSettings


class FlushWindowLimits(FlushSettings, frozen=True):
    """Seconds, and shares of one core between 0 and 1."""

    first_window: float = 0.005
    """The narrowest window. A narrower one joins too little to be worth a timer."""
    calm: float = 0.56
    """Below this the narrowest window closes…"""
    opening: float = 0.64
    """…and above this it opens."""
    narrowest_fits: float = 0.58
    """The load at which the narrowest window is the right one…"""
    strained: float = 0.88
    """…and that for the widest. Above this the window doubles at each step."""
    max_lag: float = 0.1
    """A smoothed timer lag above this counts as strained, whatever the share."""
    gain: float = 0.7
    """A step is e to the power of this times the difference from the fitting load."""
    smoothing: float = 0.4
    """Weight of the newest figure."""
    least_joined: float = 16.0
    """Deliveries of a session within the window, below which it has none. The timer that ends a
    window, and the wake-up of the session, cost as much as seven writes; saving less than twice
    that is not worth the wait."""


DEFAULT_LIMITS: Final = FlushWindowLimits()


class Load(Struct, frozen=True):
    """What was measured over one interval."""

    busy: float
    """Share of the interval that was not spent waiting for events, 0 to 1."""
    lag: float
    """How late a timer is, in seconds: how long a ready task waits."""


IDLE = Load(0.0, 0.0)


def smooth(before: Load, measured: Load, limits: FlushWindowLimits) -> Load:
    """The smoothed load after one more measurement."""
    weight = limits.smoothing
    return Load(
        before.busy + weight * (measured.busy - before.busy),
        before.lag + weight * (measured.lag - before.lag),
    )


def fitting_load(window: float, limits: FlushWindowLimits) -> float:
    """The load at which ``window`` is the right one."""
    part = (window / limits.max_window) ** 2
    return limits.narrowest_fits + part * (limits.strained - limits.narrowest_fits)


def next_window(window: float, load: Load, limits: FlushWindowLimits) -> float:
    """The flush window for the next interval, in seconds."""
    if load.busy > limits.strained or load.lag > limits.max_lag:
        return min(max(window * 2, limits.first_window), limits.max_window)
    if window < limits.first_window:
        return limits.first_window if load.busy > limits.opening else 0.0
    if window <= limits.first_window and load.busy < limits.calm:
        return 0.0
    step = exp(limits.gain * (load.busy - fitting_load(window, limits)))
    return min(max(window * step, limits.first_window), limits.max_window)


def window_for(window: float, deliveries: float, limits: FlushWindowLimits) -> float:
    """The flush window in seconds of a session with ``deliveries`` per second. 0 where it would
    join too few of them.
    """
    return window if window * deliveries >= limits.least_joined else 0.0
