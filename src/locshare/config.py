"""Every setting: one typed struct with default, meaning and limits beside each field.

The command line, the settings file, ``checkconfig``, ``defaultconfig`` and docs/configuration.md
are all made from :class:`Settings`; there is no second list of settings anywhere.

Sources, the later wins: defaults, the settings file (TOML; ``--config`` or ``LOCSHARE_CONFIG``),
the environment (``LOCSHARE_`` and the name in capitals), the flags of ``locshare serve`` (the name
with dashes). An empty environment variable or flag counts as not given.

Promises. :func:`load` finds all faults before it raises, and each names the setting, its value,
where that came from, what is allowed and what to do. A secret is in no repr and in no error.
:class:`Settings` made by hand is not checked: tests may go beyond the limits.

Pure but for reading the settings file. Nothing awaits.
"""

import difflib
import math
import os
import re
import tomllib
import types
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from locshare.errors import LocshareError

PREFIX: Final = "LOCSHARE_"
CONFIG_VARIABLE: Final = "LOCSHARE_CONFIG"
MIN_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: an HS256 key has at least as many bits as its hash."""
MAX_PRESENCE_DELAY_S: Final = 300
"""A connection that died unnoticed is shown as online for at most so long."""


def default_data_dir() -> Path:
    """``$XDG_DATA_HOME/locshare``, else ``~/.local/share/locshare``, on macOS too: its own
    "Application Support" has a space and leaves less of the 103 bytes that a socket's path has.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    root = Path(base) if base.startswith("/") else Path("~/.local/share")
    return Path(os.path.expanduser(root / "locshare"))  # noqa: PTH111 - Path's own raises


# --- what a field says about itself -----------------------------------------------------------


class About(Struct, frozen=True):
    """The meaning and the limits of one setting.

    ``check`` gets the parsed value and returns it, perhaps in a canonical form; it raises
    ValueError with the fault ("has no port"), while ``allowed`` says what would be right.
    """

    meaning: str
    unit: str = ""
    ge: float = -math.inf
    le: float = math.inf
    allowed: str = ""
    check: Callable[[Any], Any] | None = None
    default: str = ""
    """In words, where the default is not a value."""
    secret: bool = False
    section: str = ""
    """Given with the first setting of a section."""


def parse_bind(bind: str) -> tuple[str | None, int]:
    """``host:port``, ``[v6]:port`` or ``:port`` as host (None: all interfaces) and port.

    Raises ValueError.
    """
    host, separator, port = bind.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("is an IPv6 address without brackets")
    if not separator:
        raise ValueError("has no port")
    if not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise ValueError(f"has the port {port!r}")
    return host or None, int(port)


def _bind(value: str) -> str:
    parse_bind(value)
    return value


def _url(*schemes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        parts = urlsplit(value)  # raises ValueError
        if parts.scheme not in schemes:
            raise ValueError(f"does not begin with {' or '.join(f'{s}://' for s in schemes)}")
        if not parts.hostname:
            raise ValueError("has no host")
        parts.port  # noqa: B018 - raises ValueError
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("has more than scheme, host, port and path")
        return value.rstrip("/")

    return check


def _database_url(value: str) -> str:
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("does not begin with postgresql://")
    try:
        urlsplit(value).port  # noqa: B018 - raises ValueError
    except ValueError:
        # The library's text may quote a part of the password.
        raise ValueError("is no URL: is a / : @ ? # of the password not percent-encoded?") from None
    return value


def _secret(value: str) -> str:
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"has {len(value.encode())} bytes")
    return value


def _tile_url(value: str) -> str:
    if not value.startswith(("https://", "http://", "/")):
        raise ValueError("does not begin with https://, http:// or /")
    missing = [part for part in ("{z}", "{x}", "{y}") if part not in value]
    if missing:
        raise ValueError(f"has no {' '.join(missing)}")
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise ValueError(f"has {each!r}, which is no network") from None
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        parts = urlsplit(each)
        bare = f"{parts.scheme}://{parts.netloc}"
        if each != "*" and (parts.scheme not in ("http", "https") or each != bare or "@" in each):
            raise ValueError(f"has {each!r}, which is no origin")
    return value


def _directory(value: Path) -> Path:
    path = Path(os.path.expanduser(value))  # noqa: PTH111 - Path's own raises
    if str(path).startswith("~"):
        raise ValueError("names a home directory that cannot be found")
    if path.exists() and not path.is_dir():
        raise ValueError("is not a directory")
    return path


