"""The settings reach the rooms."""

from typing import Any

from locshare.api import ApiLimits, Rate
from locshare.broadcast.flush_window import FlushWindowLimits
from locshare.config import Settings, all_settings, with_values
from locshare.connection.pool import PoolLimits, ReconnectLimits
from locshare.http import ServerLimits
from locshare.server.limits import (
    address_of,
    api_limits,
    files_beside_connections,
    flush_window_limits,
    pool_limits,
    server_limits,
    session_limits,
)
from locshare.session.limits import SessionLimits


def set_to(**values: Any) -> Settings:
    return with_values(Settings(), values)


WISHES = set_to(
    max_participants=7,
    retention_s=11,
    inactive_after_s=12,
    flush_window_max_s=0.13,
    ping_interval_s=14,
    missed_pings=5,
    max_connections_per_address=29,
    reconnect_per_second=3.1,
    reconnect_burst=32,
    max_message_bytes=1600,
    outbox_bytes=17_000,
    position_per_second=1.8,
    position_burst=19,
    message_per_second=20.5,
    message_burst=21,
    max_http_connections=22,
    max_http_connections_per_address=23,
    create_per_second=2.3,
    create_burst=24,
    join_per_second=2.5,
    join_burst=26,
    read_per_second=2.9,
    read_burst=30,
    drain_deadline_s=2.7,
    trusted_proxies=("192.0.2.0/24",),
    forwarded_header="forwarded",
)


def test_the_defaults_of_the_settings_are_those_of_the_rooms() -> None:
    defaults = Settings()
    assert session_limits(defaults) == SessionLimits()
    assert flush_window_limits(defaults) == FlushWindowLimits()
    assert pool_limits(defaults, defaults.connections.max_connections) == PoolLimits()
    assert api_limits(defaults) == ApiLimits()
    assert server_limits(defaults) == ServerLimits()


def test_every_wish_arrives() -> None:
    session = session_limits(WISHES)
    assert (session.max_participants, session.retention, session.inactive_after) == (7, 11, 12)
    assert flush_window_limits(WISHES).max_window == 0.13
    pool = pool_limits(WISHES, 28)
    assert (pool.max_connections, pool.ping_interval, pool.missed_pings) == (28, 14, 5)
    assert pool.drain_deadline == 2.7
    assert (pool.per_address, pool.reconnects) == (29, ReconnectLimits(rate=3.1, burst=32))
    connection = pool.connection
    assert connection.transport.max_message_bytes == 1600
    assert connection.outbox.max_bytes == 17_000
    rates = connection.rates
    assert (rates.position_rate, rates.position_burst) == (1.8, 19)
    assert (rates.message_rate, rates.message_burst) == (20.5, 21)
    api = api_limits(WISHES)
    assert (api.create, api.join, api.read) == (Rate(2.3, 24), Rate(2.5, 26), Rate(2.9, 30))
    assert (api.trusted_proxies, api.forwarded_header) == (("192.0.2.0/24",), "forwarded")
    server = server_limits(WISHES)
    assert (server.connections, server.connections_per_address) == (22, 23)
    assert server.trusted_proxies == ("192.0.2.0/24",)


def test_all_sockets_that_the_settings_allow_are_reckoned() -> None:
    few = set_to(max_http_connections=100)
    many = set_to(max_http_connections=5100)
    assert files_beside_connections(many) - files_beside_connections(few) == 5000
    pool, http = pool_limits(few, 10), server_limits(few)
    assert pool.sockets == 10 + 2 * pool.handshakes
    assert files_beside_connections(few) >= 2 * pool.handshakes + http.connections + 100


def test_a_small_server_fits_in_a_small_limit_of_files() -> None:
    """A hard limit of 1,024 is common; who cannot raise it can lower two settings."""
    small = set_to(max_connections=300, max_http_connections=200)
    assert small.connections.max_connections + files_beside_connections(small) < 1024
    limits = pool_limits(small, 300)
    assert (limits.handshakes, limits.handshakes_per_address) == (32, 8)
    assert pool_limits(set_to(max_connections=1), 1).handshakes == 32
    assert pool_limits(set_to(max_connections=3000), 3000).handshakes == 300


def test_no_wish_was_forgotten_here() -> None:
    elsewhere = {
        "bind", "http_bind", "ws_bind", "public_url", "public_ws_url", "allowed_origins",
        "database_url",
        "data_dir", "jwt_secret", "jwt_previous_secret", "jwt_previous_until", "max_sessions",
        "max_connections", "tile_url", "tile_attribution", "map_file",
        "map_style_url", "map_dark_url", "map_terrain_url", "map_satellite_url", "map_origins",
        "android_apps", "apple_apps", "log_level", "log_format", "environment",
        "control_socket", "debug_bind", "internal_bind", "internal_hosts", "database_schema",
        "traces_url", "traces_share",
    }  # fmt: skip
    changed = {each.name for each in all_settings() if each.of(WISHES) != each.default}
    assert changed | elsewhere == {each.name for each in all_settings()}


def test_a_client_of_the_websocket_is_counted_by_its_address_and_a_proxy_not_at_all() -> None:
    counted = address_of(Settings(trusted_proxies=("10.0.0.0/8",)))
    assert counted("192.0.2.1", (), ()) == "192.0.2.1"
    assert counted("192.0.2.1", ("198.51.100.7",), ()) == "192.0.2.1", "anybody can write that"
    assert counted("10.0.0.1", (), ()) is None
    assert counted("10.0.0.1", ("198.51.100.7",), ()) == "198.51.100.7"
    assert counted("10.0.0.1", (), ('for="[2001:db8::7]:4711"',)) == "2001:db8::/64"
    assert counted("10.0.0.1", ("unknown",), ()) is None
