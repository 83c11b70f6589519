"""Values of every kind, as strategies: what a field may hold, and what it may not.

``@name@`` in a text stands for something of the running server that has this name (a token, an id;
:mod:`tests.fuzz.world`). So an example is the same for Hypothesis each time it is tried, and can be
shrunk.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(
    ["lat", "lng", "lon", "accuracy", "timestamp", "altitude", "speed", "heading", "battery",
     "age_ms", "type", "data", "token", "session_id", "user_id", "interval_s", "state", "_type",
     "tst", "acc", "alt", "vel", "cog", "batt", "positions", "location", "coords", "latitude",
     "longitude", "level", "display_name", "avatar_color", "device_key", "name", "locked", "role",
     "expires_in_minutes", "host_key", "link_key", "device_id", "ban", ""]
)  # fmt: skip
KNOWN = st.sampled_from(
    ["@session@", "@other@", "@ended@", "@unknown@", "@user@", "@neighbour@", "@member@", "@host@",
     "@host_key@", "@code@", "location:@session@", "active", "hidden", "host", "participant",
     "location", "#FF5733", "2026-11-29T10:00:00Z"]
)  # fmt: skip
EDGES = st.sampled_from(
    [0, -0.0, 1, -1, 90, -90, 180, -180, 90.000001, 360, 1e-320, 1e308, -1e308, 2**31, 2**53 + 1,
     2**63, -(2**63), 2**64, 10**25, float("nan"), float("inf"), float("-inf")]
)  # fmt: skip
NUMBERS = st.integers() | st.floats() | EDGES
TEXTS = st.text(max_size=20) | KNOWN | st.sampled_from(["\0", "\ud800", "é", "\u202e", "x" * 300])
SCALARS = NUMBERS | TEXTS | st.none() | st.booleans()
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=4),
    max_leaves=12,
)


def json_bytes(value: object) -> bytes:
    """JSON as Python writes it: with NaN, with lone surrogates escaped."""
    return json.dumps(value).encode()


_NESTED = [b"[" * 2000, b'{"a":' * 600, b'{"type":"ping","data":' + b"[" * 3000]
NO_JSON = st.binary(max_size=80) | st.sampled_from(
    [b"", b"{", b"nul", b'"\xff"', b"\xef\xbb\xbf{}", b'{"a":1e999}', b'{"a":1,"a":2}', *_NESTED]
)


def _now(offset_s: float) -> str:
    # The day is part of no failure: an example that depends on the clock is not the same twice.
    return (datetime(2026, 11, 29, 12, tzinfo=UTC) + timedelta(seconds=offset_s)).isoformat()


TIMES = (
    st.floats(-1e5, 1e5).map(_now)
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.sampled_from(["2026-11-29T23:59:60Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"])
)
OPTIONAL = {
    "accuracy": st.floats(0, 1000) | SCALARS,
    "altitude": st.floats(-500, 9000) | SCALARS,
    "speed": st.floats(0, 90) | SCALARS,
    "heading": st.floats(0, 360) | SCALARS,
    "battery": st.integers(0, 100) | SCALARS,
    "age_ms": st.integers(0, 60_000) | SCALARS,
}
GOOD_POSITIONS = st.fixed_dictionaries(
    {"lat": st.floats(-90, 90), "lng": st.floats(-180, 180), "timestamp": TIMES},
    optional=OPTIONAL,
)
"""The optional fields may be wrong: that makes them unknown, and refuses nothing."""
NEARLY_GOOD = st.builds(
    lambda position, name, value: position | {name: value},
    GOOD_POSITIONS, st.sampled_from(["lat", "lng", "timestamp", *OPTIONAL]), SCALARS,
)  # fmt: skip
"""One field is of any value."""
POSITIONS: st.SearchStrategy[Any] = (
    GOOD_POSITIONS
    | NEARLY_GOOD
    | st.fixed_dictionaries(
        {}, optional={"lat": SCALARS, "lng": SCALARS, "timestamp": TIMES | SCALARS} | OPTIONAL
    )
    | JSON
)


@st.composite
def mutated(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """A few bytes of the original are replaced, removed, repeated, or have something between."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 8))
        match draw(st.sampled_from(["set", "cut", "twice", "insert"])):
            case "set":
                data[at : at + size] = draw(st.binary(max_size=size))
            case "cut":
                del data[at : at + size]
            case "twice":
                data[at:at] = data[at : at + size] * draw(st.integers(1, 30))
            case _:
                data[at:at] = draw(st.binary(max_size=8) | KNOWN.map(str.encode))
    return bytes(data)
