"""Writes deploy/monitoring/grafana/dashboards from what stands here.

``python -m tools.dashboards`` (part of ``make generate``). A panel is a title, a unit and queries;
Grafana's foundation SDK turns that into its JSON. tests/monitoring/test_dashboards.py holds the
files to this code, and runs every query on a real Prometheus.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)
from msgspec import Struct

FOLDER: Final = (
    Path(__file__).resolve().parent.parent / "deploy" / "monitoring" / "grafana" / "dashboards"
)
_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_TAG: Final = "locshare"
_WIDTH: Final = 24
"""Columns of Grafana's grid."""

Unit = Literal["short", "s", "bytes", "Bps", "percentunit", "ops", "none"]


class Query(Struct, frozen=True):
    """``legend`` names a series; ``{{label}}`` in it is the label's value."""

    expr: str
    legend: str = ""


class Panel(Struct, frozen=True):
    """``limits``: where it becomes a warning and where critical, drawn as lines."""

    title: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    about: str = ""
    kind: Literal["graph", "number"] = "graph"
    width: int = 8
    limits: tuple[float, ...] = ()


class Page(Struct, frozen=True):
    """A dashboard. ``job``: which targets the variable ``instance`` offers."""

    uid: str
    title: str
    about: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    instances: str = "locshare_sessions"
    instance_label: str = "instance"


ME: Final = '{instance=~"$instance"}'
RATE: Final = "[$__rate_interval]"


def q(expr: str, legend: str = "") -> Query:
    """``@`` in ``expr`` stands for the chosen instances, ``#`` for the interval of a rate."""
    return Query(expr.replace("@", ME).replace("#", RATE), legend)


def per_second(metric: str, by: str = "", where: str = "") -> str:
    """The rate of a counter, summed ``by`` a label."""
    picked = ME if not where else ME[:-1] + f",{where}}}"
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{picked}{RATE}))"


def quantiles(metric: str) -> tuple[Query, ...]:
    """p50, p95 and p99 of a histogram."""
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{ME}{RATE})))",
            f"p{share * 100:g}",
        )
        for share in (0.5, 0.95, 0.99)
    )


