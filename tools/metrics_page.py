"""Writes docs/reference/metrics.md from the metrics of a server that is assembled and not started.

``python -m tools.metrics_page`` (part of ``make generate``). The page is also the golden list: a
test compares it with the code, so a name, a help text, a type or a label changes only in sight.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import trio
from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from bench.driver.progress import RunStatus
from bench.observers.prometheus import Exporter
from bench.results import Moment
from locshare.config import Settings
from locshare.server.tree import Application

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "metrics.md"
_SHOWN_VALUES: Final = 12

GROUPS: Final = {
    "Positions and sessions": "sessions participants position routing flushes events attached "
    "reconnects resumes pace table session_crashes",
    "Actors, tasks and the loop": "actors tasks mailbox loop flush_window restarts crash_reports",
    "WebSockets": "connection handshakes upgrade messages message_ received sent writes stalls "
    "backlog port_",
    "HTTP": "http_",
    "The database": "store_",
    "The process and the machine": "memory disk build sending log collect process_ python_",
    "The load generator": "bench_",
}
"""Where a metric is listed: in the first group with a word that its name begins with, without
``locshare_``."""

HEAD: Final = """\
# Metrics

<!-- Made by `python -m tools.metrics_page` from the code. Change the help text there. -->

What `GET /metrics` shows, for Prometheus. No label holds a session, a person or a place: each comes
from a closed set. [Operate](../guides/operate.md#health-and-metrics) says where the path is served,
[monitoring](../guides/monitor.md) what to do with it.

A server renders them without waiting, so all values of a scrape are of one moment. Counters begin
with the process. A histogram has the samples `…_bucket`, `…_sum` and `…_count`.

"""

REQUIRED: Final = """\
## By what one wants to know

| to know | look at |
|---|---|
| active connections | `locshare_connections`, `locshare_connections_by_dialect`, `locshare_participants_online` |
| connection and disconnection rates | `locshare_connections_opened_total`, `locshare_connections_closed_total`, `locshare_connections_refused_total` |
| messages per second | `locshare_messages_received_total`, `locshare_positions_sent_total`, `locshare_writes_total` |
| latency of a position, p50, p95, p99 | `locshare_position_seconds`; as clients see it, `locshare_bench_latency_seconds` |
| queues | `locshare_mailbox_messages`, `locshare_mailbox_messages_max`, `locshare_backlog_bytes`, `locshare_connections_blocked`, `locshare_store_waiting`, `locshare_store_running` |
| CPU, memory, network | `process_cpu_seconds_total`, `locshare_loop_busy_ratio`, `process_resident_memory_bytes`, `locshare_memory_used_bytes`, `locshare_sent_bytes_total`, `locshare_received_bytes_total`, `locshare_http_sent_bytes_total` |
| errors by kind | `locshare_http_requests_total`, `locshare_message_errors_total`, `locshare_connections_refused_total`, `locshare_connections_closed_total`, `locshare_crash_reports_total`, `locshare_store_statements_total` |
| time-outs | `locshare_connections_closed_total` (`silent`, `too_slow`), `locshare_connections_refused_total` (`late`), `locshare_store_statements_total` (`late`) |
| retries and reconnects | `locshare_reconnects_total`, `locshare_resumes_total`, `locshare_store_failures_total`, `locshare_restarts_total` |
| what the BEAM shows of itself | processes: `locshare_actors`, `locshare_tasks`; their mailboxes: `locshare_mailbox_messages`; table memory: `locshare_table_bytes`; memory: `python_allocated_blocks`; routing time: `locshare_routing_seconds`; run queue: `locshare_loop_delay_seconds` |

"""  # noqa: E501 - rows of a table


class Row(Struct, frozen=True, order=True):
    """One metric. ``labels``: each with the values that are known before anything has happened."""

    name: str
    kind: str
    labels: str
    about: str

    def __str__(self) -> str:
        return f"| `{self.name}` | {self.kind} | {self.labels} | {self.about} |"


def server_rows() -> list[Row]:
    """Those of a server."""

    async def collect() -> list[Row]:
        with TemporaryDirectory() as folder:
            application = Application(Settings(bind="127.0.0.1:0", data_dir=Path(folder)))
            # The library's own show no labels before the first sample.
            application.http_metrics.requests.labels("", "", "")
            application.http_metrics.seconds.labels("")
            return list(rows(application.metrics))

    return trio.run(collect)


def bench_rows() -> list[Row]:
    """Those of the load generator."""
    with Exporter(0) as exporter:
        figures: dict[str, Any] = dict.fromkeys(Moment.__struct_fields__, 1)
        status: dict[str, Any] = dict.fromkeys(RunStatus.__struct_fields__, 1)
        status |= dict.fromkeys(("target", "scenario", "title"), "")
        exporter.moment(Moment(**figures), RunStatus(**status))
        return list(rows(exporter))


def rows(families: CollectorRegistry | Exporter) -> Iterator[Row]:
    """Each of ``families``."""
    for family in families.collect():
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        yield Row(name, family.type, ", ".join(_labels(family)), family.documentation)


def _labels(family: Metric) -> Iterator[str]:
    known: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            known.setdefault(label, [])
            if value not in known[label] and label != "le":
                known[label].append(value)
    for label in getattr(family, "_labelnames", ()):
        known.setdefault(label, [])
    for label, values in known.items():
        if label == "le":
            continue
        closed = label not in ("target", "scenario", "version", "python", "generation")
        shown = ", ".join(value for value in values[:_SHOWN_VALUES] if value) if closed else ""
        more = ", …" if len(values) > _SHOWN_VALUES else ""
        yield f"`{label}`" + (f": {shown}{more}" if shown and family.type != "info" else "")


def page() -> str:
    """The whole page. Raises ValueError for a metric that no group takes."""
    found = [*server_rows(), *bench_rows()]
    return HEAD + REQUIRED + "\n".join(_sections(found))


def _sections(found: Sequence[Row]) -> Iterator[str]:
    left = list(found)
    for title, words in GROUPS.items():
        begin = tuple(words.split())
        taken = [row for row in left if row.name.removeprefix("locshare_").startswith(begin)]
        left = [row for row in left if row not in taken]
        yield from (f"## {title}", "", "| metric | type | labels | |", "|---|---|---|---|")
        yield from map(str, sorted(taken))
        yield ""
    if left:
        raise ValueError(f"no group takes {', '.join(row.name for row in left)}")


def main(write: Callable[[str], object] = PAGE.write_text) -> None:
    """Write the page."""
    write(page())


def names(found: Iterable[Row]) -> Iterator[str]:
    """The names of samples, as queries name them."""
    for row in found:
        if row.kind == "histogram":
            yield from (f"{row.name}_{part}" for part in ("bucket", "sum", "count"))
        else:
            yield row.name


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
