"""The settings themselves. ``Settings()`` is the defaults. They are checked when loaded."""

import os
import pwd
import types
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from locshare.config.fields import (
    MIN_SECRET_BYTES,
    About,
    Setting,
    check_bind,
    check_database_url,
    check_directory,
    check_networks,
    check_origins,
    check_schema,
    check_secret,
    check_socket,
    check_tile_url,
    check_url,
)

MAX_PRESENCE_DELAY_S: Final = 300
"""A connection that died unnoticed is shown as online for at most so long."""


def default_data_dir() -> Path:
    """``$XDG_DATA_HOME/locshare``, else ``~/.local/share/locshare``, on macOS too: its own
    "Application Support" has a space and leaves less of the 103 bytes that a socket's path has.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    root = Path(base) if base.startswith("/") else Path(_home(), ".local", "share")
    return root / "locshare"


def _home() -> str:
    """No absolute path when none is known: in a container with any user id, for instance."""
    if home := os.environ.get("HOME"):
        return home
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "~"


_BIND: Final = "host:port, [IPv6]:port or :port (all interfaces); port 0 picks a free one"
_SECRET: Final = f"at least {MIN_SECRET_BYTES} bytes; `locshare gentoken --secret-new` makes one"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything an operator may want different. ``Settings()`` is the defaults."""

    http_bind: Annotated[
        str,
        About(
            "Where the REST API, the page and the metrics listen.",
            section="Addresses", allowed=_BIND, check=check_bind,
        ),
    ] = "127.0.0.1:8080"  # fmt: skip
    ws_bind: Annotated[
        str, About("Where WebSocket connections are accepted.", allowed=_BIND, check=check_bind)
    ] = "127.0.0.1:8081"
    public_url: Annotated[
        str | None,
        About(
            "How browsers reach http_bind, behind a proxy for instance; join links begin with it.",
            allowed="http://… or https://…", check=check_url("http", "https"),
            default="from the address bound",
        ),
    ] = None  # fmt: skip
    public_ws_url: Annotated[
        str | None,
        About(
            "How clients reach ws_bind; /ws is added.",
            allowed="ws://… or wss://…", check=check_url("ws", "wss"),
            default="from the address bound",
        ),
    ] = None  # fmt: skip
    trusted_proxies: Annotated[
        tuple[str, ...],
        About(
            "Networks of reverse proxies. The server believes what they say about a client's "
            "address when it counts per client, and limits none of their connections.",
            allowed="networks such as 10.0.0.0/8, separated by commas, or none",
            check=check_networks,
        ),
    ] = ("127.0.0.0/8", "::1/128")  # fmt: skip
    forwarded_header: Annotated[
        Literal["auto", "x-forwarded-for", "forwarded"],
        About(
            "The header in which those proxies give the client's address. auto reads "
            "X-Forwarded-For, else Forwarded (RFC 7239). A proxy passes on the other header as the "
            "client sent it, so set this when your proxy writes Forwarded.",
        ),
    ] = "auto"
    allowed_origins: Annotated[
        tuple[str, ...],
        About(
            "Origins of other web pages that may use the API (CORS). The server's own page always "
            "may. A request of any other page that would change something is refused.",
            allowed="origins such as https://example.org, separated by commas, or *, or none",
            check=check_origins,
        ),
    ] = ()

    database_url: Annotated[
        str | None,
        About(
            "The PostgreSQL database. Without it the server runs one under data_dir.",
            section="Data",
            allowed="postgresql://user:password@host:port/database, several hosts separated by "
            "commas, parameters as for libpq",
            check=check_database_url, default="embedded", secret=True,
        ),
    ] = None  # fmt: skip
    database_schema: Annotated[
        str | None,
        About(
            "The schema of all tables; created if needed. For a database that other programs use "
            "too, or a role that may not create tables in public.",
            allowed="a name of at most 63 bytes", check=check_schema,
            default="none: the first of the role's search_path, usually public",
        ),
    ] = None  # fmt: skip
    data_dir: Annotated[
        Path,
        About(
            "Where the embedded database and the generated jwt_secret are kept.",
            allowed="a directory; created if it does not exist", check=check_directory,
            default="$XDG_DATA_HOME/locshare, else ~/.local/share/locshare",
        ),
    ] = msgspec.field(default_factory=default_data_dir)  # fmt: skip

    jwt_secret: Annotated[
        str | None,
        About(
            "The key that signs tokens.",
            section="Tokens", allowed=_SECRET, check=check_secret,
            default="generated once, kept under data_dir", secret=True,
        ),
    ] = None  # fmt: skip
    jwt_previous_secret: Annotated[
        str | None,
        About(
            "The key before the last change: its tokens are accepted until jwt_previous_until.",
            allowed=_SECRET, check=check_secret, default="none", secret=True,
        ),
    ] = None  # fmt: skip
    jwt_previous_until: Annotated[
        datetime | None,
        About(
            "When tokens of jwt_previous_secret stop being accepted. No token lives over 24 hours.",
            allowed="a date and time with its zone (RFC 3339), such as 2026-05-01T12:00:00Z",
            default="none",
        ),
    ] = None  # fmt: skip

    max_participants: Annotated[
        int, About("Most participants of one session.", section="Sessions", ge=2, le=1000)
    ] = 50
    max_sessions: Annotated[
        int,
        About(
            "Most sessions in memory. A session with nobody connected sleeps after a minute, or "
            "earlier when there is no room for another.",
            ge=1,
            le=1_000_000,
        ),
    ] = 10_000
    retention_s: Annotated[
        float,
        About(
            "How long a position lives without a newer one. At most 30: people are promised that "
            "no position is kept longer.",
            unit="seconds", ge=1, le=30,
        ),
    ] = 30.0  # fmt: skip
    inactive_after_s: Annotated[
        float,
        About(
            "A session ends after this time with nobody connected.", unit="seconds", ge=1, le=86_400
        ),
    ] = 3600.0
    flush_window_max_s: Annotated[
        float,
        About(
            "How far the time between two broadcasts of a session may widen under load. A quiet or "
            "small session, in which nothing would be joined, is always flushed at once.",
            unit="seconds", ge=0, le=2,
        ),
    ] = 0.25  # fmt: skip

    max_connections: Annotated[
        int,
        About(
            "Most WebSocket connections; further ones get 503. Each needs a file descriptor "
            "(ulimit -n).",
            section="Connections", ge=1, le=1_000_000,
        ),
    ] = 20_000  # fmt: skip
    max_connections_per_address: Annotated[
        int,
        About(
            "Most WebSocket connections of one client address (an IPv6 client counts by its /64; "
            "a festival may share one address); 0 is no limit. trusted_proxies have none.",
            ge=0, le=1_000_000,
        ),
    ] = 5000  # fmt: skip
    reconnect_per_second: Annotated[
        float,
        About(
            "How often one participant may connect; further attempts get 429 (4429).",
            unit="per second", ge=0.01, le=1000,
        ),
    ] = 0.5  # fmt: skip
    reconnect_burst: Annotated[
        float,
        About("How many times at once, after a pause.", ge=1, le=10_000),
    ] = 20.0
    ping_interval_s: Annotated[
        float,
        About(
            "How often each connection is pinged.", unit="seconds", ge=0.1, le=MAX_PRESENCE_DELAY_S
        ),
    ] = 20.0
    missed_pings: Annotated[
        int, About("Close any connection that misses this many pings in a row (4408).", ge=1, le=10)
    ] = 2
    max_message_bytes: Annotated[
        int,
        About(
            "The longest message of a client; a longer one is answered with an error.",
            unit="bytes", ge=512, le=65_536,
        ),
    ] = 4096  # fmt: skip
    outbox_bytes: Annotated[
        int,
        About(
            "How far a client that reads slowly may fall behind before it is closed (4508).",
            unit="bytes", ge=16_384, le=67_108_864,
        ),
    ] = 262_144  # fmt: skip
    position_per_second: Annotated[
        float,
        About("How many positions one connection may send.", unit="per second", ge=0.1, le=1000),
    ] = 10.0
    position_burst: Annotated[
        float, About("How many positions at once, after a pause.", ge=1, le=10_000)
    ] = 20.0
    message_per_second: Annotated[
        float,
        About(
            "How many messages of all kinds one connection may send, protocol pings included.",
            unit="per second", ge=0.1, le=1000,
        ),
    ] = 20.0  # fmt: skip
    message_burst: Annotated[
        float, About("How many messages at once, after a pause.", ge=1, le=10_000)
    ] = 40.0

    max_http_connections: Annotated[
        int,
        About(
            "Most HTTP connections; a further one takes the place of the one that has been idle "
            "longest.",
            section="REST API", ge=1, le=100_000,
        ),
    ] = 1000  # fmt: skip
    max_http_connections_per_address: Annotated[
        int,
        About(
            "Most HTTP connections of one client address (an IPv6 client counts by its /64); "
            "trusted_proxies have no such limit.",
            ge=1, le=100_000,
        ),
    ] = 200  # fmt: skip
    create_per_second: Annotated[
        float,
        About(
            "How many sessions one client address may create; 0 is no limit.",
            unit="per second", ge=0, le=10_000,
        ),
    ] = 5.0  # fmt: skip
    create_burst: Annotated[
        int, About("How many sessions at once, after a pause.", ge=1, le=1_000_000)
    ] = 200
    join_per_second: Annotated[
        float,
        About(
            "How many people may join from one client address (a festival may share one); 0 is no "
            "limit.",
            unit="per second", ge=0, le=100_000,
        ),
    ] = 250.0  # fmt: skip
    join_burst: Annotated[
        int, About("How many people may join at once, after a pause.", ge=1, le=1_000_000)
    ] = 500
    read_per_second: Annotated[
        float,
        About(
            "How many other calls (reading a session, leaving, ending) one client address may "
            "make; 0 is no limit.",
            unit="per second", ge=0, le=100_000,
        ),
    ] = 500.0  # fmt: skip
    read_burst: Annotated[
        int, About("How many of those calls at once, after a pause.", ge=1, le=1_000_000)
    ] = 1000

    tile_url: Annotated[
        str | None,
        About(
            "Map tiles of the page. Every viewer's browser asks that server, which learns from it "
            "what part of the map is viewed.",
            section="Page", allowed="a URL with {z}, {x} and {y}", check=check_tile_url,
            default="none: a map without tiles",
        ),
    ] = None  # fmt: skip
    tile_attribution: Annotated[
        str | None,
        About(
            "The attribution that the tiles' licence asks for, shown on the map.",
            allowed="text",
            default="none",
        ),
    ] = None

    environment: Annotated[
        Literal["development", "production"],
        About(
            "What the server is for. A production server refuses --faults.",
            section="Operation",
        ),
    ] = "development"  # fmt: skip
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        About("The lowest severity of log lines that are written."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        About(
            "How log lines are written to standard error; auto is console on a terminal and json "
            "elsewhere."
        ),
    ] = "auto"
    control_socket: Annotated[
        str | None,
        About(
            "The Unix socket of `locshare top`. Only the server's own user can open it.",
            allowed="a path of at most 103 bytes, or off", check=check_socket,
            default="control.sock under data_dir",
        ),
    ] = None  # fmt: skip
    internal_bind: Annotated[
        str | None,
        About(
            "A separate port for /health/live, /health/ready, /metrics and /debug/tree, the live "
            "tree of actors. /metrics is then on no other port. It has no login: keep it inside.",
            allowed=_BIND, check=check_bind, default="none: health and metrics are on http_bind",
        ),
    ] = None  # fmt: skip
    internal_hosts: Annotated[
        tuple[str, ...],
        About(
            "Names by which clients reach internal_bind and debug_bind, beside IP addresses and "
            "localhost; * for any. A request by another name is refused (421): a web page could "
            "point a name it controls there.",
            allowed="host names, separated by commas, or *, or none",
        ),
    ] = ()
    debug_bind: Annotated[
        str | None,
        About(
            "A port for /debug/tree alone, without health and metrics. Keep it inside.",
            allowed=_BIND, check=check_bind, default="none: not served",
        ),
    ] = None  # fmt: skip
    drain_deadline_s: Annotated[
        float,
        About(
            "How long the server, when it stops, waits for clients to close after it has sent 1012 "
            "(come back).",
            unit="seconds", ge=0, le=600,
        ),
    ] = 8.0  # fmt: skip

    @property
    def secret_file(self) -> Path:
        """Where the generated secret is kept."""
        return self.data_dir / "jwt_secret"

    @property
    def control_path(self) -> Path | None:
        """Where the control socket is; None for none."""
        if self.control_socket is None:
            return self.data_dir / "control.sock"
        return None if self.control_socket == "off" else Path(self.control_socket)

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{each.name}={each.show(getattr(self, each.name))}"
            for each in all_settings()
            if getattr(self, each.name) != each.default
        )
        return f"Settings({changed})"

    def __rich_repr__(self) -> Any:  # msgspec's own would show secrets
        yield repr(self)


@cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of :class:`Settings`."""
    found = []
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        kind, about = get_args(hints[field.name])
        if get_origin(kind) in (Union, types.UnionType):
            kind = next(each for each in get_args(kind) if each is not type(None))
        default = (
            field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        )
        found.append(Setting(field.name, kind, default, about))
    return tuple(found)
