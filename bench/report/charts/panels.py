"""Plots one above the other, second by second, with one axis of time."""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from bench.report.charts import scales, style
from bench.report.charts.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOT = 92.0
GAP = 32.0
BOTTOM = 44.0

Lines = Sequence[tuple[int, Series]]
"""By the number of the target."""


def highest(lines: Lines) -> float:
    """-inf when there is no value."""
    return max((series.highest for _, series in lines), default=-inf)


def panel(
    figure: "Figure", row: int, top: float, height: float, title: str, lines: Lines,
    last_s: float, *, log: bool = False, left: float = 52,
) -> "Axes":  # fmt: skip
    """The plot number ``row`` from ``top`` on, without labels of time."""
    at = top + row * (PLOT + GAP)
    axes = style.axes(figure, at, at + PLOT, height, left)
    lowest = min(series.lowest for _, series in lines)
    if log and lowest > 0 and highest(lines) > -inf:
        scales.logarithmic(axes.yaxis, [lowest, highest(lines)])
    else:
        scales.linear(axes.yaxis, max(highest(lines), 0), ticks=3)
    for place, series in reversed(lines):
        axes.plot(series.x, series.y, linewidth=1.3, color=style.colour(place))
        if (alone := series.alone).x:  # which a line does not show
            axes.plot(alone.x, alone.y, ".", markersize=4, color=style.colour(place))
    scales.time(axes, last_s)
    axes.set_title(title)
    axes.set_xlabel("")
    axes.tick_params(labelbottom=False)
    return axes
