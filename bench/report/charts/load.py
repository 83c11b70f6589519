"""Latency and CPU against the number of people: the steps of the ladder."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.report import fmt
from bench.report.blocks import Picture
from bench.report.charts import scales, style
from bench.report.criteria import LATENCY_LIMITS
from bench.report.runs import of, steps
from bench.results import Results, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLOT = 190.0


def latency(results: Results) -> Picture | None:
    """p95; None when there is no step at which anything arrived."""

    def finish(axes: "Axes", values: list[float], people: list[int]) -> None:
        limits = [(x, y) for x, y in LATENCY_LIMITS if min(people) <= x <= max(people)]
        scales.logarithmic(axes.yaxis, values + [y for _, y in limits])
        for x, y in limits:
            axes.plot([x / 1.12, x * 1.12], [y, y], color=style.MUTED, linewidth=1.6)
            axes.annotate(
                f"limit {y:g}",
                (x, y),
                (0, -4),
                textcoords="offset points",
                ha="center",
                va="top",
                color=style.MUTED,
                fontsize=style.TEXT - 2,
            )

    return _picture(
        results,
        "p95 latency",
        lambda run: run.delivery.p95_ms if run.delivery.count else None,
        fmt.ms,
        finish,
    )


def processor(results: Results) -> Picture | None:
    """CPU of one core; None when it was measured at no step."""

    def finish(axes: "Axes", values: list[float], people: list[int]) -> None:
        del people
        scales.linear(axes.yaxis, max(values))

    return _picture(
        results,
        "CPU",
        lambda run: None if run.usage is None else run.usage.cpu_share * 100,
        lambda value: f"{fmt.number(value)} %",
        finish,
    )


def _picture(
    results: Results,
    title: str,
    read: Callable[[Run], float | None],
    text: Callable[[float], str],
    finish: "Callable[[Axes, list[float], list[int]], None]",
) -> Picture | None:
    lines = {
        (place, target.name): points
        for place, target in enumerate(results.targets)
        if (points := _points(of(target.name, results.runs), read))
    }
    if not lines:
        return None
    values = [value for points in lines.values() for _, value in points]
    people = [step for points in lines.values() for step, _ in points]
    entries = list(lines)

    def draw(figure: "Figure") -> float:
        top = style.legend_height([name for _, name in entries]) + 20
        height = top + _PLOT + 44
        axes = style.axes(figure, top, top + _PLOT, height)
        scales.people(axes, people)
        finish(axes, values, people)
        for (place, _), points in reversed(lines.items()):
            axes.plot(*zip(*points, strict=True), marker=style.marker(place), **style.line(place))
        style.legend(figure, entries, height)
        return height

    facts = "; ".join(
        f"{name}: " + ", ".join(f"{text(value)} with {step:,} people" for step, value in points)
        for (_, name), points in lines.items()
    )
    alt = f"{title} against the number of people. {facts}."
    return style.picture(style.slug("load", title), f"{title} against load", alt, draw)


def _points(runs: Sequence[Run], read: Callable[[Run], float | None]) -> list[tuple[int, float]]:
    return [
        (run.people, value)
        for run in steps(runs)
        if run.people > 0 and (value := read(run)) is not None and value > 0
    ]
