"""How wide the flush window should be, given how busy the core is. Pure: no clock, no tasks.

A wider window joins more updates into one write, so the core gets less busy as the window widens:
a feedback that a controller can chase in circles. Three things keep this one still. Between
``calm`` and ``busy`` it does nothing at all, and the band is wide. It narrows the window by small
steps and widens it by larger ones, so that it comes back to the edge slowly. And it decides on
smoothed figures, so that one long turn (a garbage collection, a storm of connections) moves
nothing.

It aims for the narrowest window with which the core still has room, not for an idle core: a window
costs every update half of its width in latency.
"""

from typing import Final

from msgspec import Struct


class PacingLimits(Struct, frozen=True):
    """Seconds, and shares of one core between 0 and 1."""

    max_window: float = 0.25
    calm: float = 0.60
    """Below this the window narrows."""
    busy: float = 0.72
    """Above this it widens…"""
    strained: float = 0.88
    """…and above this it doubles at each step."""
    max_lag: float = 0.1
    """A mean turn of the event loop longer than this counts as strained, whatever the share."""
    first_step: float = 0.01
    """The narrowest window but none: less gains too few joins to be worth a timer."""
    smoothing: float = 0.4
    """Weight of the newest figure."""


DEFAULT_LIMITS: Final = PacingLimits()


class Load(Struct, frozen=True):
    """What was measured over one interval."""

    busy: float
    """Share of the interval that was not spent waiting for events, 0 to 1."""
    lag: float
    """Mean length of a turn of the event loop, in seconds: how long a ready task waits."""


IDLE = Load(0.0, 0.0)


def smooth(before: Load, measured: Load, limits: PacingLimits) -> Load:
    """The running picture after one more measurement."""
    weight = limits.smoothing
    return Load(
        before.busy + weight * (measured.busy - before.busy),
        before.lag + weight * (measured.lag - before.lag),
    )


def next_window(window: float, load: Load, limits: PacingLimits) -> float:
    """The flush window for the next interval, in seconds."""
    if load.busy > limits.strained or load.lag > limits.max_lag:
        wider = window * 2
    elif load.busy > limits.busy:
        wider = window * 1.2
    elif load.busy < limits.calm:
        narrower = window * 0.9
        return narrower if narrower >= limits.first_step else 0.0
    else:
        return window
    return min(max(wider, limits.first_step), limits.max_window)
