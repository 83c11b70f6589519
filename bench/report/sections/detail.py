"""Every measure, one table per scenario, and its disruptions."""

from collections.abc import Callable, Sequence

from bench.report import fmt
from bench.report.blocks import (
    Block,
    Cell,
    Column,
    Heading,
    Items,
    Paragraph,
    Row,
    Section,
    Table,
    cell,
    columns_of,
    heading,
    row,
)
from bench.report.runs import Group
from bench.results import Latencies, Network, Results, Run, Usage

Reader = Callable[[Run], str | None]


def _timed(which: Callable[[Run], Latencies | None], read: Callable[[Latencies], float]) -> Reader:
    return lambda run: fmt.ms(read(each)) if (each := which(run)) and each.count else None


def _used(read: Callable[[Usage], str]) -> Reader:
    return lambda run: None if run.usage is None else read(run.usage)


def _spread(what: str, which: Callable[[Run], Latencies | None]) -> list[tuple[str, Reader]]:
    return [
        (f"{what} p50", _timed(which, lambda each: each.p50_ms)),
        (f"{what} p95", _timed(which, lambda each: each.p95_ms)),
        (f"{what} p99", _timed(which, lambda each: each.p99_ms)),
        (f"{what} max", _timed(which, lambda each: each.max_ms)),
    ]


def _share(some: int, share: float, whole: int) -> str:
    return fmt.count(some) + (f" ({fmt.percent(share)})" if whole else "")


def _carried(read: Callable[[Network, Run], str]) -> Reader:
    return lambda run: None if run.network is None else read(run.network, run)


def _per_delivery(network: Network, run: Run) -> str:
    if not run.delivered:
        return fmt.NOT_MEASURED
    return f"{fmt.fine(network.to_people_bytes / run.delivered)} bytes"


def _per_person(network: Network, run: Run) -> str:
    if network.to_server_bytes is None or not (run.people and run.duration_s):
        return fmt.NOT_MEASURED
    both = network.to_people_bytes + network.to_server_bytes
    return f"{fmt.fine(both / run.people / run.duration_s)} bytes"


MEASURES: tuple[tuple[str, tuple[tuple[str, Reader], ...]], ...] = (
    (
        "Updates",
        (
            ("sent", lambda run: fmt.count(run.sent)),
            ("expected deliveries", lambda run: fmt.count(run.expected)),
            ("delivered", lambda run: fmt.count(run.delivered)),
            ("lost", lambda run: _share(run.lost, run.loss_share, run.expected)),
            ("stale pairs at the end", lambda run: fmt.count(run.stale_pairs)),
            ("to another session", lambda run: fmt.count(run.foreign)),
        ),
    ),
    (
        "Latency",
        (
            *_spread("delivery", lambda run: run.delivery),
            ("deliveries timed", lambda run: fmt.count(run.delivery.count)),
        ),
    ),
    (
        "Connections",
        (
            ("opened", lambda run: fmt.count(run.connections)),
            ("uptime, of people's time", lambda run: fmt.uptime(run.uptime_share)),
            ("refused", lambda run: fmt.count(run.refused)),
            ("joins failed", lambda run: fmt.count(run.join_failures)),
            (
                "unexpected disconnects",
                lambda run: _share(run.disconnects, run.disconnect_share, run.connections),
            ),
            *_spread("connect", lambda run: run.connect),
            ("reconnects", lambda run: fmt.count(run.reconnect.count if run.reconnect else None)),
            *_spread("reconnect", lambda run: run.reconnect),
        ),
    ),
    (
        "Network",
        (
            ("to the people", _carried(lambda net, _: fmt.mebibytes(net.to_people_bytes))),
            ("to the server", _carried(lambda net, _: fmt.mebibytes(net.to_server_bytes))),
            ("to the people per delivered update", _carried(_per_delivery)),
            ("to and from a person, per second", _carried(_per_person)),
        ),
    ),
    (
        "Machine",
        (
            ("CPU, of one core", _used(lambda usage: fmt.percent(usage.cpu_share))),
            ("CPU per delivered update", _used(lambda usage: fmt.us(usage.us_per_delivery))),
            ("memory at the start", _used(lambda usage: fmt.mebibytes(usage.rss_start_bytes))),
            ("memory at its peak", _used(lambda usage: fmt.mebibytes(usage.rss_peak_bytes))),
            ("context switches", _used(lambda usage: fmt.count(usage.context_switches))),
            ("load generator, of one core", _used(lambda use: fmt.percent(use.generator_share))),
            ("other processes, of one core", _used(lambda use: fmt.percent(use.others_share))),
            ("began (UTC)", lambda run: run.began.removesuffix("+00:00") or "not known"),
        ),
    ),
)


