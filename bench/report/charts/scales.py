"""Axes with few, plain numbers, and a grid line for each."""

from collections.abc import Callable, Sequence
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


def _fixed(
    axis: "Axis", ticks: Sequence[float], text: Callable[[float, object], str] = plain
) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(text))


def _limit(axis: "Axis", low: float, high: float, scale: str) -> None:
    name = "x" if axis is axis.axes.xaxis else "y"
    axis.axes.set(**{f"{name}scale": scale})  # before the limits, which a new scale resets
    axis.axes.set(**{f"{name}lim": (low, high)})


def logarithmic(axis: "Axis", values: Sequence[float]) -> None:
    """For values more than 0: a tick for each tenfold, or more when that would be too few."""
    low, high = min(values) / 1.15, max(values) * 1.15
    decades = log10(high / low)
    factors: Sequence[float] = (1, 2, 5) if decades < 2.5 else (1,)
    if decades < 0.7:
        factors = (1, 1.5, 2, 3, 5, 7)
    ticks = [factor * 10**power for power in range(-6, 10) for factor in factors]
    _limit(axis, low, high, "log")
    _fixed(axis, [each for each in ticks if low <= each <= high])


def people(axes: "Axes", steps: Sequence[int]) -> None:
    """A horizontal axis with the steps of the ladder."""
    shown: list[int] = []
    for step in sorted(set(steps), reverse=True):
        if not shown or shown[-1] / step >= _NEXT:
            shown.append(step)
    axes.set_xscale("log")
    _fixed(axes.xaxis, shown)
    axes.set_xlim(min(steps) / 1.2, max(steps) * 1.2)
    axes.set_xlabel("people")


def linear(axis: "Axis", most: float, ticks: int = 4) -> None:
    """From 0 to a little more than ``most``."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    _limit(axis, 0, (most or 1) * 1.08, "linear")
    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(FuncFormatter(plain))


def time(axes: "Axes", last_s: float) -> None:
    """A horizontal axis of minutes, or of seconds when there are few."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0, max(last_s, 1))
    if last_s <= 180:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(plain))
        axes.set_xlabel("seconds")
        return
    step = next(each for each in (1, 2, 5, 10, 20, 30, 60, 120, 1e9) if last_s / 60 / each <= 7)
    ticks = [n * step * 60 for n in range(int(last_s / 60 / step) + 1)]
    _fixed(axes.xaxis, ticks, lambda value, _: plain(value / 60))
    axes.set_xlabel("minutes")
