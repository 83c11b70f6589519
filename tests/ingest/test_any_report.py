"""Whatever bytes come, a report is a position that can be sent on, or is refused."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from locshare.ingest import osmand, owntracks, plain
from locshare.ingest.report import InvalidReport
from locshare.model.position import LocatedMember, Position
from locshare.session.fixes import judge
from locshare.wire.plain import PLAIN, decode_from_server

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

NUMBERS = st.integers() | st.floats() | st.sampled_from([1e300, -1, 0, 47.5, 2**31, 1772366370])
VALUES = NUMBERS | st.text(max_size=9) | st.none() | st.booleans() | st.datetimes().map(str)
NAMES = st.sampled_from(
    ["_type", "lat", "lng", "lon", "tst", "acc", "alt", "vel", "cog", "batt", "accuracy", "speed",
     "timestamp", "age_ms", "heading", "battery", "positions", "location", "coords", "latitude",
     "longitude", "level", "device_id"]
)  # fmt: skip
OBJECTS: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(NAMES, VALUES),
    lambda inner: st.dictionaries(NAMES, VALUES | inner | st.lists(inner, max_size=3)),
    max_leaves=6,
)
BODIES = st.binary(max_size=200) | OBJECTS.map(lambda body: json.dumps(body).encode())
PLACES = {"lat": "47.5", "lon": "8.5"}
TIMES = st.text(max_size=12) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)


def assert_it_can_be_sent_on(position: Position | None) -> None:
    if position is not None:
        judge(position, None, NOW, 1000.0)
        decode_from_server(PLAIN.encode_position("user", position, None))
        owntracks.friends([LocatedMember("user", "Ada", position, NOW)])


@given(BODIES)
def test_our_own_json(body: bytes) -> None:
    with suppress(InvalidReport):
        assert_it_can_be_sent_on(plain.newest_position(body, NOW))


@given(BODIES)
def test_json_of_traccar_client(body: bytes) -> None:
    with suppress(InvalidReport):
        assert_it_can_be_sent_on(osmand.from_json(body).fix.position(NOW))


@given(BODIES)
def test_owntracks(body: bytes) -> None:
    with suppress(InvalidReport):
        fix = owntracks.from_json(body)
        assert_it_can_be_sent_on(None if fix is None else fix.position(NOW))


@given(st.dictionaries(NAMES, VALUES.map(str)), TIMES)
def test_parameters_of_osmand(given: dict[str, str], taken: str) -> None:
    for parameters in (given, PLACES | given, PLACES | {"timestamp": taken}):
        with suppress(InvalidReport):
            report = osmand.from_parameters(parameters.items())
            assert_it_can_be_sent_on(report.fix.position(NOW))


@given(st.lists(st.text(max_size=20), max_size=40))
def test_friends_of_any_name(names: list[str]) -> None:
    here = Position(1.0, 2.0, None, NOW)
    messages = json.loads(
        owntracks.friends(LocatedMember(str(i), name, here, NOW) for i, name in enumerate(names))
    )
    ids = [message["tid"] for message in messages if message["_type"] == "location"]
    assert len(set(ids)) == len(names)