OVERVIEW: Final = Page(
    "locshare-overview",
    "locshare: overview",
    "Is it well? Objectives, traffic, errors, latency, limits.",
    (
        ("Now", (
            Panel("Up", (q('up{job="locshare",instance=~"$instance"}'),), "none",
                  "1 while Prometheus reaches the server.", "number", 3),
            Panel("Connections", (q("sum(locshare_connections@)"),), "short", "", "number", 3),
            Panel("Sessions", (q("sum(locshare_sessions@)"),), "short", "", "number", 3),
            Panel("People online", (q("sum(locshare_participants_online@)"),), "short", "",
                  "number", 3),
            Panel("Position p95", (q("max(locshare:position_seconds:p95_5m@)"),), "s",
                  "From receipt to write, over five minutes.", "number", 3, (0.5, 1)),
            Panel("Errors", (q("max(locshare:error_ratio:5m@) or vector(0)"),), "percentunit",
                  "Of requests and connects, over five minutes.", "number", 3, (0.01, 0.05)),
            Panel("Error budget left", (q("min(locshare:error_budget_left:30d@)"),), "percentunit",
                  "Of thirty days.", "number", 3),
            Panel("Alerts", (q('count(ALERTS{alertstate="firing",severity=~"critical|warning"}) '
                               "or vector(0)"),), "none", "", "number", 3, (1, 1)),
        )),
        ("Latency", (
            Panel("Position, from receipt to write", quantiles("locshare_position_seconds"), "s",
                  "The first position of each flush, which waited longest.", limits=(0.5, 1)),
            Panel("REST, p95 by route", (
                q("histogram_quantile(0.95, sum by (route, le) "
                  "(rate(locshare_http_request_seconds_bucket@#)))", "{{route}}"),), "s",
                  "From the request to the end of the answer.", limits=(0.1,)),
            Panel("Upgrade of a WebSocket", quantiles("locshare_upgrade_seconds"), "s",
                  "From the accepted socket to the answer, with opening the session."),
        )),
        ("Traffic", (
            Panel("Connects and disconnects", (
                q(per_second("locshare_connections_opened_total"), "opened"),
                q(per_second("locshare_connections_closed_total"), "closed"),
                q(per_second("locshare_reconnects_total"), "came back"),
                q(per_second("locshare_connections_refused_total"), "refused"),), "ops"),
            Panel("Messages", (
                q(per_second("locshare_messages_received_total", "type"), "in: {{type}}"),
                q(per_second("locshare_writes_total"), "out: writes"),), "ops"),
            Panel("Requests by status", (
                q(per_second("locshare_http_requests_total", "status"), "{{status}}"),), "ops"),
            Panel("Network", (
                q(per_second("locshare_received_bytes_total", "dialect"), "in: {{dialect}}"),
                q(per_second("locshare_sent_bytes_total", "dialect"), "out: {{dialect}}"),
                q(per_second("locshare_http_received_bytes_total"), "in: HTTP"),
                q(per_second("locshare_http_sent_bytes_total"), "out: HTTP"),), "Bps"),
            Panel("Connections by dialect", (
                q("sum by (dialect) (locshare_connections_by_dialect@)", "{{dialect}}"),)),
            Panel("Sessions", (
                q("sum(locshare_sessions@)", "in memory"),
                q(per_second("locshare_sessions_created_total") + " * 60", "created a minute"),
                q(per_second("locshare_sessions_ended_total", "reason") + " * 60",
                  "ended a minute: {{reason}}"),)),
        )),
        ("Errors", (
            Panel("Share of errors", (
                q("max(locshare:error_ratio:5m@)", "5 minutes"),
                q("max(locshare:error_ratio:1h@)", "1 hour"),
                q("max(locshare:error_ratio:6h@)", "6 hours"),), "percentunit",
                  "Of requests and connects.", limits=(0.01, 0.05)),
            Panel("Connections closed, by reason", (
                q(per_second("locshare_connections_closed_total", "reason"), "{{reason}}"),),
                  "ops"),
            Panel("Connects refused, by reason", (
                q(per_second("locshare_connections_refused_total", "reason"), "{{reason}}"),),
                  "ops"),
            Panel("Messages answered with an error", (
                q(per_second("locshare_message_errors_total", "code"), "{{code}}"),
                q(per_second("locshare_messages_rate_limited_total"), "too fast"),), "ops"),
            Panel("Time-outs", (q("sum by (of) (locshare:timeouts:rate5m@)", "{{of}}"),), "ops"),
            Panel("Positions later than a second", (
                q("max(locshare:slow_ratio:5m@)", "5 minutes"),
                q("max(locshare:slow_ratio:1h@)", "1 hour"),), "percentunit", "",
                  limits=(0.001, 0.0144)),
        )),
        ("Resources", (
            Panel("CPU", (
                q('sum(rate(process_cpu_seconds_total{job="locshare",instance=~"$instance"}#))',
                  "process"),
                q("max(locshare_loop_busy_ratio@)", "loop"),), "percentunit", "Of one core."),
            Panel("Memory", (
                q('sum(process_resident_memory_bytes{job="locshare",instance=~"$instance"})',
                  "process"),
                q("max(locshare_memory_used_bytes@)", "used of the machine or container"),
                q("max(locshare_memory_limit_bytes@)", "limit"),), "bytes"),
            Panel("How full", (
                q("max(locshare:memory:ratio@)", "memory"),
                q("max(locshare:disk:ratio@)", "disk"),
                q("max(locshare_connections@ / locshare_connections_max@)", "connections"),
                q("max(locshare_sessions@ / locshare_sessions_max@)", "sessions"),
                q('max(process_open_fds{job="locshare",instance=~"$instance"} '
                  '/ process_max_fds{job="locshare",instance=~"$instance"})', "descriptors"),),
                  "percentunit", "", limits=(0.7, 0.9)),
        )),
    ),
)  # fmt: skip

