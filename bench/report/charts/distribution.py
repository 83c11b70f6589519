"""The cumulative distribution of delivery latency."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report import fmt
from bench.report.blocks import Picture
from bench.report.charts import scales, series, style
from bench.report.runs import Group
from bench.results import TargetDescription

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLOT = 190.0


def distribution(group: Group, targets: Sequence[TargetDescription]) -> Picture | None:
    """Of all targets in one scenario; None when no run kept a histogram."""
    found = [
        (place, target, *series.cumulative(run.delivery), run.delivery)
        for place, target in enumerate(targets)
        for run in group.of(target.name)
        if run.delivery.histogram and run.delivery.count
    ]
    if not found:
        return None
    entries = list({place: (place, target.name) for place, target, *_ in found}.values())

    def draw(figure: "Figure") -> float:
        top = style.legend_height([name for _, name in entries]) + 20
        height = top + _PLOT + 44
        axes = style.axes(figure, top, top + _PLOT, height)
        scales.logarithmic(axes.xaxis, [value for _, _, x, *_ in found for value in x])
        for place, _, x, y, _ in reversed(found):  # the first target on top
            left = axes.get_xlim()[0]
            axes.plot([left, x[0], *x], [0, 0, *y], drawstyle="default", **style.line(place))
        axes.set_ylim(0, 103)
        axes.set_yticks([0, 25, 50, 75, 95], ["0", "25", "50", "75", "95"])
        axes.set_title("% of deliveries that took at most …")
        axes.set_xlabel("… this many ms")
        style.legend(figure, entries, height)
        return height

    facts = "; ".join(
        f"{target.name}: half within {fmt.ms(latencies.p50_ms)}, 95 % within "
        f"{fmt.ms(latencies.p95_ms)}, 99 % within {fmt.ms(latencies.p99_ms)}"
        for _, target, _, _, latencies in found
    )
    return style.picture(
        style.slug("latency", str(group.number), group.label),
        group.label,
        f"Cumulative distribution of delivery latency in {group.label}. {facts}.",
        draw,
    )
