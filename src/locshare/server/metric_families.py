"""The counts of the rooms as Prometheus families, made at scrape time.

The rooms know nothing of Prometheus and keep plain numbers. Here, and only here, those get their
public names. No label ever holds a session, a participant or a position.
"""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, Metric

from locshare import __version__
from locshare.broadcast.flush_controller import LoopStatistics
from locshare.broadcast.native import IMPLEMENTATION
from locshare.connection.counters import ConnectionStatistics
from locshare.connection.shared_listener import SharedStatistics
from locshare.http import ServerStatistics
from locshare.session.counters import SessionStatistics
from locshare.store.statistics import StoreStatistics
from locshare.supervisor import ReportKind
from locshare.telemetry.machine import disk, memory
from locshare.telemetry.metrics import (
    Source,
    counter,
    gauge,
    histogram,
    info,
    interpreter_families,
)
from locshare.telemetry.output import dropped_lines


class TreeStatistics(Struct, frozen=True):
    """The supervision tree. Totals are since the server was made."""

    tasks: int
    """Trio tasks that live now."""
    restarts: dict[str, int]
    """By child of the root."""
    reports: dict[tuple[str, ReportKind], int]
    """Crash reports by child and by what happened."""


def room_sources(
    *,
    sessions: Callable[[], SessionStatistics],
    connections: Callable[[], ConnectionStatistics],
    http: Callable[[], ServerStatistics],
    loop: Callable[[], LoopStatistics],
    store: Callable[[], StoreStatistics],
    tree: Callable[[], TreeStatistics],
    data_dir: Path,
    max_sessions: int,
    shared: Callable[[], SharedStatistics] | None = None,
) -> tuple[Source, ...]:
    """For :class:`locshare.telemetry.metrics.RoomCollector`. ``shared`` on one port only."""
    return (
        *(() if shared is None else (lambda: shared_families(shared()),)),
        lambda: session_families(sessions()),
        lambda: tree_families(tree()),
        lambda: connection_families(connections()),
        lambda: http_families(http()),
        lambda: loop_families(loop()),
        lambda: store_families(store()),
        lambda: [gauge("locshare_sessions_max", "Sessions that fit in memory.", max_sessions)],
        lambda: machine_families(data_dir),
        build_families,
        log_families,
        interpreter_families,
    )


def session_families(of: SessionStatistics) -> Iterator[Metric]:
    """Sessions and their participants."""
    yield gauge("locshare_sessions", "Sessions in memory.", of.live)
    yield gauge("locshare_participants", "Participants of the sessions in memory.", of.participants)
    yield gauge("locshare_participants_online", "Participants with a connection.", of.online)
    yield counter("locshare_sessions_created_total", "Sessions created.", of.created)
    yield counter("locshare_sessions_loaded_total", "Sessions read from the store.", of.loaded)
    yield counter(
        "locshare_sessions_slept_total", "Sessions put to sleep, nobody being connected.", of.slept
    )
    yield counter("locshare_sessions_ended_total", "Sessions ended.", of.ended)
    yield counter("locshare_session_crashes_total", "Crashes of session actors.", of.restarts)
    yield counter("locshare_participants_joined_total", "Participants who joined.", of.joined)
    yield counter("locshare_attached_total", "Connections that got a snapshot.", of.attached)
    yield counter(
        "locshare_reconnects_total",
        "Connections of participants who had connected before.",
        of.reconnected,
    )
    yield counter(
        "locshare_resumes_total",
        "Clients that came back and asked what they had missed, by whether all of it was known.",
        of.resumes,
        "outcome",
    )
    yield counter(
        "locshare_positions_sent_total",
        "Positions that were sent on, each counted once.",
        of.updates,
    )
    yield counter("locshare_flushes_total", "Flushes of a session.", of.flushes)
    yield counter("locshare_events_total", "Events of sessions.", of.events)
    yield gauge(
        "locshare_paced_receivers", "Connections that chose how often positions come.", of.paced
    )
    yield counter(
        "locshare_pace_requests_total",
        "Requests to senders for a pace, and their withdrawals.",
        of.pace_requests,
    )
    yield histogram(
        "locshare_position_seconds",
        "From the receipt of a position until all receivers were written to: the first of a flush.",
        of.delivery,
    )
    yield histogram(
        "locshare_routing_seconds",
        "From the receipt of a position until its session's actor had it.",
        of.routing,
    )
    yield gauge("locshare_positions", "Positions held in memory.", of.positions)
    yield gauge("locshare_table_bytes", "About what the tables of sessions hold.", of.table_bytes)
    mailboxes = of.mailboxes
    yield gauge("locshare_actors", "Session actors that run.", mailboxes.actors)
    yield gauge(
        "locshare_mailbox_messages", "Messages that wait for session actors.", mailboxes.messages
    )
    yield gauge(
        "locshare_mailbox_messages_max", "Messages in the fullest mailbox.", mailboxes.fullest
    )
    yield gauge(
        "locshare_mailbox_capacity", "Messages that a mailbox takes, at most.", mailboxes.capacity
    )


