"""The settings: what belongs to no room, and a section for each room that has limits.

``Settings()`` is the defaults. They are checked when loaded.
"""

import os
import pwd
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import Struct

from locshare.config.fields import (
    MIN_SECRET_BYTES,
    About,
    Setting,
    check_android_apps,
    check_apple_apps,
    check_bind,
    check_database_url,
    check_directory,
    check_hosts,
    check_map_file,
    check_networks,
    check_origins,
    check_schema,
    check_secret,
    check_socket,
    check_tile_url,
    check_url,
)
from locshare.config.sections import (
    TRUSTED_PROXIES,
    ConnectionSettings,
    FlushSettings,
    HttpSettings,
    MessageSettings,
    OutboxSettings,
    RateSettings,
    ReconnectSettings,
    RestSettings,
    SessionSettings,
)
from locshare.model.rate import Rate

T = TypeVar("T", bound=Struct)


SYSTEM_DATA_DIR: Final = Path("/var/lib/locshare")
"""Root's, as the Filesystem Hierarchy Standard has it for the state of a service. PostgreSQL runs
as another account, and root's home is closed to others."""


def default_data_dir() -> Path:
    """``$XDG_DATA_HOME/locshare``, else ``~/.local/share/locshare``, on macOS too: its own
    "Application Support" has a space and leaves less of the 103 bytes that a socket's path has.

    ``SYSTEM_DATA_DIR`` for root on Linux, unless ``HOME`` is not root's own or has data already.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    if base.startswith("/"):
        return Path(base, "locshare")
    account = _account_home()
    home = os.environ.get("HOME") or account
    data = Path(home, ".local", "share", "locshare")
    if sys.platform == "linux" and os.getuid() == 0 and home == account and not data.exists():
        return SYSTEM_DATA_DIR
    return data


def _account_home() -> str:
    """Not absolute when no home is known, as for an arbitrary user id in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "~"


