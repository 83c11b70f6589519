"""The decision matrix with its rule, its inputs and its sums."""

from collections.abc import Sequence

from bench.report.blocks import (
    MISSING,
    Block,
    Cell,
    Code,
    Column,
    Heading,
    Items,
    Paragraph,
    Row,
    Section,
    Table,
    columns_of,
    heading,
    row,
)
from bench.report.forms import shortness
from bench.report.matrix import ASPECTS, AspectScore, MeasureScore, Scored, TargetScore
from bench.results import Results

_RULE = (
    "Every value scores from 0 to 10 between two anchors: at the first or better 10, at the "
    "second or worse 0, and between them each tenfold counts the same, unless the rule says each "
    "unit. A measure is the mean of its values' scores, an aspect the mean of its measures, the "
    "total the mean of the aspects by weight; each is rounded to two digits, halves up, before it "
    "is used. What was not measured or not stated is left out of the mean, and the score is then "
    "marked as partial: compare it with care. Where a criterion names a limit of recovery, loss "
    "or disconnects, just reaching it is worth 5. Performance, reliability and cost are from "
    "measurements, development experience and operations from stated facts."
)


def decision(results: Results, totals: Sequence[TargetScore]) -> Section:
    """The matrix, then its inputs."""
    blocks: list[Block] = [
        *_warning(results),
        _matrix(results, totals),
        Paragraph("The totals, to be checked by hand or weighed anew:"),
        Code("\n".join(f"{each.target}: {each.arithmetic}" for each in totals)),
        Heading("The rule"),
        Paragraph(_RULE),
        _rules(),
    ]
    for place, aspect in enumerate(ASPECTS):
        blocks += [
            Heading(f"{aspect.title} ({aspect.weight} %)"),
            _inputs(results, [each.aspects[place] for each in totals]),
        ]
        if aspect.remark:
            blocks.append(Paragraph(aspect.remark))
    return Section("decision", "Decision matrix", tuple(blocks))


def _warning(results: Results) -> list[Block]:
    short = dict.fromkeys(run.scenario for run in results.runs if shortness(run))
    if not short:
        return []
    text = (
        f"What is scored of {', '.join(short)} comes from short forms: it shows how, not who wins."
    )
    return [Items((text,), "Short forms", warning=True)]


def _matrix(results: Results, totals: Sequence[TargetScore]) -> Table:
    rows = [
        row(aspect.title, f"{aspect.weight} %", *(_score(each.aspects[place]) for each in totals))
        for place, aspect in enumerate(ASPECTS)
    ]
    weighed = (_total(each.total, each) for each in totals)
    equal = (_total(each.unweighted, each) for each in totals)
    rows += [row("total", "100 %", *weighed, strong=True), row("with equal weights", "", *equal)]
    columns = (Column("aspect"), Column("weight", numeric=True), *columns_of(results))
    return Table(columns, tuple(rows))


def _total(score: float | None, of: TargetScore) -> Cell:
    if score is None:
        return MISSING
    over = f"over {of.weight} %" if of.weight < 100 else "partial"
    return Cell(f"{score:.2f}" + (f" ({over})" if of.partial else ""))


def _score(score: AspectScore | MeasureScore) -> Cell:
    if score.score is None:
        return MISSING
    return Cell(f"{score.score:.2f}" + (" (partial)" if score.partial else ""))


def _rules() -> Table:
    rows: list[Row] = []
    for aspect in ASPECTS:
        rows.append(heading(f"{aspect.title}, {aspect.weight} %"))
        for each in aspect.measures:
            between = "each tenfold the same" if each.log else "each unit the same"
            rows.append(
                row(each.title, each.text(each.ten), each.text(each.zero), between, each.rule)
            )
    columns = (
        Column("measure"),
        Column("scores 10", numeric=True),
        Column("scores 0", numeric=True),
        Column("between"),
        Column("values from"),
    )
    return Table(columns, tuple(rows))


def _inputs(results: Results, scores: Sequence[AspectScore]) -> Table:
    rows: list[Row] = []
    for place in range(len(scores[0].measures) if scores else 0):
        rows += _measure([each.measures[place] for each in scores])
    rows.append(row("aspect", *map(_score, scores), strong=True))
    return Table((Column("measure"), *columns_of(results)), tuple(rows))


def _measure(scores: Sequence[MeasureScore]) -> list[Row]:
    title, keys = scores[0].measure.title, list(scores[0].readings) or [""]
    rows = [
        row(
            f"{title}, {key}" if key else title,
            *(_value(each.readings.get(key)) for each in scores),
        )
        for key in keys
    ]
    return rows if len(keys) == 1 else [*rows, row(f"{title}, mean", *map(_score, scores))]


def _value(scored: Scored | None) -> Cell:
    return MISSING if scored is None else Cell(f"{scored.reading.text} → {scored.score:.2f}")
