"""From the settings to the limits of each room. Pure.

Each room's limits extend a section of the settings (:mod:`locshare.config.sections`), so a value
reaches its room by being there. Here stands only what depends on several settings.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from locshare.api import ApiLimits
from locshare.broadcast.flush_window import FlushWindowLimits
from locshare.broadcast.outbox import OutboxLimits
from locshare.config import Settings
from locshare.connection.context import ConnectionLimits
from locshare.connection.pool import AddressOf, PoolLimits, ReconnectLimits
from locshare.connection.rate_policy import RateLimits
from locshare.connection.transport_limits import TransportLimits
from locshare.http import ServerLimits
from locshare.net.client_address import ClientAddress
from locshare.session.limits import SessionLimits

T = TypeVar("T", bound=Struct)

INTERNAL_LIMITS: Final = ServerLimits(
    connections=64, connections_per_address=64, reserved=8, backlog=128
)
"""Of an internal port: an orchestrator, a Prometheus or two, and people."""

_OTHER_FILES: Final = 128
"""The database's connections, the control socket and its clients, listening sockets, logs, what the
interpreter opens, and room to spare."""


def flush_window_limits(settings: Settings) -> FlushWindowLimits:
    """For :class:`locshare.broadcast.flush_controller.FlushController`."""
    return _extended(FlushWindowLimits, settings.flush)


def session_limits(settings: Settings) -> SessionLimits:
    """For :class:`locshare.session.manager.SessionManager`."""
    return _extended(SessionLimits, settings.sessions)


def pool_limits(settings: Settings, max_connections: int) -> PoolLimits:
    """For :class:`locshare.connection.pool.ConnectionPool`. ``max_connections``: what the process
    may really hold.
    """
    # Enough to await at once where 20,000 may connect, and fewer where few may.
    most = PoolLimits().handshakes
    handshakes = min(max(settings.connections.max_connections // 10, 32), most)
    limits = _extended(
        PoolLimits,
        settings.connections,
        handshakes=handshakes,
        handshakes_per_address=handshakes // 4,
        reconnects=_extended(ReconnectLimits, settings.reconnects),
        connection=ConnectionLimits(
            transport=_extended(TransportLimits, settings.messages),
            outbox=_extended(OutboxLimits, settings.outbox),
            rates=_extended(RateLimits, settings.rates),
        ),
    )
    return structs.replace(limits, max_connections=max_connections)


def address_of(settings: Settings) -> AddressOf:
    """For :class:`locshare.connection.pool.ConnectionPool`: the address to count a client by."""
    client = ClientAddress(settings.trusted_proxies, settings.forwarded_header)

    def counted(peer: str, forwarded_for: Sequence[str], forwarded: Sequence[str]) -> str | None:
        address = client.of_peer(peer)
        if address is not None or not (forwarded_for or forwarded):
            return address
        named = client.of_request(peer, forwarded_for, forwarded)
        # A proxy that names no client is the client.
        return None if named == client.of_request(peer) else named

    return counted


def files_beside_connections(settings: Settings) -> int:
    """The most file descriptors that the process opens under these settings, without those of
    ``max_connections``.
    """
    pool = pool_limits(settings, 0)
    waiting = 0 if settings.bind is None else pool.handshakes
    http = server_limits(settings)
    served = http.connections + http.reserved
    internal = INTERNAL_LIMITS.connections + INTERNAL_LIMITS.reserved
    return pool.sockets + waiting + served + 2 * internal + _OTHER_FILES


def api_limits(settings: Settings) -> ApiLimits:
    """For :func:`locshare.api.create_app`."""
    return _extended(
        ApiLimits,
        settings.rest,
        trusted_proxies=settings.trusted_proxies,
        forwarded_header=settings.forwarded_header,
    )


def server_limits(settings: Settings) -> ServerLimits:
    """For :class:`locshare.http.HttpServer`."""
    return _extended(ServerLimits, settings.http, trusted_proxies=settings.trusted_proxies)


def _extended(limits: type[T], section: Struct, **others: Any) -> T:
    """A room's limits with the operator's values of its section."""
    return limits(**{name: getattr(section, name) for name in section.__struct_fields__}, **others)
