"""How wide the flush window should be, given how busy the core is. Pure: no clock, no tasks.

A wider window joins more updates into one write, so the core gets less busy as the window widens:
a feedback that a controller can chase in circles. So the window is no sum of past corrections. For
every window there is one load at which it is the right one (:func:`fitting_load`), which rises with
the window, and the window goes a part of the way to where load and window fit. Where the two
meet does not depend on what was before. The fitting load rises with the square of the window: the
wider it is already, the more of the spare core is used before everybody has to wait longer for the
sake of a few who send more. Steps are ratios, since what a window saves depends on its ratio to
another one.

It decides on smoothed figures, so that one long turn (a garbage collection, a storm of connections)
moves nothing; and between no window and the narrowest there is a gap in the loads, so that it does
not open and close all the time.

It aims for the narrowest window with which the core still has room, not for an idle core: a window
costs every update half of its width in latency. And it is for those sessions only in which it joins
something (:func:`window_for`): a family's updates are too far apart to be joined, however busy the
core, so they need not wait for one another.
"""

from math import exp
from typing import Final

from msgspec import Struct


class FlushWindowLimits(Struct, frozen=True):
    """Seconds, and shares of one core between 0 and 1."""

    max_window: float = 0.25
    first_window: float = 0.005
    """The narrowest window but none: less gains too few joins to be worth a timer."""
    calm: float = 0.56
    """Below this the narrowest window closes…"""
    opening: float = 0.64
    """…and above this it opens."""
    narrowest_fits: float = 0.58
    """The load at which the narrowest window is the right one…"""
    strained: float = 0.88
    """…and that for the widest. Above this the window doubles at each step."""
    max_lag: float = 0.1
    """A timer that is later than this on average counts as strained, whatever the share."""
    gain: float = 0.7
    """How far a step goes: by e to the power of this times what the load is off by."""
    smoothing: float = 0.4
    """Weight of the newest figure."""
    least_joined: float = 16.0
    """Deliveries of a session within the window, below which it has none. The timer that ends a
    window, and the step it makes the session take, cost as much as seven writes; sparing less
    than twice that is not worth anybody's wait."""


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
    """The flush window of a session with so many ``deliveries`` per second, in seconds: none where
    it would join too few of them.
    """
    return window if window * deliveries >= limits.least_joined else 0.0