_BIND: Final = "host:port, [IPv6]:port or :port (all interfaces); port 0 picks a free one"
_SECRET: Final = f"at least {MIN_SECRET_BYTES} bytes; `locshare gentoken --secret-new` makes one"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything an operator may want different. ``Settings()`` is the defaults."""

    http_bind: Annotated[
        str,
        About(
            "Where the REST API, the page and the metrics listen.",
            section="Addresses", allowed=_BIND, check=_bind,
        ),
    ] = "127.0.0.1:8080"  # fmt: skip
    ws_bind: Annotated[
        str, About("Where WebSocket connections are accepted.", allowed=_BIND, check=_bind)
    ] = "127.0.0.1:8081"
    public_url: Annotated[
        str | None,
        About(
            "How browsers reach http_bind, behind a proxy for instance; join links begin with it.",
            allowed="http://… or https://…", check=_url("http", "https"),
            default="from the address bound",
        ),
    ] = None  # fmt: skip
    public_ws_url: Annotated[
        str | None,
        About(
            "How clients reach ws_bind; /ws is added.",
            allowed="ws://… or wss://…", check=_url("ws", "wss"), default="from the address bound",
        ),
    ] = None  # fmt: skip
    trusted_proxies: Annotated[
        tuple[str, ...],
        About(
            "Networks whose X-Forwarded-For is believed when requests are counted per client.",
            allowed="networks such as 10.0.0.0/8, separated by commas, or none", check=_networks,
        ),
    ] = ("127.0.0.0/8", "::1/128")  # fmt: skip
    allowed_origins: Annotated[
        tuple[str, ...],
        About(
            "Other web pages that may use the API (CORS). The server's own page always may.",
            allowed="origins such as https://example.org, separated by commas, or *, or none",
            check=_origins,
        ),
    ] = ()

    database_url: Annotated[
        str | None,
        About(
            "The PostgreSQL database. Without it an embedded one is run under data_dir.",
            section="Data", allowed="postgresql://user:password@host:port/database",
            check=_database_url, default="embedded", secret=True,
        ),
    ] = None  # fmt: skip
    data_dir: Annotated[
        Path,
        About(
            "Where the embedded database and the generated jwt_secret are kept.",
            allowed="a directory; it is made when it does not exist", check=_directory,
            default="$XDG_DATA_HOME/locshare, else ~/.local/share/locshare",
        ),
    ] = msgspec.field(default_factory=default_data_dir)  # fmt: skip

    jwt_secret: Annotated[
        str | None,
        About(
            "The key that signs tokens.",
            section="Tokens", allowed=_SECRET, check=_secret,
            default="generated once, kept under data_dir", secret=True,
        ),
    ] = None  # fmt: skip
    jwt_previous_secret: Annotated[
        str | None,
        About(
            "The key before the last change: its tokens are accepted until jwt_previous_until.",
            allowed=_SECRET, check=_secret, default="none", secret=True,
        ),
    ] = None  # fmt: skip
    jwt_previous_until: Annotated[
        datetime | None,
        About(
            "From then on tokens of jwt_previous_secret are refused. A token lives 24 hours at "
            "most.",
            allowed="a date and time with its zone (RFC 3339), such as 2026-05-01T12:00:00Z",
            default="none",
        ),
    ] = None  # fmt: skip

    max_participants: Annotated[
        int, About("How many people one session holds.", section="Sessions", ge=2, le=1000)
    ] = 50
    max_sessions: Annotated[
        int, About("How many sessions the process holds at once.", ge=1, le=1_000_000)
    ] = 10_000
    retention_s: Annotated[
        float,
        About(
            "How long a position lives without a newer one. Not above 30: that nobody's position "
            "is kept longer is what people are promised.",
            unit="seconds", ge=1, le=30,
        ),
    ] = 30.0  # fmt: skip
    inactive_after_s: Annotated[
        float,
        About("A session with nobody connected for so long ends.", unit="seconds", ge=1, le=86_400),
    ] = 3600.0
    flush_window_max_s: Annotated[
        float,
        About(
            "How far the time between two broadcasts of a session may widen under load. A quiet "
            "session is always flushed at once.",
            unit="seconds", ge=0, le=2,
        ),
    ] = 0.25  # fmt: skip

    max_connections: Annotated[
        int,
        About(
            "How many WebSocket connections are held; further ones get a 503. Each needs a file "
            "descriptor (ulimit -n).",
            section="Connections", ge=1, le=1_000_000,
        ),
    ] = 20_000  # fmt: skip
    ping_interval_s: Annotated[
        float,
        About(
            "How often each connection is pinged.", unit="seconds", ge=0.1, le=MAX_PRESENCE_DELAY_S
        ),
    ] = 20.0
    missed_pings: Annotated[
        int, About("A connection that was silent for so many pings is closed (4408).", ge=1, le=10)
    ] = 2
    max_message_bytes: Annotated[
        int,
        About(
            "The longest message a client may send; a longer one is answered with an error.",
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
        About("How many positions a connection may send.", unit="per second", ge=0.1, le=1000),
    ] = 10.0
    position_burst: Annotated[
        float, About("How many positions at once, after a pause.", ge=1, le=10_000)
    ] = 20.0
    message_per_second: Annotated[
        float,
        About(
            "How many messages of all kinds a connection may send, protocol pings too.",
            unit="per second", ge=0.1, le=1000,
        ),
    ] = 20.0  # fmt: skip
    message_burst: Annotated[
        float, About("How many messages at once, after a pause.", ge=1, le=10_000)
    ] = 40.0

    max_http_connections: Annotated[
        int,
        About(
            "How many HTTP connections are served at once; further ones wait.",
            section="REST API", ge=1, le=100_000,
        ),
    ] = 1000  # fmt: skip
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
            "How many people may join from one client address (a festival is behind one); 0 is no "
            "limit.",
            unit="per second", ge=0, le=100_000,
        ),
    ] = 250.0  # fmt: skip
    join_burst: Annotated[
        int, About("How many people may join at once, after a pause.", ge=1, le=1_000_000)
    ] = 500

    tile_url: Annotated[
        str | None,
        About(
            "Map tiles of the page. Every viewer's browser asks that server, which so learns what "
            "part of the map is looked at.",
            section="Page", allowed="a URL with {z}, {x} and {y}", check=_tile_url,
            default="none: a map without tiles",
        ),
    ] = None  # fmt: skip
    tile_attribution: Annotated[
        str | None,
        About("What the tiles' licence wants shown on the map.", allowed="text", default="none"),
    ] = None

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        About("The least severe log lines that are written.", section="Operation"),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        About(
            "How log lines are written to standard error; auto is console on a terminal and json "
            "elsewhere."
        ),
    ] = "auto"
    drain_deadline_s: Annotated[
        float,
        About(
            "How long connections that were told to come back (1012) are waited for when the "
            "server stops.",
            unit="seconds", ge=0, le=600,
        ),
    ] = 8.0  # fmt: skip

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{each.name}={each.show(getattr(self, each.name))}"
            for each in all_settings()
            if getattr(self, each.name) != each.default
        )
        return f"Settings({changed})"

    def __rich_repr__(self) -> Any:  # msgspec's own would show secrets
        yield repr(self)


# --- one setting, as data ---------------------------------------------------------------------


class Setting(Struct, frozen=True):
    """One field of :class:`Settings`, for whoever reads, shows or documents it."""

    name: str
    kind: Any
    """int, float, str, Path, datetime, tuple or a Literal."""
    default: Any
    about: About

    @property
    def variable(self) -> str:
        """The environment variable, such as ``LOCSHARE_MAX_PARTICIPANTS``."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The flag of ``locshare serve``, such as ``--max-participants``."""
        return "--" + self.name.replace("_", "-")

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        about = self.about
        if get_origin(self.kind) is Literal:
            *first, last = get_args(self.kind)
            return f"{', '.join(first)} or {last}"
        if self.kind in (int, float):
            what = "a whole number" if self.kind is int else "a number"
            text = f"{what} from {show_number(about.ge)} to {show_number(about.le)}"
            return f"{text} ({about.unit})" if about.unit else text
        return about.allowed

    @property
    def default_in_words(self) -> str:
        """The default, for people."""
        return self.about.default or self.show(self.default)

    def show(self, value: Any) -> str:
        """``value`` for people, as it would be written in the environment; secrets hidden."""
        if value is None:
            return "none"
        if self.about.secret:
            return hide_password(value) if self.name == "database_url" else "[hidden]"
        if isinstance(value, tuple):
            return ",".join(value) or "none"
        if isinstance(value, float):
            return show_number(value)
        return value.isoformat() if isinstance(value, datetime) else str(value)

    def parse(self, raw: Any) -> Any:
        """A value from text, or of TOML's types. Raises ValueError that tells what is wrong."""
        value = _PARSERS[_kind_of(self.kind)](raw)
        about = self.about
        if get_origin(self.kind) is Literal:
            if value not in get_args(self.kind):
                raise ValueError("is none of these")
        elif self.kind in (int, float):
            if value < about.ge:
                raise ValueError("is too low")
            if value > about.le:
                raise ValueError("is too high")
        return value if about.check is None else about.check(value)


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


