"""The sections of the settings: for each room, the limits that an operator may change.

The limits of a room extend its section with internal ones. So each default stands once, here,
beside its meaning and its bounds. ``About.name`` is the operators' name of a field, if it differs.
"""

from typing import Annotated, Final

from msgspec import Struct

from locshare.config.fields import About
from locshare.model.rate import Rate

MAX_PRESENCE_DELAY_S: Final = 300
"""The longest time for which a connection that died unnoticed is shown as online."""
TRUSTED_PROXIES: Final = ("127.0.0.0/8", "::1/128")
"""A peer on the loopback interface is the reverse proxy of this machine; a client from outside
cannot be one."""


class SessionSettings(Struct, frozen=True):
    """Of every session."""

    max_participants: Annotated[int, About("Most participants of one session.", ge=2, le=1000)] = 50
    retention: Annotated[
        float,
        About(
            "How long a position lives without a newer one. At most 30: people are promised that "
            "no position is kept longer.",
            name="retention_s", unit="seconds", ge=1, le=30,
        ),
    ] = 30.0  # fmt: skip
    inactive_after: Annotated[
        float,
        About(
            "A session ends after this time with nobody connected.",
            name="inactive_after_s", unit="seconds", ge=1, le=86_400,
        ),
    ] = 3600.0  # fmt: skip


class FlushSettings(Struct, frozen=True):
    """Of the flush control."""

    max_window: Annotated[
        float,
        About(
            "How far the time between two broadcasts of a session may widen under load. A quiet or "
            "small session, in which nothing would be joined, is always flushed at once.",
            name="flush_window_max_s", unit="seconds", ge=0, le=2,
        ),
    ] = 0.25  # fmt: skip


class ConnectionSettings(Struct, frozen=True):
    """Of all WebSocket connections together."""

    max_connections: Annotated[
        int,
        About(
            "Most WebSocket connections; further ones get 503. Each needs a file descriptor "
            "(ulimit -n).",
            section="Connections", ge=1, le=1_000_000,
        ),
    ] = 20_000  # fmt: skip
    per_address: Annotated[
        int,
        About(
            "Most WebSocket connections of one client address (an IPv6 client counts by its /64; "
            "a festival may share one address); 0 is no limit. trusted_proxies have none.",
            name="max_connections_per_address", ge=0, le=1_000_000,
        ),
    ] = 5000  # fmt: skip
    ping_interval: Annotated[
        float,
        About(
            "How often each connection is pinged.",
            name="ping_interval_s", unit="seconds", ge=0.1, le=MAX_PRESENCE_DELAY_S,
        ),
    ] = 20.0  # fmt: skip
    missed_pings: Annotated[
        int, About("Close any connection that misses this many pings in a row (4408).", ge=1, le=10)
    ] = 2
    drain_deadline: Annotated[
        float,
        About(
            "How long the server, when it stops, waits for clients to close after it has sent 1012 "
            "(come back).",
            name="drain_deadline_s", unit="seconds", ge=0, le=600,
        ),
    ] = 8.0  # fmt: skip


class ReconnectSettings(Struct, frozen=True):
    """Of one participant."""

    rate: Annotated[
        float,
        About(
            "How often one participant may connect; further attempts get 429 (4429).",
            name="reconnect_per_second", unit="per second", ge=0.01, le=1000,
        ),
    ] = 0.5  # fmt: skip
    burst: Annotated[
        float,
        About("How many times at once, after a pause.", name="reconnect_burst", ge=1, le=10_000),
    ] = 20.0


class MessageSettings(Struct, frozen=True):
    """Of one message."""

    max_message_bytes: Annotated[
        int,
        About(
            "The longest message of a client; a longer one is answered with an error.",
            unit="bytes", ge=512, le=65_536,
        ),
    ] = 4096  # fmt: skip


class OutboxSettings(Struct, frozen=True):
    """Of one connection's outbox."""

    max_bytes: Annotated[
        int,
        About(
            "How far a client that reads slowly may fall behind before it is closed (4508). A "
            "position of each participant takes about 400 bytes of it: raise it with more than 600 "
            "in a session.",
            name="outbox_bytes", unit="bytes", ge=16_384, le=67_108_864,
        ),
    ] = 262_144  # fmt: skip


class RateSettings(Struct, frozen=True):
    """Of one connection's messages."""

    position_rate: Annotated[
        float,
        About(
            "How many positions one connection may send.",
            name="position_per_second", unit="per second", ge=0.1, le=1000,
        ),
    ] = 10.0  # fmt: skip
    position_burst: Annotated[
        float, About("How many positions at once, after a pause.", ge=1, le=10_000)
    ] = 20.0
    message_rate: Annotated[
        float,
        About(
            "How many messages of all kinds one connection may send, protocol pings included.",
            name="message_per_second", unit="per second", ge=0.1, le=1000,
        ),
    ] = 20.0  # fmt: skip
    message_burst: Annotated[
        float, About("How many messages at once, after a pause.", ge=1, le=10_000)
    ] = 40.0
    """All messages together, protocol pings and fragments included. Not below the burst of
    positions, so that the stricter limit applies first."""


class HttpSettings(Struct, frozen=True):
    """Of the HTTP server."""

    connections: Annotated[
        int,
        About(
            "Most HTTP connections; a further one takes the place of the one that has been idle "
            "longest.",
            name="max_http_connections", section="REST API", ge=1, le=100_000,
        ),
    ] = 1000  # fmt: skip
    connections_per_address: Annotated[
        int,
        About(
            "Most HTTP connections of one client address (an IPv6 client counts by its /64); "
            "trusted_proxies have no such limit.",
            name="max_http_connections_per_address", ge=1, le=100_000,
        ),
    ] = 200  # fmt: skip
    """Browsers hold six at most. A festival may be behind one address; then its idle connections
    are closed a little earlier."""


class RestSettings(Struct, frozen=True):
    """Rates per client address."""

    create: Annotated[
        Rate,
        About(
            "How many sessions one client address may create; 0 is no limit.",
            unit="per second", ge=0, le=10_000,
        ),
        About("How many sessions at once, after a pause.", ge=1, le=1_000_000),
    ] = Rate(per_second=5.0, burst=200)  # fmt: skip
    join: Annotated[
        Rate,
        About(
            "How many people may join from one client address (a festival may share one); 0 is no "
            "limit.",
            unit="per second", ge=0, le=100_000,
        ),
        About("How many people may join at once, after a pause.", ge=1, le=1_000_000),
    ] = Rate(per_second=250.0, burst=500)  # fmt: skip
    """Enough to fill the sessions that one address may create: a festival behind one carrier's
    address joins at once."""
    read: Annotated[
        Rate,
        About(
            "How many other calls (reading a session, leaving, ending) one client address may "
            "make; 0 is no limit.",
            unit="per second", ge=0, le=100_000,
        ),
        About("How many of those calls at once, after a pause.", ge=1, le=1_000_000),
    ] = Rate(per_second=500.0, burst=1000)  # fmt: skip
    """Reading a session costs the server 0.3 ms, so this is a seventh of a core. A page reads once
    when it opens, so this is ten times what joining needs."""