def tree_families(of: TreeStatistics) -> Iterator[Metric]:
    """Supervision."""
    yield gauge("locshare_tasks", "Tasks that live now.", of.tasks)
    yield counter(
        "locshare_restarts_total", "Restarts of a part of the server.", of.restarts, "child"
    )
    reports = CounterMetricFamily(
        "locshare_crash_reports_total",
        "Abnormal ends of a part of the server or of a session, and of their supervisors.",
        labels=("child", "kind"),
    )
    for (child, kind), count in of.reports.items():
        reports.add_metric((child, kind), count)
    yield reports


def connection_families(of: ConnectionStatistics) -> Iterator[Metric]:
    """WebSockets."""
    yield gauge("locshare_connections", "Open WebSocket connections.", of.open)
    yield gauge("locshare_connections_max", "Connections that are admitted, at most.", of.limit)
    yield gauge(
        "locshare_connections_by_dialect",
        "Open WebSocket connections, by what they speak.",
        of.dialects,
        "dialect",
    )
    yield gauge(
        "locshare_handshakes", "Sockets of WebSockets whose request is awaited.", of.handshakes
    )
    yield counter(
        "locshare_connections_accepted_total", "Accepted sockets of WebSockets.", of.accepted
    )
    yield counter("locshare_connections_opened_total", "Admitted connections.", of.opened)
    yield counter("locshare_connections_refused_total", "Refused upgrades.", of.refused)
    yield counter("locshare_connections_closed_total", "Ended connections.", of.closed)
    yield histogram(
        "locshare_upgrade_seconds",
        "From the accepted socket to the answered upgrade, with opening the session.",
        of.upgrades,
    )
    yield histogram("locshare_connection_seconds", "How long connections last.", of.lifetimes)
    yield counter("locshare_connection_crashes_total", "Crashed connection tasks.", of.crashes)
    yield counter(
        "locshare_messages_received_total", "Messages from clients.", of.messages_in, "type"
    )
    yield counter(
        "locshare_messages_rate_limited_total",
        "Messages dropped because their sender was too fast.",
        of.rate_limited,
    )
    yield counter(
        "locshare_message_errors_total", "Messages answered with an error.", of.errors, "code"
    )
    yield counter("locshare_received_bytes_total", "Bytes from WebSockets.", of.received, "dialect")
    yield counter("locshare_sent_bytes_total", "Bytes to WebSockets.", of.sent, "dialect")
    yield counter("locshare_writes_total", "Successful writes to sockets.", of.writes)
    yield counter("locshare_stalls_total", "Times that a socket was full.", of.stalls)
    yield gauge("locshare_connections_blocked", "Connections whose socket is full.", of.blocked)
    yield gauge("locshare_backlog_bytes", "Bytes waiting for full sockets.", of.backlog_bytes)


def http_families(of: ServerStatistics) -> Iterator[Metric]:
    """HTTP connections of the public port. (Requests are counted where they are answered.)"""
    yield gauge("locshare_http_connections", "Open HTTP connections.", of.open)
    yield gauge(
        "locshare_http_connections_max", "HTTP connections that are kept open, at most.", of.limit
    )
    yield counter(
        "locshare_http_connections_accepted_total", "Accepted sockets of HTTP.", of.accepted
    )
    yield counter(
        "locshare_http_connections_evicted_total", "Closed to make room for others.", of.evicted
    )
    yield counter(
        "locshare_http_connections_reserved_total",
        "Taken in beyond the limit, for health checks only.",
        of.reserved,
    )
    yield counter(
        "locshare_http_malformed_total", "Requests that are no HTTP/1.1.", of.malformed, "status"
    )