def show_number(value: float) -> str:
    """Without a point when it is whole."""
    return str(int(value)) if float(value).is_integer() else str(value)


def hide_password(url: str) -> str:
    """``url`` without its password, wherever that stands."""
    url = re.sub(r"(?<=://)([^/?#:@]*):.*@", r"\1:[hidden]@", url)
    return re.sub(r"(?i)((?:password|passfile|sslpassword)=)[^&\s]*", r"\1[hidden]", url)


def _kind_of(kind: Any) -> type:
    if get_origin(kind) is Literal:
        return str
    result: type = get_origin(kind) or kind
    return result


def _parse_int(raw: Any) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9](_?[0-9]){0,18}", raw.strip()):
        return int(raw)
    if type(raw) is int:
        return raw
    raise ValueError("is not a whole number")


def _parse_float(raw: Any) -> float:
    if type(raw) not in (str, int, float):
        raise ValueError("is not a number")
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        raise ValueError("is not a number") from None
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def _parse_text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("is not text")  # noqa: TRY004 - parsers raise ValueError only
    if not raw.strip() or not raw.isprintable():
        raise ValueError("is empty or has control characters")
    return raw.strip()


def _parse_list(raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [] if raw.strip() == "none" else raw.split(",")
    if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
        raise ValueError("is not a list of texts")
    return tuple(each.strip() for each in raw)


def _parse_datetime(raw: Any) -> datetime:
    try:
        value = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    except ValueError:
        value = None
    if not isinstance(value, datetime):
        raise ValueError("is not a date and time")  # noqa: TRY004 - parsers raise ValueError only
    if value.tzinfo is None:
        raise ValueError("has no time zone")
    return value.astimezone(UTC)


_PARSERS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _parse_int,
    float: _parse_float,
    str: _parse_text,
    Path: lambda raw: Path(_parse_text(raw)),
    tuple: _parse_list,
    datetime: _parse_datetime,
}


