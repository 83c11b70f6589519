"""A scenario second by second: latency, throughput, processor and memory, one above the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import TYPE_CHECKING

from bench.report import fmt
from bench.report.blocks import Picture
from bench.report.charts import scales, style
from bench.report.charts.panels import BOTTOM, GAP, PLOT, highest, panel
from bench.report.charts.series import Reduce, over_time
from bench.report.runs import Group
from bench.results import Moment, TargetDescription

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def over_the_run(group: Group, targets: Sequence[TargetDescription]) -> Picture | None:
    """Of all targets in one scenario; None when no run kept its moments."""
    runs = [
        (place, target.name, run.moments)
        for place, target in enumerate(targets)
        for run in group.of(target.name)
        if run.moments
    ]
    found = [
        (each, [(place, over_time(m, each.read, each.reduce)) for place, _, m in runs])
        for each in _PANELS
    ]
    drawn = [(each, lines) for each, lines in found if highest(lines) > -inf]
    if not drawn:
        return None
    entries = list({place: (place, name) for place, name, _ in runs}.values())
    last_s = max(moments[-1].at_s for *_, moments in runs)

    def draw(figure: "Figure") -> float:
        top = style.legend_height([name for _, name in entries]) + 20
        height = top + len(drawn) * (PLOT + GAP) - GAP + BOTTOM
        for row, (each, lines) in enumerate(drawn):
            axes = panel(figure, row, top, height, each.title, lines, last_s, log=each.log)
        scales.time(axes, last_s)
        axes.tick_params(labelbottom=True)
        style.legend(figure, entries, height)
        return height

    each = max(series.each_s for _, lines in drawn for _, series in lines)
    note = (
        f"Each point stands for up to {each} s: the worst of them for latency and memory, the mean "
        "for the others."
        if each > 1
        else ""
    )
    facts = "; ".join(_fact(name, moments) for _, name, moments in runs)
    named = ", ".join(each.title for each, _ in drawn)
    return style.picture(
        style.slug("time", str(group.number), group.label),
        group.label,
        f"{group.label} over time: {named}. {facts}.",
        draw,
        note,
    )


def _fact(name: str, moments: Sequence[Moment]) -> str:
    worst = max((moment.p95_ms for moment in moments if moment.p95_ms is not None), default=None)
    rss = max(
        (moment.rss_bytes for moment in moments if moment.rss_bytes is not None), default=None
    )
    return f"{name}: worst second's p95 {fmt.ms(worst)}, most memory {fmt.mebibytes(rss)}"
