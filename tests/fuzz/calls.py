"""What a client may ask over HTTP, as strategies: every REST route, every report of a position, the
upgrade, and requests that are none.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from locshare.contract.operations import OPERATIONS
from tests.fuzz.values import (
    GOOD_POSITIONS,
    JSON,
    KNOWN,
    NO_JSON,
    NUMBERS,
    POSITIONS,
    SCALARS,
    TEXTS,
    TIMES,
    json_bytes,
    mutated,
)


class Call(NamedTuple):
    """One request, on a connection of its own."""

    method: str
    target: str
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""

    def encode(self) -> bytes:
        """As HTTP/1.1, its length said unless a header does."""
        named = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.target} HTTP/1.1".encode(), b"Host: localhost"]
        lines += [name.encode() + b": " + value for name, value in self.headers]
        if "content-length" not in named and "transfer-encoding" not in named:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + self.body


IDS = st.sampled_from(["@session@", "@session@", "@session@", "@ended@", "@unknown@", "@other@"])
ODD = st.text(max_size=12).map(lambda text: quote(text.encode("utf-8", "replace"), safe=""))
SESSIONS = IDS | IDS | ODD
USERS = st.sampled_from(["@user@", "@neighbour@", "@unknown@"]) | ODD
PAGES = st.sampled_from(
    ["/", "/join/@session@", "/config.json", "/tiles.json", "/tiles/1/0/0", "/tiles/99/1/1.png",
     "/favicon.ico", "/health/live", "/health/ready", "/openapi.json", "/assets/x.js", "/sw.js",
     "/.well-known/assetlinks.json", "/ws", "/socket/websocket", "/api", "/api/", "//", "/%00",
     "/join/%ff", "/../etc/passwd", "/assets/..%2f..%2fetc/passwd"]
)  # fmt: skip
IN_PATHS: Mapping[str, st.SearchStrategy[str]] = {
    "session_id": SESSIONS,
    "user_id": USERS,
    "app": st.sampled_from(["owntracks", "traccar", "gpslogger"]) | ODD,
    "code": st.just("@code@") | ODD,
}


def _filled(path: str) -> st.SearchStrategy[str]:
    """A path with its parameters."""
    names = re.findall(r"{(\w+)}", path)
    return st.fixed_dictionaries({name: IN_PATHS[name] for name in names}).map(
        lambda values: path.format(**values)
    )


ROUTES = st.one_of(
    [st.tuples(st.just(each.method), _filled(each.path)) for each in OPERATIONS]
    + [st.tuples(st.just("GET"), PAGES)]
)
"""Method and path: each call of the contract, so that a new one is tried too."""
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT", "get", "X"])
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["ban", "v", "id", "limit", "link_key", "token", "lat", "lon"]) | TEXTS,
        TEXTS,
    ),
    max_size=3,
).map(lambda pairs: "?" + _form(pairs) if pairs else "")
TOKENS = st.sampled_from(
    [b"Bearer @host@", b"Bearer @host@", b"Bearer @member@", b"Bearer @member@",
     b"Bearer @stranger@", b"Bearer @code@", b"Bearer ", b"Basic eDp4", b"Bearer a.b.c"]
)  # fmt: skip
VALUE_BYTES = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n\0"))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["Accept", "Accept-Encoding", "Content-Encoding", "Content-Type", "Cookie", "Expect",
             "Forwarded", "If-None-Match", "Origin", "Range", "Sec-Fetch-Site", "Upgrade",
             "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id"]
        ),
        VALUE_BYTES
        | st.sampled_from([b"gzip", b"https://evil.example", b"cross-site", b"h2c", b"for=_x"]),
    ),
    max_size=2,
)  # fmt: skip
KINDS = st.sampled_from([b"application/json"] * 4 + [b"application/vnd.x+json; charset=UTF-8",
                        b"text/plain", b"application/x-www-form-urlencoded", b"a"])  # fmt: skip
NAMES_OF_PEOPLE = st.text(max_size=110) | TEXTS | SCALARS
CREATE = st.fixed_dictionaries(
    {}, optional={"name": NAMES_OF_PEOPLE, "expires_in_minutes": st.integers(60, 1440) | SCALARS}
)
JOIN = st.fixed_dictionaries(
    {"display_name": NAMES_OF_PEOPLE},
    optional={
        "avatar_color": st.from_regex(r"#[0-9A-Fa-f]{6}", fullmatch=True) | SCALARS,
        "device_key": st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True) | SCALARS,
        "link_key": st.from_regex(r"[a-z2-7]{24}", fullmatch=True) | SCALARS,
    },
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "locked": st.booleans() | SCALARS,
        "role": st.sampled_from(["host", "participant"]) | SCALARS,
        "host_key": st.just("@host_key@") | SCALARS,
    },
)
OBJECTS = JOIN | CREATE | CHANGES | JSON
BODIES = OBJECTS.map(json_bytes) | mutated(JOIN.map(json_bytes)) | NO_JSON | st.just(b" " * 16_500)


def _form(pairs: list[tuple[str, str]]) -> str:
    # The placeholders stay as they are.
    return "&".join(
        "=".join(quote_plus(each, safe="@", errors="replace") for each in pair) for pair in pairs
    )


def _call(
    route: tuple[str, str], other: str | None, query: str, token: bytes | None, kind: bytes | None,
    more: list[tuple[str, bytes]], body: bytes,
) -> Call:  # fmt: skip
    headers = [("Authorization", token)] if token is not None else []
    headers += [("Content-Type", kind)] if kind is not None else []
    method, path = route
    return Call(other or method, path + query, (*headers, *more), body)


REST = st.builds(
    _call, ROUTES, st.none() | st.none() | METHODS, FIELDS, st.none() | TOKENS | TOKENS,
    KINDS | KINDS | st.none(), st.just([]) | HEADERS, BODIES,
)  # fmt: skip

# --- positions from other programs ----------------------------------------------------------------

BASIC = st.sampled_from([b"Basic @basic@", b"Basic @basic_code@", b"Basic x", b"Basic OjpA"])
PEOPLE = st.sampled_from([b"Bearer @member@", b"Bearer @code@"]) | TOKENS | BASIC
OUR_BODIES = (
    POSITIONS
    | st.fixed_dictionaries({"positions": st.lists(POSITIONS, max_size=4) | SCALARS})
).map(json_bytes) | mutated(GOOD_POSITIONS.map(json_bytes)) | NO_JSON  # fmt: skip
OWNTRACKS = (
    st.fixed_dictionaries(
        {"_type": st.sampled_from(["location", "location", "lwt", "waypoint"]) | SCALARS},
        optional={
            "lat": st.floats(-90, 90) | SCALARS,
            "lon": st.floats(-180, 180) | SCALARS,
            "tst": st.integers(1_764_000_000, 1_796_000_000) | SCALARS,
            **dict.fromkeys(("acc", "alt", "vel", "cog", "batt"), NUMBERS | SCALARS),
        },
    )
    | JSON
)
TRACCAR = st.fixed_dictionaries(
    {"location": st.fixed_dictionaries(
        {}, optional={
            "timestamp": TIMES | SCALARS,
            "coords": st.dictionaries(
                st.sampled_from(["latitude", "longitude", "speed", "heading", "altitude"]), SCALARS
            ) | SCALARS,
            "battery": st.fixed_dictionaries({"level": SCALARS}) | SCALARS,
        }) | SCALARS,
     "device_id": st.sampled_from(["@code@", "@member@"]) | SCALARS}
) | JSON  # fmt: skip
PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["lat", "lon", "location", "timestamp", "speed", "speed_unit", "bearing", "altitude",
             "accuracy", "batt", "valid", "hdop", "id", "deviceid"]
        ),
        NUMBERS.map(str) | TIMES | TEXTS | st.sampled_from(["kmh", "false", "47.1,8.5", "@code@"]),
    ),
    max_size=8,
)  # fmt: skip
OSMAND = st.builds(
    lambda pairs, placed: _form(
        [("id", "@code@"), *([("lat", "47.5"), ("lon", "8.5")] if placed else []), *pairs]
    ),
    PARAMETERS,
    st.booleans(),
)


def _report(route: str, kind: bytes) -> st.SearchStrategy[Call]:
    bodies = {
        "/api/osmand": OSMAND.map(str.encode) | TRACCAR.map(json_bytes),
        "/api/owntracks": OWNTRACKS.map(json_bytes) | mutated(OWNTRACKS.map(json_bytes)) | NO_JSON,
    }.get(route, OUR_BODIES)
    return st.builds(
        _call, st.just(("POST", route)), st.none(), st.just(""), st.none() | PEOPLE,
        st.just(kind) | KINDS | st.none(), st.just([]) | HEADERS, bodies,
    )  # fmt: skip


REPORTS = (
    _report("/api/sessions/@session@/positions", b"application/json")
    | _report("/api/owntracks", b"application/json")
    | _report("/api/osmand", b"application/x-www-form-urlencoded")
    | st.builds(lambda query: Call("GET", f"/api/osmand?{query}"), OSMAND)
)

# --- the upgrade, and what is no request ----------------------------------------------------------

OFFERS = st.lists(
    st.sampled_from(
        [
            "locshare.v1",
            "locshare.v1.compact",
            "phoenix",
            "chat",
            "locshare.bearer.@member@",
            "locshare.bearer.",
            "base64url.bearer.phx.@phx@",
            "base64url.bearer.phx.%",
            "é",
            "a b",
        ]
    ),
    max_size=4,
).map(lambda offers: [("Sec-WebSocket-Protocol", ", ".join(offers).encode())] if offers else [])
PATHS = st.sampled_from(["/ws", "/ws", "/socket/websocket", "/folder/ws", "/ws/", "/api", "/"])
QUERY = st.lists(
    st.tuples(
        st.sampled_from(["token", "token", "vsn", "resume", "pace", "session_id"]) | TEXTS,
        KNOWN | TEXTS | NUMBERS.map(str) | st.sampled_from(["1.0.0", "2.0.0", "3.0.0"]),
    ),
    max_size=40,
).map(lambda pairs: "?" + _form(pairs))
_UPGRADE = (
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)


def _handshake(
    path: str, query: str, offers: list[tuple[str, bytes]], token: bytes | None,
    left_out: int, more: list[tuple[str, bytes]],
) -> bytes:  # fmt: skip
    headers = [each for number, each in enumerate(_UPGRADE) if number != left_out]
    if token is not None:
        headers.append(("Authorization", token))
    lines = [f"GET {path}{query} HTTP/1.1".encode(), b"Host: localhost"]
    lines += [name.encode() + b": " + value for name, value in (*headers, *offers, *more)]
    return b"\r\n".join([*lines, b"", b""])


UPGRADES = st.builds(
    _handshake, PATHS, QUERY, OFFERS, st.none() | TOKENS, st.integers(0, 15),
    st.just([]) | HEADERS,
)  # fmt: skip
CHUNKED = (
    b"POST /api/osmand HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nid=ab\r\nffffffffffffffff\r\n"
)
REQUESTS = (
    mutated(UPGRADES)
    | mutated(REST.map(Call.encode))
    | mutated(REPORTS.map(Call.encode))
    | st.lists(REST.map(Call.encode) | UPGRADES, min_size=2, max_size=4).map(b"".join)
    | st.binary(max_size=200)
    | st.sampled_from(
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/0.9\r\n\r\n",
         b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", CHUNKED]
    )
)  # fmt: skip
"""Bytes that are nearly requests. What comes after them is the end of the stream."""