ACTORS: Final = Page(
    "locshare-actors",
    "locshare: sessions and actors",
    "What a BEAM shows of itself: processes, mailboxes, tables, routing, schedulers.",
    (
        ("Actors", (
            Panel("Actors and tasks", (
                q("sum(locshare_actors@)", "session actors"),
                q("sum(locshare_tasks@)", "tasks"),)),
            Panel("Mailboxes", (
                q("sum(locshare_mailbox_messages@)", "messages in all"),
                q("max(locshare_mailbox_messages_max@)", "messages in the fullest"),
                q("max(locshare_mailbox_capacity@)", "capacity of each"),)),
            Panel("Routing time", quantiles("locshare_routing_seconds"), "s",
                  "From the socket to the session's actor."),
            Panel("Restarts", (
                q("sum by (child) (increase(locshare_restarts_total@#))", "{{child}}"),
                q("sum(increase(locshare_session_crashes_total@#))", "sessions"),)),
            Panel("Crash reports", (
                q("sum by (child, kind) (increase(locshare_crash_reports_total@#)) > 0",
                  "{{child}}: {{kind}}"),
                q("sum(increase(locshare_connection_crashes_total@#))", "connections"),)),
            Panel("Tables", (
                q("sum(locshare_table_bytes@)", "tables of sessions"),), "bytes",
                  "About what the state of all sessions holds."),
        )),
        ("Sessions", (
            Panel("Sessions and people", (
                q("sum(locshare_sessions@)", "sessions"),
                q("sum(locshare_participants@)", "people"),
                q("sum(locshare_participants_online@)", "online"),
                q("sum(locshare_positions@)", "positions held"),)),
            Panel("Positions and flushes", (
                q(per_second("locshare_positions_sent_total"), "positions"),
                q(per_second("locshare_flushes_total"), "flushes"),
                q(per_second("locshare_events_total"), "events"),), "ops"),
            Panel("Coming back", (
                q(per_second("locshare_attached_total"), "snapshots"),
                q(per_second("locshare_reconnects_total"), "of those who were there before"),
                q(per_second("locshare_resumes_total", "outcome"), "missed: {{outcome}}"),),
                  "ops"),
            Panel("Life of sessions", (
                q(per_second("locshare_sessions_created_total"), "created"),
                q(per_second("locshare_sessions_loaded_total"), "loaded"),
                q(per_second("locshare_sessions_slept_total"), "put to sleep"),), "ops"),
            Panel("Pace", (
                q("sum(locshare_paced_receivers@)", "receivers with a pace"),
                q(per_second("locshare_pace_requests_total"), "requests to senders a second"),)),
            Panel("How long connections last", (
                q("histogram_quantile(0.5, sum by (le) "
                  "(rate(locshare_connection_seconds_bucket@#)))", "median of those that ended"),),
                  "s"),
        )),
        ("The loop", (
            Panel("Lateness of the loop", quantiles("locshare_loop_delay_seconds"), "s",
                  "How long a ready task waits: the BEAM's run queue."),
            Panel("Busy", (q("max(locshare_loop_busy_ratio@)", "share of a core"),), "percentunit",
                  limits=(0.88,)),
            Panel("Flush window", (
                q("max(locshare_flush_window_seconds@)", "now"),
                q("max(locshare_flush_window_max_seconds@)", "at most"),), "s",
                  "At its widest the core is full."),
            Panel("Memory of objects", (q("sum(python_allocated_blocks@)", "blocks"),)),
            Panel("Garbage collection", (
                q("sum by (generation) (rate(python_gc_collections_total@#))",
                  "generation {{generation}}"),), "ops"),
            Panel("Longest stop", (
                q("max(locshare_loop_longest_lag_seconds@)", "since the last scrape"),), "s",
                  limits=(1,)),
        )),
        ("Queues", (
            Panel("Outboxes", (
                q("sum(locshare_backlog_bytes@)", "bytes that wait"),), "bytes"),
            Panel("Slow receivers", (
                q("sum(locshare_connections_blocked@)", "sockets that are full"),
                q(per_second("locshare_stalls_total"), "times a second"),)),
            Panel("The store's queue", (
                q("sum by (kind) (locshare_store_waiting@)", "{{kind}}"),
                q("sum(locshare_store_running@)", "statements that run"),)),
            Panel("Statements", (
                q(per_second("locshare_store_statements_total", "outcome"), "{{outcome}}"),),
                  "ops"),
            Panel("Duration of statements", quantiles("locshare_store_statement_seconds"), "s"),
            Panel("The database", (
                q("min(locshare_store_open@)", "answers"),
                q("sum(increase(locshare_store_outages_total@#))", "outages"),
                q("sum(increase(locshare_store_failures_total@#))", "retries"),
                q("sum(increase(locshare_store_dropped_total@#))", "writes given up"),)),
        )),
    ),
)  # fmt: skip

