"""Translates a PostgreSQL URL as people write it into one that asyncpg understands.

The model is libpq (https://www.postgresql.org/docs/current/libpq-connect.html, 32.1.1.2): several
hosts with ports, sockets, and some forty parameters. asyncpg would send half of those to the server
as settings, which the server refuses. Parameters that only tune libpq are left out; those that
demand a protection which asyncpg lacks are refused, never dropped. A raw ``@`` in the password is
accepted; a raw ``/``, ``?`` or ``#`` is ambiguous, and refused.

Pure. No error quotes a part of the URL that could be a password.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from msgspec import Struct

SCHEMES: Final = ("postgresql://", "postgres://")
MAX_PARAMETERS: Final = 100
MAX_CONNECT_TIMEOUT_S: Final = 60.0
_ENCODE: Final = (
    "percent-encode what is special in user and password:"
    " @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25"
)
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

LIBPQ_ONLY: Final = frozenset(
    {
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        "fallback_application_name",
        "client_encoding",
        "gssdelegation",
        "sslcompression",
        "sslcertmode",
        "sslsni",
        "load_balance_hosts",
        "min_protocol_version",
        "max_protocol_version",
        "sslkeylogfile",
        "requiressl",
    }
)
"""They tune libpq, or repeat a default; nothing is lost without them."""
OTHER_CLIENTS: Final = frozenset(
    {
        "connection_limit",
        "pool_timeout",
        "pool_size",
        "max_overflow",
        "socket_timeout",
        "sslaccept",
        "prepareThreshold",
        "prepare_threshold",
        "prepared_statement_cache_size",
        "prepared_statements",
        "uselibpqcompat",
        "supa",
    }
)
"""Parameters of clients in other languages, found in URLs from hosting panels."""
_DEMANDS: Final = {
    "channel_binding": ("require",),
    "gssencmode": ("require",),
    "require_auth": None,
    "requirepeer": None,
    "sslcrldir": None,
    "replication": None,
    "hostaddr": None,
}
"""Protections that asyncpg lacks, with the values (None: any) that demand them."""


class DatabaseUrl(Struct, frozen=True):
    """A parsed URL. ``str`` shows it without the password."""

    dsn: str
    """For asyncpg: percent-encoded, with parameters that it or the server knows."""
    places: str
    """Hosts and ports as given, for people; empty for the defaults."""
    user: str
    """Empty when the URL names none."""
    database: str
    pooler: bool | None
    """Whether a pooler is in front of the server; None when the URL does not say."""
    connect_timeout_s: float | None
    parameters: dict[str, str]
    """Those in ``dsn``."""

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"postgresql://{user}{self.places}/{self.database}"

    __repr__ = __str__


def parse_database_url(url: str) -> DatabaseUrl:
    """Raises ValueError with the fault, such as "has the port 'x'"."""
    scheme = next((each for each in SCHEMES if url.startswith(each)), None)
    if scheme is None:
        raise ValueError("does not begin with postgresql://")
    rest = url[len(scheme) :]
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    if "#" in rest or "@" in path or "/" in path:
        raise ValueError(f"is ambiguous: {_ENCODE}")
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    count = _check_hosts(hosts)
    parameters, pooler, timeout = _parameters(query)
    user = unquote(user)
    credentials = quote(user, safe="") + (colon and ":" + quote(unquote(password), safe="")) + at
    if "host" in parameters and not hosts:
        count = _check_hosts(parameters["host"])
    if count > 1:
        # A pool on a standby could write nothing.
        parameters.setdefault("target_session_attrs", "read-write")
    text = urlencode(parameters, quote_via=quote)
    return DatabaseUrl(
        dsn=f"postgresql://{credentials}{hosts}/{path}" + (f"?{text}" if text else ""),
        places=hosts or parameters.get("host", ""),
        user=user or parameters.get("user", ""),
        database=unquote(path) or parameters.get("dbname", parameters.get("database", "")),
        pooler=pooler,
        connect_timeout_s=timeout,
        parameters=parameters,
    )


def _check_hosts(hosts: str) -> int:
    """How many. Raises ValueError."""
    if not hosts:
        return 0
    each = hosts.split(",")
    for host in each:
        bracketed = re.fullmatch(r"\[[0-9A-Fa-f:.%]+\](?::(.*))?", host)
        name, _, port = ("x", "", bracketed[1] or "") if bracketed else host.partition(":")
        if unquote(name).startswith("/"):
            name, port = "x", ""
        if not name:
            raise ValueError("has a port without a host, or a comma too many")
        if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
            # It is not quoted: it may be a password whose @ is missing.
            raise ValueError(f"has a port that is not a number from 1 to 65535; {_ENCODE}")
    return len(each)


def _parameters(query: str) -> tuple[dict[str, str], bool | None, float | None]:
    """The parameters for driver and server, whether there is a pooler, and the timeout."""
    if not query:
        return {}, None, None
    parts = query.split("&")
    if any(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*=.*", part, re.DOTALL) is None for part in parts):
        raise ValueError(f"has a ? that no name=value follows; {_ENCODE}")
    found = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    kept: dict[str, str] = {}
    pooler: bool | None = None
    timeout: float | None = None
    for name, value in found.items():
        if name == "pgbouncer":
            pooler = _is_true(name, value)
        elif name == "statement_cache_size":
            pooler = pooler or value.strip() == "0" or None
        elif name == "connect_timeout":
            timeout = _timeout(value)
        elif name == "schema":
            if value != "public":
                raise ValueError(
                    "has schema=…, which PostgreSQL does not know: set LOCSHARE_DATABASE_SCHEMA"
                )
        elif name in _DEMANDS:
            _check_demand(name, value)
        elif name not in LIBPQ_ONLY and name not in OTHER_CLIENTS and value:
            kept[name] = value
    _check_ssl(kept)
    return kept, pooler, timeout


def _is_true(name: str, value: str) -> bool:
    words = {"true": True, "1": True, "on": True, "yes": True, "": True}
    words |= {"false": False, "0": False, "off": False, "no": False}
    if value.lower() not in words:
        raise ValueError(f"has {name}={value!r}; true or false is allowed")
    return words[value.lower()]


def _timeout(value: str) -> float | None:
    """libpq: whole seconds; zero, negative or empty is no limit."""
    if not re.fullmatch(r"-?[0-9]{0,9}", value.strip()):
        raise ValueError(f"has connect_timeout={value!r}, which is not a number of seconds")
    seconds = float(value.strip() or 0)
    return min(seconds, MAX_CONNECT_TIMEOUT_S) if seconds > 0 else None


def _check_demand(name: str, value: str) -> None:
    values = _DEMANDS[name]
    if value and (values is None or value in values):
        instead = {
            "hostaddr": "give the address as the host",
            "replication": "it is for replicas",
            "requirepeer": "protect the socket's directory instead",
        }.get(name, "use sslmode=verify-full, which tells the server from others")
        raise ValueError(f"has {name}={value!r}, which cannot be kept: remove it, {instead}")


def _check_ssl(parameters: dict[str, str]) -> None:
    mode = parameters.get("sslmode", "prefer")
    if mode not in _SSL_MODES:
        raise ValueError(f"has sslmode={mode!r}; {', '.join(_SSL_MODES)} are allowed")
    if parameters.get("sslrootcert") == "system" and mode != "verify-full":
        if "sslmode" in parameters:
            raise ValueError(
                f"has sslrootcert=system with sslmode={mode}, which any certificate of any site"
                " would pass: use sslmode=verify-full"
            )
        parameters["sslmode"] = "verify-full"  # as in libpq