def detail(results: Results, together: Sequence[Group]) -> Section:
    """One part for each scenario and step of the ladder."""
    blocks: list[Block] = []
    for group in together:
        blocks.append(Heading(group.label))
        blocks += [Paragraph(text) for text in _titles(group)]
        blocks.append(_table(results, group))
        blocks += _rest(results, group)
        remarks = tuple(f"{run.target}: {each}" for run in group.runs for each in run.remarks)
        if remarks:
            blocks.append(Items(remarks, "Remarks", warning=True))
        blocks += _disruptions(results, group)
    return Section("detail", "Every measure", tuple(blocks) or (Paragraph("There is no run."),))


def _titles(group: Group) -> list[str]:
    """The titles of the runs; once when they are all the same."""
    several = {f"{run.title}; seed {run.seed}, scale {run.scale:g}" for run in group.runs}
    if len(several) == 1:
        return [f"{several.pop()}."]
    return [
        f"{run.target}: {run.title}; seed {run.seed}, scale {run.scale:g}." for run in group.runs
    ]


def _table(results: Results, group: Group) -> Table:
    columns: list[tuple[Column, Run | None]] = [
        (column, run) for column in columns_of(results) for run in group.of(column.text) or (None,)
    ]
    rows: list[Row] = []
    for part, measures in MEASURES:
        rows.append(heading(part))
        for title, read in measures:
            rows.append(row(title, *(cell(read(run) if run else None) for _, run in columns)))
    return Table((Column("measure"), *(column for column, _ in columns)), tuple(rows))


def _rest(results: Results, group: Group) -> list[Block]:
    """p95 of every REST call, and how many there were."""
    columns: list[tuple[Column, Run | None]] = [
        (column, run) for column in columns_of(results) for run in group.of(column.text) or (None,)
    ]
    calls = dict.fromkeys(each.call for _, run in columns if run for each in run.rest)
    rows = [row(call, *(cell(_call(run, call)) for _, run in columns)) for call in calls]
    table = Table((Column("REST call, p95"), *(column for column, _ in columns)), tuple(rows))
    return [table] if rows else []


def _call(run: Run | None, call: str) -> str | None:
    found = next((each for each in (run.rest if run else ()) if each.call == call), None)
    if found is None:
        return None
    failed = f", {found.failed:,} failed" if found.failed else ""
    count = found.latencies.count
    p95 = fmt.ms(found.latencies.p95_ms) if count else "none succeeded"
    return f"{p95} ({count:,} calls{failed})"


def _disruptions(results: Results, group: Group) -> list[Block]:
    rows = [
        row(
            Cell(target.name, swatch=place),
            fmt.seconds(each.at_s),
            fmt.DISRUPTIONS[each.kind],
            Cell("did not recover in the run", "fail")
            if each.recovery_s is None
            else fmt.seconds(each.recovery_s),
            each.detail,
        )
        for place, target in enumerate(results.targets)
        for run in group.of(target.name)
        for each in run.disruptions
    ]
    columns = (
        Column("target"),
        Column("at", numeric=True),
        Column("what was broken"),
        Column("recovery", numeric=True),
        Column("how"),
    )
    return [Table(columns, tuple(rows))] if rows else []