OF: Final = '{target=~"$instance"}'
LOAD: Final = Page(
    "locshare-load",
    "locshare: load test",
    "What the load generator sees, beside what the server says.",
    (
        ("Now", (
            Panel("People connected", (Query(f"sum(locshare_bench_connected{OF})"),), "short", "",
                  "number", 6),
            Panel("Deliveries a second", (
                Query(f"sum(rate(locshare_bench_delivered_total{OF}{RATE}))"),), "ops", "",
                  "number", 6),
            Panel("p95", (
                Query(f'max(locshare_bench_latency_seconds{{quantile="0.95",{OF[1:]})'),), "s",
                  "From send to receipt.", "number", 6, (0.5, 1)),
            Panel("Lost or on their way", (
                Query(f"sum(locshare_bench_outstanding{OF})"),), "short", "", "number", 6),
        )),
        ("Clients", (
            Panel("Latency, from send to receipt", (
                Query(f"locshare_bench_latency_seconds{OF}",
                      "{{target}}, {{scenario}}: {{quantile}}"),), "s", "", limits=(0.5, 1)),
            Panel("Updates and deliveries", (
                Query(f"sum by (target) (rate(locshare_bench_sent_total{OF}{RATE}))",
                      "{{target}}: sent"),
                Query(f"sum by (target) (rate(locshare_bench_expected_total{OF}{RATE}))",
                      "{{target}}: expected"),
                Query(f"sum by (target) (rate(locshare_bench_delivered_total{OF}{RATE}))",
                      "{{target}}: delivered"),), "ops"),
            Panel("People", (
                Query(f"sum by (target) (locshare_bench_people{OF})", "{{target}}: planned"),
                Query(f"sum by (target) (locshare_bench_connected{OF})",
                      "{{target}}: connected"),)),
            Panel("What went wrong", (
                Query(f"sum by (target) (increase(locshare_bench_refused_total{OF}{RATE}))",
                      "{{target}}: refused"),
                Query(f"sum by (target) (increase(locshare_bench_disconnects_total{OF}{RATE}))",
                      "{{target}}: lost"),
                Query(f"sum by (target) (increase(locshare_bench_reconnects_total{OF}{RATE}))",
                      "{{target}}: came back"),)),
            Panel("CPU", (
                Query(f"max by (target) (locshare_bench_server_cpu_share{OF})",
                      "{{target}}: server, with its database"),
                Query(f"max by (target) (locshare_bench_driver_cpu_share{OF})",
                      "{{target}}: generator"),), "percentunit",
                  "A generator near one core measures itself.", limits=(0.8, 1)),
            Panel("Memory of the server", (
                Query(f"max by (target) (locshare_bench_server_resident_bytes{OF})",
                      "{{target}}"),), "bytes"),
            Panel("Context switches", (
                Query(f"max by (target) (locshare_bench_server_context_switches{OF})",
                      "{{target}}"),)),
        )),
        ("The server says", (
            Panel("Position, from receipt to write", tuple(
                Query(f"histogram_quantile({share}, sum by (le) "
                      f"(rate(locshare_position_seconds_bucket{RATE})))", f"p{share * 100:g}")
                for share in (0.5, 0.95, 0.99)), "s", limits=(0.5, 1)),
            Panel("Flush window and lateness", (
                Query("max(locshare_flush_window_seconds)", "flush window"),
                Query("max(locshare_loop_lag_seconds)", "lateness of the loop"),), "s"),
            Panel("Backlog", (Query("sum(locshare_backlog_bytes)", "waits for full sockets"),),
                  "bytes"),
        )),
    ),
    instances="locshare_bench_people",
    instance_label="target",
)  # fmt: skip

PAGES: Final = (OVERVIEW, ACTORS, LOAD)
_HEIGHTS: Final = {"number": 4, "graph": 8}


def build(page: Page) -> str:
    """The JSON of a dashboard."""
    made = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.about)
        .tags([_TAG])
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
        .link(
            dashboard.DashboardLink("locshare")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("from"))
        .with_variable(
            dashboard.QueryVariable("instance")
            .label(page.instance_label)
            .datasource(_SOURCE)
            .query(f"label_values({page.instances}, {page.instance_label})")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(True)
            .all_value(".*")
            .multi(True)
            .current(VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    for title, panels in page.rows:
        made = made.with_row(dashboard.Row(title))
        for panel in panels:
            made = made.with_panel(_number(panel) if panel.kind == "number" else _graph(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _graph(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.about)
        .datasource(_SOURCE)
        .unit(panel.unit)
        .min(0)
        .fill_opacity(8)
        .span(panel.width)
        .height(_HEIGHTS["graph"])
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .thresholds(_thresholds(panel.limits))
    )
    if panel.limits:
        made = made.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        )
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        made = made.with_target(
            prometheus.Dataquery()
            .expr(query.expr)
            .legend_format(query.legend)
            .range()
            .ref_id(letter)
        )
    return made


def _number(panel: Panel) -> stat.Panel:
    (query,) = panel.queries
    return (
        stat.Panel()
        .title(panel.title)
        .description(panel.about)
        .datasource(_SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(_HEIGHTS["number"])
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(panel.limits))
        .with_target(prometheus.Dataquery().expr(query.expr).range().ref_id("A"))
    )


def _thresholds(limits: Sequence[float]) -> dashboard.ThresholdsConfig:
    colors = ("orange", "red") if len(limits) == 2 else ("red",)
    steps = [Threshold(color="green")]
    steps += [
        Threshold(value=limit, color=color) for limit, color in zip(limits, colors, strict=False)
    ]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def files() -> dict[Path, str]:
    """Each file and what is to be in it."""
    return {FOLDER / f"{page.uid}.json": build(page) for page in PAGES}


def main() -> None:
    """Write all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
