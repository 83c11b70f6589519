"""A scenario second by second: latency, throughput, processor and memory, one above the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import TYPE_CHECKING

from bench.report import fmt
from bench.report.blocks import Picture
from bench.report.charts import scales, style
from bench.report.charts.series import Reduce, Series, over_time
from bench.report.runs import Group
from bench.results import Moment, TargetDescription

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLOT = 92.0
_GAP = 32.0


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    read: Callable[[Moment], float | None]
    reduce: Reduce
    log: bool = False


_PANELS = (
    _Panel("p95 latency, ms", lambda moment: moment.p95_ms, max, log=True),
    _Panel("deliveries per second", lambda moment: moment.delivered, fmean),
    _Panel(
        "CPU, % of one core",
        lambda moment: None if moment.cpu_share is None else moment.cpu_share * 100,
        fmean,
    ),
    _Panel(
        "memory (RSS), MiB",
        lambda moment: None if moment.rss_bytes is None else moment.rss_bytes / 2**20,
        max,
    ),
)

Lines = list[tuple[int, Series]]


def over_the_run(group: Group, targets: Sequence[TargetDescription]) -> Picture | None:
    """Of all targets in one scenario; None when no run kept its moments."""
    runs = [
        (place, target.name, run.moments)
        for place, target in enumerate(targets)
        for run in group.of(target.name)
        if run.moments
    ]
    drawn = [
        (panel, [(place, over_time(m, panel.read, panel.reduce)) for place, _, m in runs])
        for panel in _PANELS
    ]
    panels = [(panel, lines) for panel, lines in drawn if _highest(lines) > -inf]
    if not panels:
        return None
    entries = list({place: (place, name) for place, name, _ in runs}.values())
    last_s = max(moments[-1].at_s for *_, moments in runs)

    def draw(figure: "Figure") -> float:
        top = style.legend_height([name for _, name in entries]) + 20
        height = top + len(panels) * (_PLOT + _GAP) - _GAP + 44
        for row, (panel, lines) in enumerate(panels):
            at = top + row * (_PLOT + _GAP)
            axes = style.axes(figure, at, at + _PLOT, height)
            _draw(axes, panel, lines)
            scales.time(axes, last_s)
            if row < len(panels) - 1:
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
        style.legend(figure, entries, height)
        return height

    each = max(series.each_s for _, lines in panels for _, series in lines)
    note = (
        f"Each point stands for up to {each} s: the worst of them for latency and memory, the mean "
        "for the others."
        if each > 1
        else ""
    )
    facts = "; ".join(_fact(name, moments) for _, name, moments in runs)
    named = ", ".join(panel.title for panel, _ in panels)
    return style.picture(
        style.slug("time", str(group.number), group.label),
        group.label,
        f"{group.label} over time: {named}. {facts}.",
        draw,
        note,
    )


def _draw(axes: "Axes", panel: _Panel, lines: Lines) -> None:
    highest, lowest = _highest(lines), min(series.lowest for _, series in lines)
    if panel.log and lowest > 0:
        scales.logarithmic(axes.yaxis, [lowest, highest])
    else:
        scales.linear(axes.yaxis, highest, ticks=3)
    for place, series in reversed(lines):
        points(axes, place, series)
    axes.set_title(panel.title)


def _highest(lines: Lines) -> float:
    return max((series.highest for _, series in lines), default=-inf)


def points(axes: "Axes", place: int, series: Series) -> None:
    """A line, and a dot for each point that has no neighbour."""
    axes.plot(series.x, series.y, linewidth=1.3, **style.line(place) | {"linestyle": "-"})
    alone = series.alone
    if alone.x:
        axes.plot(alone.x, alone.y, ".", markersize=4, color=style.colour(place))


def _fact(name: str, moments: Sequence[Moment]) -> str:
    worst = max((moment.p95_ms for moment in moments if moment.p95_ms is not None), default=None)
    rss = max(
        (moment.rss_bytes for moment in moments if moment.rss_bytes is not None), default=None
    )
    return f"{name}: worst second's p95 {fmt.ms(worst)}, most memory {fmt.mebibytes(rss)}"
