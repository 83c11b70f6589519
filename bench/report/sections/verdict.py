"""The outcome: criteria, totals, and one line per scenario and target."""

from collections.abc import Sequence

from bench.report import fmt
from bench.report.blocks import (
    MISSING,
    Block,
    Card,
    Cards,
    Cell,
    Column,
    Heading,
    Items,
    Paragraph,
    Row,
    Section,
    Table,
    Tone,
    cell,
    columns_of,
    heading,
    row,
)
from bench.report.criteria import CRITERIA, Criterion, Finding, Verdict, judge
from bench.report.forms import LADDER, shortness
from bench.report.matrix import TargetScore
from bench.report.reservations import changed, unmeasured
from bench.report.runs import Group, of
from bench.results import Results, Run

_TONES: dict[Verdict, Tone] = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.NOT_MEASURED: "missing",
}

_SHORT = (
    "Of {} there are runs with fewer people or less time than the scenario asks for. They show "
    "that everything works; what they measure is no proof of the criteria."
)


def judged(results: Results) -> dict[str, list[Finding]]:
    """For every target what each criterion says of it, in their order."""
    return {
        target.name: [judge(each, of(target.name, results.runs)) for each in CRITERIA]
        for target in results.targets
    }


def verdict(
    results: Results,
    together: Sequence[Group],
    totals: Sequence[TargetScore],
    findings: dict[str, list[Finding]],
) -> Section:
    """Read first."""
    blocks: list[Block] = [*_warnings(results), _cards(results, findings, totals)]
    if not results.runs:
        blocks.append(Paragraph("There is no run in these results."))
    blocks += [Heading("Criteria"), _criteria(results, findings)]
    if together:
        blocks += [Heading("Every run in one line"), _summary(results, together)]
    return Section("verdict", "Verdict", tuple(blocks))


def _warnings(results: Results) -> list[Block]:
    found: list[Block] = []
    short = dict.fromkeys(run.scenario for run in results.runs if shortness(run))
    if short:
        found.append(Items((_SHORT.format(", ".join(short)),), "Short forms", warning=True))
    if gaps := tuple(unmeasured(results)):
        found.append(Items(gaps, "What could not be measured", warning=True))
    if mixed := tuple(changed(results)):
        found.append(Items(mixed, "Different programs under one name", warning=True))
    foreign = tuple(
        f"{_place(run)}: {fmt.plural(run.foreign, 'delivery', 'deliveries')} to people of "
        "another session, who must get none"
        for run in results.runs
        if run.foreign
    )
    if foreign:
        found.append(Items(foreign, "Sessions were mixed up", warning=True))
    remarks = tuple(f"{_place(run)}: {remark}" for run in results.runs for remark in run.remarks)
    if remarks:
        found.append(Items(remarks, "Remarks on the runs", warning=True))
    return found


def _place(run: Run) -> str:
    step = f", {run.people:,} people" if run.scenario == LADDER else ""
    return f"{run.target}, {run.scenario}{step}"


def _cards(
    results: Results, findings: dict[str, list[Finding]], totals: Sequence[TargetScore]
) -> Cards:
    cards = []
    for place, (target, total) in enumerate(zip(results.targets, totals, strict=True)):
        cards.append(
            Card(
                title=target.name,
                subtitle=f"{target.title} ({target.dialect} dialect)",
                swatch=place,
                figure="?" if total.total is None else f"{total.total:.2f}",
                unit=_unit(total),
                lines=_counts(findings[target.name]),
            )
        )
    return Cards(tuple(cards))


def _counts(findings: Sequence[Finding]) -> tuple[Cell, ...]:
    """How many of each kind; passes in short form prove nothing, and are counted apart."""
    kinds = [(verdict, short) for verdict in Verdict for short in (False, True)]
    return tuple(
        Cell(f"{many} {_judged(*kind)}", _tone(*kind))
        for kind in kinds
        if (many := sum((each.verdict, each.short) == kind for each in findings))
    )


def _judged(verdict: Verdict, short: bool) -> str:
    return verdict.value + (" in short form" if short else "")


def _tone(verdict: Verdict, short: bool) -> Tone:
    return "warn" if short and verdict is Verdict.PASS else _TONES[verdict]


def _unit(total: TargetScore) -> str:
    if total.total is None:
        return "nothing to score"
    if not total.partial:
        return "of 10 in the decision matrix"
    if total.weight < 100:
        return f"of 10 in the decision matrix, over the {total.weight} % of it that were measured"
    return "of 10 in the decision matrix, partial: not all of it was measured"


# --- criteria -----------------------------------------------------------------------------------


def _criteria(results: Results, findings: dict[str, list[Finding]]) -> Table:
    notes: dict[str, int] = {}
    rows = []
    for place, criterion in enumerate(CRITERIA):
        cells = (
            _verdict(criterion, findings[target.name][place], target.name, notes)
            for target in results.targets
        )
        rows.append(row(criterion.title, criterion.limit_text, *cells, criterion.judged_by))
    columns = (
        Column("criterion"),
        Column("limit", numeric=True),
        *columns_of(results, numeric=False),
        Column("judged by the worst of"),
    )
    return Table(columns, tuple(rows), tuple(notes))


def _verdict(criterion: Criterion, finding: Finding, target: str, notes: dict[str, int]) -> Cell:
    worst = finding.worst
    if worst is None:
        return MISSING
    text = worst.where if worst.value is None else f"{criterion.text(worst.value)}, {worst.where}"
    numbers = [
        notes.setdefault(f"{target}, {caveat}", len(notes) + 1) for caveat in finding.caveats
    ]
    return Cell(
        f"{_judged(finding.verdict, finding.short)}: {text}",
        _tone(finding.verdict, finding.short),
        tuple(numbers),
    )


# --- one line each ------------------------------------------------------------------------------


def _summary(results: Results, together: Sequence[Group]) -> Table:
    rows: list[Row] = []
    for group in together:
        short = dict.fromkeys(filter(None, map(shortness, group.runs)))
        form = f" (short form: {'; '.join(short)})" if short else ""
        rows.append(heading(group.label + form))
        for place, target in enumerate(results.targets):
            name = Cell(target.name, swatch=place)
            lines = [_line(name, run) for run in group.of(target.name)]
            rows += lines or [row(name, *[MISSING] * 6)]
    titles = ("p95 latency", "lost", "of expected", "stale pairs", "disconnects", "CPU")
    numbers = (Column(title, numeric=True) for title in titles)
    return Table((Column("target"), *numbers), tuple(rows))


def _line(name: Cell, run: Run) -> Row:
    disrupted = bool(run.disruptions)
    return row(
        name,
        fmt.ms(run.delivery.p95_ms) if run.delivery.count else _nothing(run),
        _bad(run.lost, disrupted),
        cell(fmt.percent(run.loss_share) if run.expected else None),
        _bad(run.stale_pairs, disrupted=False),
        _bad(run.disconnects, disrupted),
        cell(None if run.usage is None else fmt.percent(run.usage.cpu_share)),
    )


def _nothing(run: Run) -> Cell:
    return Cell("nothing arrived", "fail") if run.expected else MISSING


def _bad(many: int, disrupted: bool) -> Cell:
    return Cell(fmt.count(many), "warn" if many and not disrupted else "")
