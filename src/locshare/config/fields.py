"""A setting as data: its meaning, its bounds, how it is parsed and shown; and the checks of values
such as addresses, URLs, secrets and networks. Pure.
"""

import math
import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin
from urllib.parse import urlsplit

from msgspec import Struct

from locshare.config.database_url import parse_database_url

PREFIX: Final = "LOCSHARE_"
MAX_SOCKET_PATH_BYTES: Final = 103
"""``sun_path`` on macOS, the shortest of the supported systems, without its final zero byte."""
MAX_IDENTIFIER_BYTES: Final = 63
"""PostgreSQL truncates longer names."""
MIN_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: an HS256 key has at least as many bits as its hash."""
MAX_SHOWN_CHARS: Final = 100
"""Of a wrong value, in the error about it."""


class About(Struct, frozen=True):
    """The meaning and the bounds of one setting.

    ``check`` takes the parsed value and returns it, perhaps in a canonical form; it raises
    ValueError with the fault ("has no port"). ``allowed`` says what would be right.
    """

    meaning: str
    unit: str = ""
    ge: float = -math.inf
    le: float = math.inf
    allowed: str = ""
    check: Callable[[Any], Any] | None = None
    default: str = ""
    """In words, where the default is not a fixed value."""
    secret: bool = False
    section: str = ""
    """The heading of the documents; given with the first setting below it."""
    name: str = ""
    """Where operators call the field differently."""


class Setting(Struct, frozen=True):
    """One setting, for code that reads, shows or documents it."""

    name: str
    path: tuple[str, ...]
    """Of the field in :class:`Settings`, through its sections."""
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

    def of(self, settings: Struct) -> Any:
        """Its value in ``settings``."""
        return reduce(getattr, self.path, settings)

    def show(self, value: Any) -> str:
        """``value`` as it would be written in the environment; secrets hidden."""
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
        """Parse text, or a value of TOML's types. Raises ValueError that says what is wrong."""
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


def show_number(value: float) -> str:
    """Without a decimal point when it is whole."""
    return str(int(value)) if float(value).is_integer() else str(value)


def hide_password(url: str) -> str:
    """``url`` with its password hidden, in the authority and in parameters."""
    url = re.sub(r"(?<=://)([^/?#:@]*):.*@", r"\1:[hidden]@", url)
    return re.sub(r"(?i)((?:password|passfile|sslpassword)=)[^&\s]*", r"\1[hidden]", url)


def excerpt(text: str) -> str:
    """``text`` for an error: at most :data:`MAX_SHOWN_CHARS`, and without the password of a URL,
    which somebody may have given to the wrong setting.
    """
    text = hide_password(text)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"


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
    if not raw.strip():
        raise ValueError("is empty")
    if any("\ud800" <= char <= "\udfff" for char in raw):  # how Python passes other bytes on
        raise ValueError("is not UTF-8")
    if not raw.isprintable():
        raise ValueError("has control characters")
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
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the year 1 or after the year 9999") from None


_PARSERS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _parse_int,
    float: _parse_float,
    str: _parse_text,
    Path: lambda raw: Path(_parse_text(raw)),
    tuple: _parse_list,
    datetime: _parse_datetime,
}


# --- checks: each returns the value, or raises ValueError with the fault ------------------------


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
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise ValueError(f"has the port {port[:20]!r}")
    return host or None, int(port)


def check_bind(value: str) -> str:
    parse_bind(value)
    return value


def check_url(*schemes: str) -> Callable[[str], str]:
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


def check_database_url(value: str) -> str:
    parse_database_url(value)
    return value


def check_schema(value: str) -> str:
    if len(value.encode()) > MAX_IDENTIFIER_BYTES:
        raise ValueError(f"has {len(value.encode())} bytes")
    if value.startswith("pg_") or value == "information_schema":
        raise ValueError("is one of PostgreSQL's own")
    return value


def check_secret(value: str) -> str:
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"has {len(value.encode())} bytes")
    return value


def check_tile_url(value: str) -> str:
    if not value.startswith(("https://", "http://", "/")):
        raise ValueError("does not begin with https://, http:// or /")
    missing = [part for part in ("{z}", "{x}", "{y}") if part not in value]
    if missing:
        raise ValueError(f"has no {' '.join(missing)}")
    return value


def check_map_file(value: Path) -> Path:
    path = Path(os.path.expanduser(value)).absolute()  # noqa: PTH111 - Path's own raises
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("is not a file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    return path


def check_android_apps(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+/([0-9A-F]{2}:){31}[0-9A-F]{2}", each):
            raise ValueError(f"has {excerpt(repr(each))}, which is no package/fingerprint")
    return value


def check_apple_apps(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not re.fullmatch(r"[A-Z0-9]{10}(\.[A-Za-z0-9-]+)+", each):
            raise ValueError(f"has {excerpt(repr(each))}, which is no team and bundle id")
    return value


def check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise ValueError(f"has {excerpt(repr(each))}, which is no network") from None
    return value


def check_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        parts = urlsplit(each)
        right = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and "@" not in each
            and each == f"{parts.scheme}://{parts.netloc}"
        )
        if each != "*" and not right:
            raise ValueError(f"has {excerpt(repr(each))}, which is no origin")
    return value


def check_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:  # an underscore is in the service names of Compose
        if each != "*" and not re.fullmatch(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", each):
            raise ValueError(f"has {excerpt(repr(each))}, which is no host name")
    return value


def check_directory(value: Path) -> Path:
    path = Path(os.path.expanduser(value))  # noqa: PTH111 - Path's own raises
    if str(path).startswith("~"):
        raise ValueError("names a home directory that cannot be found")
    try:
        # Not Path.exists: since Python 3.14 it says no where the question cannot be asked.
        if not stat.S_ISDIR(path.stat().st_mode):
            raise ValueError("is not a directory")
    except (FileNotFoundError, NotADirectoryError):
        pass  # it is made when needed; an obstacle is reported then
    except OSError as error:  # too long, a loop of links, a parent that is closed to us
        raise ValueError(f"cannot be used ({error.strerror})") from None
    try:
        return path.absolute()
    except OSError as error:  # a working directory that is gone
        raise ValueError(f"cannot be used ({error.strerror})") from None


def check_socket(value: str) -> str:
    if value == "off":
        return value
    try:
        path = str(check_directory(Path(value).parent) / Path(value).name)
    except ValueError as error:
        raise ValueError(f"is in a place that {error}") from None
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"has {len(os.fsencode(path))} bytes")
    return path
