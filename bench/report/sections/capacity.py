"""Progressive load up to the most people, as :mod:`bench.capacity` searched for it."""

from bench.loads import CAPACITY, most_people, wanted_p95_ms
from bench.report import fmt
from bench.report.blocks import Cell, Column, Paragraph, Section, Table, cell, columns_of, row
from bench.report.runs import of
from bench.results import Results, Run

_ABOUT = (
    "Sessions of 50, an update from each every 2 s, from a generator in C on another core. Met "
    "means: p95 below the limit, less than 0.1 % lost, everybody connected and none stale."
)


def capacity(results: Results) -> Section | None:
    """None when it was not searched."""
    runs = [run for run in results.runs if run.scenario == CAPACITY]
    if not runs:
        return None
    loads = sorted({run.people for run in runs})
    rows = [
        row(
            f"{people:,}",
            *(
                cell(_played([run for run in of(target.name, runs) if run.people == people]))
                for target in results.targets
            ),
        )
        for people in loads
    ]
    for limit_ms in sorted({wanted_p95_ms(run) for run in runs}):
        wanted = [run for run in runs if wanted_p95_ms(run) == limit_ms]
        most = (_most(of(target.name, wanted), limit_ms) for target in results.targets)
        rows.append(row(f"most with p95 below {limit_ms:g} ms", *most, strong=True))
    table = Table((Column("people"), *columns_of(results)), tuple(rows))
    return Section(CAPACITY, "Capacity", (Paragraph(_ABOUT), table))


def _played(runs: list[Run]) -> str | None:
    if not runs:
        return None
    run = runs[-1]
    core = "" if run.usage is None else f", {fmt.percent(run.usage.cpu_share)} of a core"
    return f"p95 {fmt.ms(run.delivery.p95_ms)}, {fmt.percent(run.loss_share)} lost{core}"


def _most(runs: list[Run], limit_ms: float) -> Cell:
    most = most_people(runs, limit_ms)
    if most is None:
        return cell(None)
    above = most == max(run.people for run in runs)
    return Cell(f"{most:,}" + (" or more" if above else ""))