# --- loading ----------------------------------------------------------------------------------


class SettingsError(LocshareError):
    """The settings cannot be used. ``faults`` has one text each; none holds a secret."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Loaded(Struct, frozen=True):
    """Checked settings, and where each that is not a default came from."""

    settings: Settings
    origins: dict[str, str]
    """By name: a variable, a flag, or the path of the settings file."""
    file: Path | None


def load(
    environ: Mapping[str, str],
    flags: Mapping[str, str] = types.MappingProxyType({}),
    file: Path | None = None,
) -> Loaded:
    """The settings of all sources. ``flags`` has names as in :class:`Settings`.

    ``file`` comes before ``LOCSHARE_CONFIG``. Raises SettingsError, with all faults at once.
    """
    faults: list[str] = []
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    given: dict[str, tuple[Any, str]] = {}  # name: raw value, origin
    if file is not None:
        given |= _from_file(file, faults)
    given |= _from_environment(environ, faults)
    given |= {
        setting.name: (flags[setting.name], setting.flag)
        for setting in all_settings()
        if flags.get(setting.name)
    }
    values = {}
    for setting in all_settings():
        if setting.name in given:
            raw, origin = given[setting.name]
            try:
                values[setting.name] = setting.parse(raw)
            except ValueError as error:
                faults.append(_fault(setting, raw, origin, str(error)))
    settings = Settings(**values)
    faults += _conflicts(settings, given.keys() - values.keys())
    if faults:
        raise SettingsError(tuple(faults))
    return Loaded(settings, {name: origin for name, (_, origin) in given.items()}, file)


def _from_file(path: Path, faults: list[str]) -> dict[str, tuple[Any, str]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        faults.append(f"The settings file {path} cannot be read: {error.strerror}.")
        return {}
    except UnicodeDecodeError:
        faults.append(f"The settings file {path} is not UTF-8.")
        return {}
    except tomllib.TOMLDecodeError as error:
        # Its text quotes at most one character of the file.
        faults.append(f"The settings file {path} is not TOML: {error}.")
        return {}
    names = {setting.name for setting in all_settings()}
    faults += [_unknown(f"{key} in {path}", key, names) for key in table if key not in names]
    return {key: (value, str(path)) for key, value in table.items() if key in names}


# Kubernetes and old Docker links tell every container about a service named locshare in this way.
_SERVICE_LINK = re.compile(
    r"LOCSHARE_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)"
)


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, tuple[Any, str]]:
    variables = {setting.variable: setting.name for setting in all_settings()}
    given: dict[str, tuple[Any, str]] = {}
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or not value or variable == CONFIG_VARIABLE:
            continue
        if variable in variables:
            given[variables[variable]] = (value, variable)
        elif not _SERVICE_LINK.fullmatch(variable) and not (
            variable.endswith("_PORT") and value.startswith(("tcp://", "udp://"))
        ):
            faults.append(_unknown(variable, variable, {*variables, CONFIG_VARIABLE}))
    return given


def _unknown(what: str, name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "`locshare defaultconfig` lists all settings."
    return f"{what} is not a setting; {hint}"


def _fault(setting: Setting, raw: Any, origin: str, wrong: str) -> str:
    value = "[hidden]" if setting.about.secret else repr(raw)
    if len(value) > 100:
        value = value[:97] + "…'"
    where = "" if origin in (setting.variable, setting.flag) else f" (from {origin})"
    name = origin if not where else setting.name
    return (
        f"{name} = {value}{where} {wrong}.\n"
        f"    Allowed: {setting.allowed}. "
        f"Set {setting.variable} or {setting.flag}; the default is {setting.default_in_words}."
    )


def _conflicts(settings: Settings, faulty: Set[str]) -> list[str]:
    """What no single setting does wrong; not about settings that are wrong by themselves."""
    found: list[str] = []

    def conflict(*names: str, why: str, do: str) -> None:
        if not faulty.isdisjoint(names):
            return
        by_name = {setting.name: setting for setting in all_settings()}
        values = " and ".join(
            f"{by_name[name].variable} = {by_name[name].show(getattr(settings, name))}"
            for name in names
        )
        found.append(f"{values}: {why}.\n    {do}.")

    s = settings
    if s.http_bind == s.ws_bind and parse_bind(s.http_bind)[1] != 0:
        conflict(
            "http_bind", "ws_bind", why="both cannot listen on one port", do="Change one of them"
        )
    if (s.public_url or "").startswith("https:") and not (s.public_ws_url or "").startswith("wss:"):
        conflict(
            "public_url", "public_ws_url",
            why="a page that came by https may open wss:// only",
            do="Set LOCSHARE_PUBLIC_WS_URL (--public-ws-url) to a wss:// address",
        )  # fmt: skip
    if s.jwt_previous_secret is not None and s.jwt_previous_until is None:
        conflict(
            "jwt_previous_secret", "jwt_previous_until",
            why="an old key that is accepted for ever is no rotation",
            do="Set LOCSHARE_JWT_PREVIOUS_UNTIL (--jwt-previous-until) to 24 hours after the "
            "change, or later",
        )  # fmt: skip
    if s.jwt_previous_until is not None and s.jwt_previous_secret is None:
        conflict(
            "jwt_previous_until", "jwt_previous_secret",
            why="there is no previous key that could be accepted until then",
            do="Set LOCSHARE_JWT_PREVIOUS_SECRET (--jwt-previous-secret), or remove the date",
        )  # fmt: skip
    if s.jwt_previous_secret is not None and s.jwt_previous_secret == s.jwt_secret:
        conflict(
            "jwt_secret", "jwt_previous_secret",
            why="both are the same key", do="Remove the previous one, or make a new secret",
        )  # fmt: skip
    if s.ping_interval_s * s.missed_pings > MAX_PRESENCE_DELAY_S:
        conflict(
            "ping_interval_s", "missed_pings",
            why=f"someone who is gone would be shown as online for more than "
            f"{MAX_PRESENCE_DELAY_S} seconds",
            do="Lower one of them",
        )  # fmt: skip
    for rate in ("per_second", "burst"):
        if getattr(s, f"message_{rate}") < getattr(s, f"position_{rate}"):
            conflict(
                f"message_{rate}", f"position_{rate}",
                why="positions are messages too, so their limit would never be reached",
                do="Raise the first or lower the second",
            )  # fmt: skip
    if s.tile_attribution is not None and s.tile_url is None:
        conflict(
            "tile_attribution", "tile_url",
            why="there are no tiles to attribute",
            do="Set LOCSHARE_TILE_URL (--tile-url), or remove the attribution",
        )  # fmt: skip
    return found