def shared_families(of: SharedStatistics) -> Iterator[Metric]:
    """The listener of the one port, before it knows whose a request is."""
    yield gauge("locshare_port_waiting", "Sockets whose request is awaited.", of.waiting)
    yield counter("locshare_port_accepted_total", "Accepted sockets.", of.accepted)
    yield counter("locshare_port_refused_total", "Refused without a request.", of.refused)


def loop_families(of: LoopStatistics) -> Iterator[Metric]:
    """The event loop and the flush window."""
    yield gauge(
        "locshare_flush_window_seconds", "Least time between two flushes of a session.", of.window
    )
    yield gauge("locshare_loop_busy_ratio", "Share of time in which the loop runs tasks.", of.busy)
    yield gauge("locshare_loop_lag_seconds", "How late a timer is, smoothed.", of.lag)
    yield gauge(
        "locshare_loop_longest_lag_seconds",
        "The longest lateness since the last scrape.",
        of.longest_lag,
    )
    yield gauge(
        "locshare_flush_window_max_seconds", "The flush window on a full core.", of.max_window
    )
    yield histogram(
        "locshare_loop_delay_seconds", "How late a timer is, ten times a second.", of.lags
    )


def store_families(of: StoreStatistics) -> Iterator[Metric]:
    """The database, and what waits for it."""
    yield gauge("locshare_store_open", "1 when the database answers, else 0.", of.is_open)
    waiting = {
        "join_or_create": of.pending_commits,
        "leave_or_end": of.pending_removals,
        "last_seen": of.pending_touches,
    }
    yield gauge("locshare_store_waiting", "Writes that wait.", waiting, "kind")
    yield counter("locshare_store_dropped_total", "Writes given up: too many waited.", of.dropped)
    yield counter("locshare_store_join_batches_total", "Statements for joins.", of.join_batches)
    yield counter(
        "locshare_store_failures_total",
        "Batches that found no database; they are tried again.",
        of.failures,
    )
    yield counter("locshare_store_outages_total", "Times that the database went away.", of.outages)
    yield gauge(
        "locshare_store_running", "Statements that run or wait for a connection.", of.running
    )
    yield counter(
        "locshare_store_statements_total",
        "Statements, by how they ended.",
        of.statements,
        "outcome",
    )
    yield histogram(
        "locshare_store_statement_seconds",
        "Duration of statements, with waiting for a connection.",
        of.seconds,
    )


def machine_families(data_dir: Path) -> Iterator[Metric]:
    """What the process shares with others; nothing where the kernel does not say."""
    if (ram := memory()) is not None:
        yield gauge(
            "locshare_memory_limit_bytes",
            "Memory that the container may use, else that of the machine.",
            ram.size,
        )
        yield gauge(
            "locshare_memory_used_bytes",
            "Memory of the container, else of the machine, that is in use; page cache is not.",
            ram.used,
        )
    if (space := disk(data_dir)) is not None:
        yield gauge(
            "locshare_disk_size_bytes",
            "The size of the file system of the data directory.",
            space.size,
        )
        yield gauge(
            "locshare_disk_used_bytes", "What cannot be written there any more.", space.used
        )


def build_families() -> Iterator[Metric]:
    """What this installation was built with."""
    yield info(
        "locshare_build",
        "Versions, and what sends positions.",
        {
            "version": __version__,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "sending": IMPLEMENTATION,
        },
    )
    yield gauge(
        "locshare_sending_compiled",
        "1 when the compiled module sends positions, 0 when its twin in Python does.",
        IMPLEMENTATION == "compiled",
    )


def log_families() -> Iterator[Metric]:
    """The log."""
    yield counter(
        "locshare_log_lines_dropped_total",
        "Log lines not written: standard error was not read, or could not be written.",
        dropped_lines(),
    )
