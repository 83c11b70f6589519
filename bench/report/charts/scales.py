"""Axes that people can read: plain numbers, few of them, and a line for each."""

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_NEXT = 1.35
"""Labels of a logarithmic axis that are closer together than this would touch."""


def plain(value: float, _place: object = None) -> str:
    """Without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:g}"


def logarithmic(axis: "Axis", values: Sequence[float]) -> None:
    """For values more than 0: a tick for each tenfold, or more when that would be too few."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(values), max(values)
    low, high = low / 1.15, high * 1.15
    decades = log10(high / low)
    factors: Sequence[float] = (1, 2, 5) if decades < 2.5 else (1,)
    if decades < 0.7:
        factors = (1, 1.5, 2, 3, 5, 7)
    ticks = [
        factor * 10**power
        for power in range(-6, 10)
        for factor in factors
        if low <= factor * 10**power <= high
    ]
    _scale(axis, "log")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(plain))
    _limits(axis, low, high)


def people(axes: "Axes", steps: Sequence[int]) -> None:
    """A horizontal axis with the steps of the ladder."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    shown: list[int] = []
    for step in sorted(set(steps), reverse=True):
        if not shown or shown[-1] / step >= _NEXT:
            shown.append(step)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlim(min(steps) / 1.2, max(steps) * 1.2)
    axes.set_xlabel("people")


def linear(axis: "Axis", most: float, ticks: int = 4) -> None:
    """From 0 to a little more than ``most``."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(FuncFormatter(plain))
    _limits(axis, 0, (most or 1) * 1.08)


def time(axes: "Axes", last_s: float) -> None:
    """A horizontal axis of minutes, or of seconds when there are few."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    minutes = last_s > 180
    unit = 60 if minutes else 1
    axes.set_xlim(0, max(last_s, 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 10]))
    if minutes:
        step = next(each for each in (1, 2, 5, 10, 20, 30, 60, 120, 1e9) if last_s / 60 / each <= 7)
        axes.set_xticks([n * step * 60 for n in range(int(last_s / 60 / step) + 1)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value / unit)))
    axes.set_xlabel("minutes" if minutes else "seconds")


def _scale(axis: "Axis", scale: str) -> None:
    if axis is axis.axes.xaxis:
        axis.axes.set_xscale(scale)
    else:
        axis.axes.set_yscale(scale)


def _limits(axis: "Axis", low: float, high: float) -> None:
    if axis is axis.axes.xaxis:
        axis.axes.set_xlim(low, high)
    else:
        axis.axes.set_ylim(low, high)
