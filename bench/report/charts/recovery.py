"""Disruptions: people connected, latency, and the time to recover."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.report import fmt
from bench.report.blocks import Picture
from bench.report.charts import scales, style
from bench.report.charts.panels import BOTTOM, GAP, PLOT, panel
from bench.report.charts.series import over_time
from bench.report.criteria import RECOVERY_LIMIT_S
from bench.report.runs import Group
from bench.results import Disruption, Run, TargetDescription

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LANE = 18.0
_LEFT = 104.0
_BAR = 17.0
_KIND = 24.0


def time_line(place: int, target: TargetDescription, number: int, run: Run) -> Picture | None:
    """One run's people connected, p95, and a lane for each kind of disruption; None without moments
    or disruptions. ``number`` distinguishes runs of the same target.
    """
    if not run.moments or not run.disruptions:
        return None
    kinds = list(dict.fromkeys(each.kind for each in run.disruptions))
    last_s = max(run.moments[-1].at_s, *(each.at_s for each in run.disruptions))
    connected = over_time(run.moments, lambda moment: moment.connected, min)
    p95 = over_time(run.moments, lambda moment: moment.p95_ms, max)

    def draw(figure: "Figure") -> float:
        top = 20.0
        lanes = len(kinds) * _LANE + 8
        height = top + 2 * (PLOT + GAP) + lanes + BOTTOM
        titles = ("people connected", "p95 latency, ms")
        for row, (title, series) in enumerate(zip(titles, (connected, p95), strict=True)):
            axes = panel(
                figure, row, top, height, title, [(place, series)], last_s,
                log=bool(row), left=_LEFT,
            )  # fmt: skip
            for each in run.disruptions:
                axes.axvline(each.at_s, color=style.MUTED, linewidth=0.7, alpha=0.55, zorder=0.5)
        at = top + 2 * (PLOT + GAP)
        axes = style.axes(figure, at, at + lanes, height, _LEFT)
        axes.set_title("recovery (a cross: did not recover)")
        axes.set_ylim(len(kinds) - 0.4, -0.6)
        axes.set_yticks(range(len(kinds)), [fmt.DISRUPTIONS[kind] for kind in kinds])
        for each in run.disruptions:
            lane = kinds.index(each.kind)
            until = last_s if each.recovery_s is None else each.at_s + each.recovery_s
            axes.plot([each.at_s, until], [lane, lane], color=style.colour(place), linewidth=3)
            axes.plot(each.at_s, lane, "|", color=style.INK, markersize=9, markeredgewidth=1.4)
            if each.recovery_s is None:
                axes.plot(until, lane, "x", color=style.BAD, markersize=7, clip_on=False)
        scales.time(axes, last_s)
        return height

    each_s = connected.each_s
    note = f"Each point is the worst of up to {each_s} s." if each_s > 1 else ""
    alt = (
        f"{target.name} in {run.scenario}: people connected and p95 latency over time, with "
        f"{fmt.plural(len(run.disruptions), 'disruption')}; at least "
        f"{min(moment.connected for moment in run.moments):,} of {run.people:,} people were "
        "connected all the time."
    )
    key = style.slug("recovery", f"{place + 1}-{number}", target.name)
    return style.picture(key, target.name, alt, draw, note)


def recovery_times(group: Group, targets: Sequence[TargetDescription]) -> Picture | None:
    """The longest recovery of each kind and target as bars; None when nothing was disrupted."""
    found = {
        kind: bars
        for kind in fmt.DISRUPTIONS
        if (
            bars := [
                (place, target.name, some)
                for place, target in enumerate(targets)
                if (
                    some := [
                        each
                        for run in group.of(target.name)
                        for each in run.disruptions
                        if each.kind == kind
                    ]
                )
            ]
        )
    }
    if not found:
        return None
    known = [
        each.recovery_s
        for bars in found.values()
        for *_, some in bars
        for each in some
        if each.recovery_s is not None
    ]
    most = max(*known, RECOVERY_LIMIT_S) if known else RECOVERY_LIMIT_S
    entries = sorted({(place, name) for bars in found.values() for place, name, _ in bars})

    def draw(figure: "Figure") -> float:
        top = style.legend_height([name for _, name in entries]) + 18
        plot = sum(_KIND + _BAR * len(bars) for bars in found.values()) + 4
        height = top + plot + 44
        axes = style.axes(figure, top, top + plot, height, 14)
        scales.linear(axes.xaxis, most * 1.3)
        axes.set_ylim(plot, 0)
        axes.set_yticks([])
        axes.grid(visible=True, axis="x")
        axes.axvline(
            RECOVERY_LIMIT_S, color=style.MUTED, linewidth=1.4, linestyle=(0, (4, 2)), zorder=0.5
        )
        axes.set_title("")
        axes.annotate(
            f"limit {RECOVERY_LIMIT_S:g} s",
            (RECOVERY_LIMIT_S, 0),
            (0, 3),
            textcoords="offset points",
            ha="center",
            color=style.MUTED,
            fontsize=style.TEXT - 1,
        )
        y = 0.0
        for kind, bars in found.items():
            axes.text(0, y + _KIND / 2 + 2, fmt.DISRUPTIONS[kind], va="center", color=style.INK)
            y += _KIND
            for place, _, some in bars:
                longest = _longest(some)
                axes.barh(
                    y + _BAR / 2 - 2,
                    most * 1.3 if longest is None else longest,
                    _BAR - 5,
                    color=style.colour(place),
                    alpha=0.35 if longest is None else 1,
                )
                axes.annotate(
                    _label(longest, len(some)),
                    (0 if longest is None else longest, y + _BAR / 2 - 2),
                    (5, 0),
                    textcoords="offset points",
                    va="center_baseline",
                    color=style.INK,
                    fontsize=style.TEXT - 1,
                    bbox={"facecolor": style.PAPER, "edgecolor": "none", "pad": 1},
                )
                y += _BAR
        axes.set_xlabel("seconds")
        style.legend(figure, entries, height)
        return height

    facts = "; ".join(
        f"{fmt.DISRUPTIONS[kind]}: "
        + ", ".join(f"{name} {_label(_longest(some), len(some))}" for _, name, some in bars)
        for kind, bars in found.items()
    )
    alt = f"Longest recovery of each kind of disruption in {group.label}. {facts}."
    return style.picture(style.slug("recovery", "times"), "Recovery times", alt, draw)


def _longest(disruptions: Sequence[Disruption]) -> float | None:
    times = [each.recovery_s for each in disruptions]
    known = [each for each in times if each is not None]
    return max(known) if len(known) == len(times) else None


def _label(longest: float | None, many: int) -> str:
    if longest is None:
        return "did not recover in the run"
    return fmt.seconds(longest) + (f", longest of {many}" if many > 1 else "")
