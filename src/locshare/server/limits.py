"""From the settings to what each room takes. Pure.

The rooms know nothing of :class:`~locshare.config.Settings`: each has a struct of limits with
defaults of its own, and here an operator's wishes are put in.
"""

from collections.abc import Sequence
from typing import Final

from locshare.api import ApiLimits, Rate
from locshare.broadcast.flush_window import FlushWindowLimits
from locshare.broadcast.outbox import OutboxLimits
from locshare.config import Settings
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import AddressOf, PoolLimits, ReconnectLimits
from locshare.connection.rate_policy import RateLimits
from locshare.connection.transport import TransportLimits
from locshare.http import ServerLimits
from locshare.net.client_address import ClientAddress
from locshare.session.limits import SessionLimits

INTERNAL_LIMITS: Final = ServerLimits(
    connections=64, connections_per_address=64, reserved=8, backlog=128
)
"""Of an internal port: an orchestrator, a Prometheus or two, and who looks."""

_OTHER_FILES: Final = 128
"""The database's connections, the control socket and its clients, listening sockets, logs, what the
interpreter opens, and room to spare."""


def flush_window_limits(settings: Settings) -> FlushWindowLimits:
    """For :class:`locshare.broadcast.flush_controller.FlushController`."""
    return FlushWindowLimits(max_window=settings.flush_window_max_s)


def session_limits(settings: Settings) -> SessionLimits:
    """For :class:`locshare.session.manager.SessionManager`."""
    return SessionLimits(
        max_participants=settings.max_participants,
        retention=settings.retention_s,
        inactive_after=settings.inactive_after_s,
    )


def pool_limits(settings: Settings, max_connections: int) -> PoolLimits:
    """For :class:`locshare.connection.pool.ConnectionPool`. ``max_connections`` is what the
    process may really hold.
    """
    # As many as can be awaited at once where 20,000 may connect, and fewer where few may.
    handshakes = min(max(settings.max_connections // 10, 32), 512)
    return PoolLimits(
        max_connections=max_connections,
        handshakes=handshakes,
        handshakes_per_address=handshakes // 4,
        per_address=settings.max_connections_per_address,
        reconnects=ReconnectLimits(
            rate=settings.reconnect_per_second, burst=settings.reconnect_burst
        ),
        ping_interval=settings.ping_interval_s,
        missed_pings=settings.missed_pings,
        drain_deadline=settings.drain_deadline_s,
        connection=ConnectionLimits(
            transport=TransportLimits(max_message_bytes=settings.max_message_bytes),
            outbox=OutboxLimits(max_bytes=settings.outbox_bytes),
            rates=RateLimits(
                position_rate=settings.position_per_second,
                position_burst=settings.position_burst,
                message_rate=settings.message_per_second,
                message_burst=settings.message_burst,
            ),
        ),
    )


def address_of(settings: Settings) -> AddressOf:
    """For :class:`locshare.connection.pool.ConnectionPool`: what its clients are counted by."""
    client = ClientAddress(settings.trusted_proxies, settings.forwarded_header)

    def counted(peer: str, forwarded_for: Sequence[str], forwarded: Sequence[str]) -> str | None:
        address = client.of_peer(peer)
        if address is not None or not (forwarded_for or forwarded):
            return address
        named = client.of_request(peer, forwarded_for, forwarded)
        # A proxy that names nobody is the proxy itself.
        return None if named == client.of_request(peer) else named

    return counted


def files_beside_connections(settings: Settings) -> int:
    """How many file descriptors the settings can make the process open, but for those of
    ``max_connections``.
    """
    handshakes = pool_limits(settings, 0).sockets
    http = server_limits(settings)
    served = http.connections + http.reserved
    internal = INTERNAL_LIMITS.connections + INTERNAL_LIMITS.reserved
    return handshakes + served + 2 * internal + _OTHER_FILES


def api_limits(settings: Settings) -> ApiLimits:
    """For :func:`locshare.api.create_app`."""
    return ApiLimits(
        create=Rate(settings.create_per_second, settings.create_burst),
        join=Rate(settings.join_per_second, settings.join_burst),
        read=Rate(settings.read_per_second, settings.read_burst),
        trusted_proxies=settings.trusted_proxies,
        forwarded_header=settings.forwarded_header,
    )


def server_limits(settings: Settings) -> ServerLimits:
    """For :class:`locshare.http.HttpServer`."""
    return ServerLimits(
        connections=settings.max_http_connections,
        connections_per_address=settings.max_http_connections_per_address,
        trusted_proxies=settings.trusted_proxies,
    )