_BIND: Final = "host:port, [IPv6]:port or :port (all interfaces); port 0 picks a free one"
_SECRET: Final = f"at least {MIN_SECRET_BYTES} bytes; `locshare gentoken --secret-new` makes one"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything an operator may change. ``Settings()`` is the defaults."""

    bind: Annotated[
        str | None,
        About(
            "One port for everything: REST API, page, metrics and WebSockets. Instead of http_bind "
            "and ws_bind. Where none of the three is set, PORT (a number, as hosting "
            "platforms give it) is that port on all interfaces.",
            section="Addresses", allowed=_BIND, check=check_bind,
            default="none: two ports",
        ),
    ] = None  # fmt: skip
    http_bind: Annotated[
        str,
        About(
            "Where the REST API, the page and the metrics listen.",
            allowed=_BIND, check=check_bind,
        ),
    ] = "127.0.0.1:8080"  # fmt: skip
    ws_bind: Annotated[
        str, About("Where WebSocket connections are accepted.", allowed=_BIND, check=check_bind)
    ] = "127.0.0.1:8081"
    public_url: Annotated[
        str | None,
        About(
            "How browsers reach bind or http_bind, behind a proxy for instance; join links begin "
            "with it. A path in it is the folder in which the proxy serves us.",
            allowed="http://… or https://…", check=check_url("http", "https"),
            default="from the address bound",
        ),
    ] = None  # fmt: skip
    public_ws_url: Annotated[
        str | None,
        About(
            "How clients reach bind or ws_bind; /ws is added.",
            allowed="ws://… or wss://…", check=check_url("ws", "wss"),
            default="from public_url on one port, else from the address bound",
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
    ] = TRUSTED_PROXIES  # fmt: skip
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
            default="$XDG_DATA_HOME/locshare, else /var/lib/locshare for root on Linux,"
            " else ~/.local/share/locshare",
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

    max_sessions: Annotated[
        int,
        About(
            "Most sessions in memory. A session with nobody connected sleeps after a minute, or "
            "earlier when there is no room for another.",
            section="Sessions",
            ge=1,
            le=1_000_000,
        ),
    ] = 10_000
    sessions: SessionSettings = SessionSettings()
    flush: FlushSettings = FlushSettings()

    connections: ConnectionSettings = ConnectionSettings()
    reconnects: ReconnectSettings = ReconnectSettings()
    messages: MessageSettings = MessageSettings()
    outbox: OutboxSettings = OutboxSettings()
    rates: RateSettings = RateSettings()

    http: HttpSettings = HttpSettings()
    rest: RestSettings = RestSettings()

    tile_url: Annotated[
        str | None,
        About(
            "Map tiles of the page. Every viewer's browser asks that server, which learns from it "
            "what part of the map is viewed.",
            section="Page", allowed="a URL with {z}, {x} and {y}", check=check_tile_url,
            default="none: the world that comes with the server",
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

    map_file: Annotated[
        Path | None,
        About(
            "A PMTiles archive whose tiles this server serves itself, so that no viewer asks "
            "another one. Replaced while the server runs, it is opened again.",
            allowed="a .pmtiles file, version 3", check=check_map_file,
            default="none",
        ),
    ] = None  # fmt: skip
    map_style_url: Annotated[
        str | None,
        About(
            "A MapLibre style of another server, as the page's map.",
            allowed="http://… or https://…", check=check_url("http", "https"), default="none",
        ),
    ] = None  # fmt: skip
    map_dark_url: Annotated[
        str | None,
        About(
            "Raster tiles of a dark map, offered beside the standard one.",
            allowed="a URL with {z}, {x} and {y}", check=check_tile_url, default="none",
        ),
    ] = None  # fmt: skip
    map_terrain_url: Annotated[
        str | None,
        About(
            "Raster tiles of a terrain map.",
            allowed="a URL with {z}, {x} and {y}", check=check_tile_url, default="none",
        ),
    ] = None  # fmt: skip
    map_satellite_url: Annotated[
        str | None,
        About(
            "Raster tiles of satellite pictures.",
            allowed="a URL with {z}, {x} and {y}", check=check_tile_url, default="none",
        ),
    ] = None  # fmt: skip
    map_origins: Annotated[
        tuple[str, ...],
        About(
            "Further origins that map_style_url takes tiles, glyphs or sprites from: the page may "
            "reach no others.",
            allowed="origins such as https://example.org, separated by commas, or none",
            check=check_origins,
        ),
    ] = ()  # fmt: skip
    android_apps: Annotated[
        tuple[str, ...],
        About(
            "Android apps in which join links may open: /.well-known/assetlinks.json, and a button "
            "on the page.",
            allowed="package/SHA-256 fingerprint (AA:BB:…), separated by commas, or none",
            check=check_android_apps,
        ),
    ] = ()  # fmt: skip
    apple_apps: Annotated[
        tuple[str, ...],
        About(
            "iOS apps in which join links may open: /.well-known/apple-app-site-association, and "
            "a button on the page.",
            allowed="TEAMID.bundle.id, separated by commas, or none",
            check=check_apple_apps,
        ),
    ] = ()  # fmt: skip

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
    traces_url: Annotated[
        str | None,
        About(
            "Where traces go, over OTLP/HTTP: the base URL of an OpenTelemetry collector. Spans of "
            "REST calls, joins, connections and crashes, without names, tokens and positions. "
            "Needs the extra locshare[otel].",
            allowed="http://… or https://…, such as http://127.0.0.1:4318",
            check=check_url("http", "https"), default="none: no traces",
        ),
    ] = None  # fmt: skip
    traces_share: Annotated[
        float,
        About("The share of traces that are sent, of those that begin here.", ge=0, le=1),
    ] = 1.0
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
            "A separate port for /health/live, /health/ready, /metrics, /status (a page to read) "
            "and /debug/tree, the live tree of actors. /metrics is then on no other port. It has "
            "no login: keep it inside.",
            allowed=_BIND, check=check_bind,
            default="none: health and metrics are on bind or http_bind",
        ),
    ] = None  # fmt: skip
    internal_hosts: Annotated[
        tuple[str, ...],
        About(
            "Names by which clients reach internal_bind and debug_bind, beside IP addresses and "
            "localhost; * for any. A request by another name is refused (421): a web page could "
            "point a name it controls there.",
            allowed="host names without a port, separated by commas, or *, or none",
            check=check_hosts,
        ),
    ] = ()
    debug_bind: Annotated[
        str | None,
        About(
            "A port for /debug/tree alone, without health and metrics. Keep it inside.",
            allowed=_BIND, check=check_bind, default="none: not served",
        ),
    ] = None  # fmt: skip

    @property
    def secret_file(self) -> Path:
        """The file of the generated secret."""
        return self.data_dir / "jwt_secret"

    @property
    def control_path(self) -> Path | None:
        """The path of the control socket; None when it is off."""
        if self.control_socket is None:
            return self.data_dir / "control.sock"
        return None if self.control_socket == "off" else Path(self.control_socket)

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{each.name}={each.show(each.of(self))}"
            for each in all_settings()
            if each.of(self) != each.default
        )
        return f"Settings({changed})"

    def __rich_repr__(self) -> Any:  # msgspec's own would show secrets
        yield repr(self)


@cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of :class:`Settings`."""
    return tuple(_settings_in(Settings, ()))


def _settings_in(section: type[Struct], above: tuple[str, ...]) -> Iterator[Setting]:
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        path = (*above, field.name)
        default = (
            field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        )
        if get_origin(hints[field.name]) is not Annotated:
            yield from _settings_in(hints[field.name], path)
            continue
        kind, *abouts = get_args(hints[field.name])
        if kind is Rate:
            for part, about in zip(("per_second", "burst"), abouts, strict=True):
                value = getattr(default, part)
                # The type of the default decides whether the setting is a whole number.
                yield Setting(f"{field.name}_{part}", (*path, part), type(value), value, about)
            continue
        if get_origin(kind) in (Union, types.UnionType):
            kind = next(each for each in get_args(kind) if each is not type(None))
        yield Setting(abouts[0].name or field.name, path, kind, default, abouts[0])


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``settings`` with other ``values``, by the names of :func:`all_settings`. Not checked."""
    by_name = {setting.name: setting.path for setting in all_settings()}
    for name, value in values.items():
        settings = _replaced(settings, by_name[name], value)
    return settings


def _replaced(struct: T, path: Sequence[str], value: Any) -> T:
    first, *rest = path
    inner = _replaced(getattr(struct, first), rest, value) if rest else value
    return msgspec.structs.replace(struct, **{first: inner})
