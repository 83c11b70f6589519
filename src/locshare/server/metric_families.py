"""The counts of the rooms as Prometheus families, made at scrape time.

The rooms know nothing of Prometheus and keep plain numbers. Here, and only here, those get their
public names. No label ever holds a session, a participant or a position.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric

from locshare.broadcast.flush_controller import LoopStatistics
from locshare.broadcast.native import IMPLEMENTATION
from locshare.connection.counters import ConnectionStatistics
from locshare.connection.shared_listener import SharedStatistics
from locshare.http import ServerStatistics
from locshare.session.counters import SessionStatistics
from locshare.store.postgres import StoreStatistics
from locshare.telemetry.metrics import Source, counter, gauge, interpreter_families
from locshare.telemetry.output import dropped_lines


def room_sources(
    *,
    sessions: Callable[[], SessionStatistics],
    connections: Callable[[], ConnectionStatistics],
    http: Callable[[], ServerStatistics],
    loop: Callable[[], LoopStatistics],
    store: Callable[[], StoreStatistics],
    shared: Callable[[], SharedStatistics] | None = None,
) -> tuple[Source, ...]:
    """For :class:`locshare.telemetry.metrics.RoomCollector`. ``shared`` on one port only."""
    return (
        *(() if shared is None else (lambda: shared_families(shared()),)),
        lambda: session_families(sessions()),
        lambda: connection_families(connections()),
        lambda: http_families(http()),
        lambda: loop_families(loop()),
        lambda: store_families(store()),
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
    yield counter("locshare_positions_sent_total", "Positions in flushes.", of.updates)
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


def connection_families(of: ConnectionStatistics) -> Iterator[Metric]:
    """WebSockets."""
    yield gauge("locshare_connections", "Open WebSocket connections.", of.open)
    yield gauge("locshare_handshakes", "Of those, sockets whose request is awaited.", of.handshakes)
    yield counter("locshare_connections_accepted_total", "Accepted sockets.", of.accepted)
    yield counter("locshare_connections_opened_total", "Admitted connections.", of.opened)
    yield counter("locshare_connections_refused_total", "Refused upgrades.", of.refused)
    yield counter("locshare_connections_closed_total", "Ended connections.", of.closed)
    yield counter("locshare_connection_crashes_total", "Crashed connection tasks.", of.crashes)
    yield counter("locshare_messages_received_total", "Messages in.", of.messages_in, "type")
    yield counter("locshare_messages_rate_limited_total", "Dropped messages.", of.rate_limited)
    yield counter("locshare_received_bytes_total", "Bytes from sockets.", of.bytes_in)
    yield counter("locshare_sent_bytes_total", "Bytes to sockets.", of.bytes_out)
    yield counter("locshare_writes_total", "Successful writes to sockets.", of.writes)
    yield counter("locshare_stalls_total", "Times that a socket was full.", of.stalls)
    yield gauge("locshare_connections_blocked", "Connections whose socket is full.", of.blocked)
    yield gauge("locshare_backlog_bytes", "Bytes waiting for full sockets.", of.backlog_bytes)


def http_families(of: ServerStatistics) -> Iterator[Metric]:
    """HTTP connections of the public port. (Requests are counted where they are answered.)"""
    yield gauge("locshare_http_connections", "Open HTTP connections.", of.open)
    yield counter("locshare_http_connections_accepted_total", "Accepted sockets.", of.accepted)
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
    yield gauge("locshare_flush_window_seconds", "Least time between two flushes.", of.window)
    yield gauge("locshare_loop_busy_ratio", "Share of time not spent waiting.", of.busy)
    yield gauge("locshare_loop_lag_seconds", "How late a timer is, smoothed.", of.lag)
    yield gauge(
        "locshare_loop_longest_lag_seconds", "The latest since the last scrape.", of.longest_lag
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
    yield counter("locshare_store_failures_total", "Writes that found no database.", of.failures)


def build_families() -> Iterator[Metric]:
    """What this installation was built with."""
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
