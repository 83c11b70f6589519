"""The compact dialect: every message both ways, and the decoders of its documentation."""

import contextlib
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.broadcast.fanout import encode_flush
from locshare.model.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.participant import ParticipantView, You
from locshare.model.position import HeldPosition, ParticipantPosition, Position
from locshare.model.session import SessionView, Snapshot
from locshare.wire.compact import COMPACT, TYPES
from locshare.wire.dialects import InvalidMessage, Shorthand
from locshare.wire.messages import (
    ClientMessage,
    Error,
    ErrorCode,
    Leave,
    Ping,
    Pong,
    ServerMessage,
    message_type,
)
from locshare.wire.plain import PLAIN
from tests.node import NODE
from tests.npm import CLIENTS, installed
from tests.running import LAST_RESORT_S
from tests.wire.compact_kit import Reader, decoder

START = datetime(2030, 1, 1, 10, tzinfo=UTC)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
UNIX = datetime.fromtimestamp(0, UTC)
NOON_MS = 1_893_499_200_000
HOURS = 7_200_000
NUMBERS = {"ada": 0, "eve": 1}
DIALECT = COMPACT.in_session(Shorthand.since(START, NUMBERS))
LAT, LNG = 525_200_000, 134_050_000


def unpack(payload: bytes) -> Any:
    return msgspec.msgpack.decode(payload)


def decode(*message: object) -> ClientMessage:
    return COMPACT.decode(msgspec.msgpack.encode(message))


def refusal(data: bytes | str) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        COMPACT.decode(data)
    return caught.value


# --- client to server ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ([1, LAT, LNG, NOON_MS], Position(52.52, 13.405, None, NOON)),
        ([1, LAT, LNG, NOON_MS, None], Position(52.52, 13.405, None, NOON)),
        ([1, LAT, LNG, NOON_MS, 8], Position(52.52, 13.405, 8, NOON)),
        (
            [1, LAT, LNG, NOON_MS, 8, 1500, 140, 2705, 345, 88],
            Position(52.52, 13.405, 8, NOON, 34.5, 1.4, 270.5, 88, 1500),
        ),
        (
            [1, LAT, LNG, NOON_MS, 8.25, None, None, None, -5],
            Position(52.52, 13.405, 8.25, NOON, -0.5),
        ),
        ([1, -900_000_000, 1_800_000_000, 0], Position(-90, 180, None, UNIX)),
        ([1, LAT, LNG, NOON_MS, 8, *[None] * 5, "later"], Position(52.52, 13.405, 8, NOON)),
        ([2], Ping()),
        ([2, {}], Ping()),
        ([3], Leave()),
        ([3, {"later": 1}], Leave()),
    ],
)  # fmt: skip
def test_each_client_message_is_an_array(message: list[object], expected: ClientMessage) -> None:
    assert decode(*message) == expected


@pytest.mark.parametrize("value", [-1, 10**9, "8", [], {}, True, float("nan"), float("inf")])
@pytest.mark.parametrize("place", range(4, 10))
def test_an_optional_field_that_makes_no_sense_is_unknown(place: int, value: object) -> None:
    if (place, value) == (8, -1):
        value = -(10**9)  # an altitude may be below zero
    message: list[object] = [1, LAT, LNG, NOON_MS, 8, 1500, 140, 2705, 345, 88]
    left_out = [*message]
    message[place], left_out[place] = value, None
    assert decode(*message) == decode(*left_out)


def test_a_heading_of_a_full_circle_is_north() -> None:
    position = decode(1, LAT, LNG, NOON_MS, None, None, None, 3600)
    assert position == Position(52.52, 13.405, None, NOON, heading=0.0)


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ([1, 900_000_001, LNG, NOON_MS], "INVALID_LOCATION", "lat: "),
        ([1, 52.52, LNG, NOON_MS], "INVALID_LOCATION", "lat: "),
        ([1, None, LNG, NOON_MS], "INVALID_LOCATION", "lat: "),
        ([1, LAT, -1_800_000_001, NOON_MS], "INVALID_LOCATION", "lng: "),
        ([1, LAT], "INVALID_LOCATION", "lng: "),
        ([1], "INVALID_LOCATION", "lat: "),
        ([1, LAT, LNG], "INVALID_LOCATION", "timestamp: "),
        ([1, LAT, LNG, -1], "INVALID_LOCATION", "timestamp: "),
        ([1, LAT, LNG, 10**15], "INVALID_LOCATION", "timestamp: "),
        ([1, LAT, LNG, "now", -1], "INVALID_LOCATION", "timestamp: "),
        ([0], "UNKNOWN_TYPE", "type: "),
        ([4], "UNKNOWN_TYPE", "type: "),
        (["ping"], "UNKNOWN_TYPE", "type: "),
        ([[2]], "UNKNOWN_TYPE", "type: "),
        ([True], "UNKNOWN_TYPE", "type: "),
        ([], "INVALID_MESSAGE", "must be an array"),
        ({"type": 1}, "INVALID_MESSAGE", "must be an array"),
        (2, "INVALID_MESSAGE", "must be an array"),
    ],
)
def test_what_is_wrong_is_named(message: object, code: ErrorCode, words: str) -> None:
    error = refusal(msgspec.msgpack.encode(message))
    assert error.code == code
    assert error.text.startswith(words)
    assert "52" not in error.text.replace("525", ""), "the value is not repeated"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x93\x01", b"\xc1", b"\x91" * 5000, b"\x92\xa1\xff\x01", b'{"type":"ping"}', "[2]"],
)
def test_what_is_not_messagepack_is_invalid(data: bytes | str) -> None:
    assert refusal(data).code == "INVALID_MESSAGE"


@given(st.binary())
def test_any_bytes_give_a_message_or_invalid_message(data: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        COMPACT.decode(data)


# --- server to client ---------------------------------------------------------------------------


def test_every_type_of_the_contract_has_a_number_of_its_own() -> None:
    kinds = get_args(ServerMessage)
    flat = [kind for each in kinds for kind in (get_args(each) or (each,))]
    assert {message_type(kind) for kind in flat} <= set(TYPES)
    assert len(set(TYPES.values())) == len(TYPES)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Pong(), [4, {}]),
        (Error("RATE_LIMITED", "slower"), [5, {"code": "RATE_LIMITED", "message": "slower"}]),
        (
            ParticipantJoined("eve", "Eve", "#112233"),
            [6, {"user_id": "eve", "display_name": "Eve", "avatar_color": "#112233", "number": 1}],
        ),
        (
            ParticipantUpdated("eve", True, NOON),
            [7, {"user_id": "eve", "online": True, "last_seen": "2030-01-01T12:00:00Z"}],
        ),
        (
            ParticipantUpdated("eve", True, NOON, "host"),
            [
                7,
                {
                    "user_id": "eve",
                    "online": True,
                    "last_seen": "2030-01-01T12:00:00Z",
                    "role": "host",
                },
            ],
        ),
        (ParticipantLeft("gone", "left"), [8, {"user_id": "gone", "reason": "left"}]),
        (SessionUpdated(True), [9, {"locked": True}]),
        (SessionEnded("expired"), [10, {"reason": "expired"}]),
    ],
)
def test_each_event_has_its_number_and_the_data_of_the_plain_dialect(
    message: ServerMessage, expected: list[object]
) -> None:
    assert unpack(DIALECT.encode(message)) == expected


@pytest.mark.parametrize(
    ("position", "age_ms", "row"),
    [
        (Position(52.52, 13.405, None, NOON), None, [1, LAT, LNG, HOURS, None]),
        (Position(52.52, 13.405, 8.2, NOON), None, [1, LAT, LNG, HOURS, 9]),
        (Position(52.52, 13.405, 0, NOON), 1500, [1, LAT, LNG, HOURS, 0, 1500]),
        (
            Position(52.52, 13.405, 8, NOON, speed=1.4),
            None,
            [1, LAT, LNG, HOURS, 8, None, 140],
        ),
        (
            Position(-90, -180, 8, NOON, heading=359.97, battery=87.6),
            2000,
            [1, -900_000_000, -1_800_000_000, HOURS, 8, 2000, None, 0, None, 88],
        ),
        (
            Position(52.52, 13.405, 8, START - timedelta(seconds=1), altitude=-0.5),
            None,
            [1, LAT, LNG, -1000, 8, None, None, None, -5],
        ),
    ],
)
def test_a_position_is_a_row_of_integers(
    position: Position, age_ms: int | None, row: list[object]
) -> None:
    assert unpack(DIALECT.encode_position("eve", position, age_ms)) == [1, [row]]
    moved = ParticipantPosition.of("eve", position, age_ms)
    assert unpack(DIALECT.encode(moved)) == [1, [row]]


def a_snapshot() -> Snapshot:
    views = [
        ParticipantView(user_id, user_id.title(), "#112233", START, NOON, True, True)
        for user_id in NUMBERS
    ]
    return Snapshot(
        SessionView("s", "Amber Falcon", START, NOON),
        You("ada", "host"),
        tuple(views),
        (ParticipantPosition("eve", 52.52, 13.405, 8, NOON, speed=1.5, age_ms=2000),),
        NOON,
        "e",
        3,
    )


def test_the_snapshot_announces_the_numbers_and_the_time_base() -> None:
    snapshot = a_snapshot()
    kind, data = unpack(DIALECT.encode(snapshot))
    plain = json.loads(PLAIN.encode(snapshot))["data"]
    assert kind == 0
    assert data.pop("time_base") == NOON_MS - HOURS
    assert [each.pop("number") for each in data["participants"]] == [0, 1]
    assert data.pop("positions") == [[1, LAT, LNG, HOURS, 8, 2000, 150]]
    del plain["positions"]
    assert data == plain


def held(position: Position) -> HeldPosition:
    return HeldPosition(position, 100.0, 100.0)


positions = st.builds(
    Position,
    lat=st.floats(-90, 90),
    lng=st.floats(-180, 180),
    accuracy=st.none() | st.floats(0, 100_000),
    timestamp=st.datetimes(timezones=st.just(UTC)),
    altitude=st.none() | st.floats(-12_000, 100_000),
    speed=st.none() | st.floats(0, 1_000),
    heading=st.none() | st.floats(0, 360, exclude_max=True),
    battery=st.none() | st.floats(0, 100),
)


@given(st.dictionaries(st.sampled_from("abcdef"), positions, min_size=1), st.datetimes())
def test_what_is_read_is_what_was_written_within_a_unit(
    moved: dict[str, Position], created: datetime
) -> None:
    reader = Reader()
    dialect = COMPACT.in_session(
        Shorthand.since(created.replace(tzinfo=UTC), {user: n for n, user in enumerate("abcdef")})
    )
    snapshot = msgspec.structs.replace(
        a_snapshot(),
        participants=tuple(
            ParticipantView(user_id, "", "", START, START, True, True) for user_id in "abcdef"
        ),
        positions=(),
    )
    reader.read(dialect.encode(snapshot))
    batch = {user_id: held(position) for user_id, position in moved.items()}
    kind, found = reader.read(dialect.encode_batch(batch, 100.0))
    assert kind == 1
    assert [each["user_id"] for each in found] == [*moved]
    for each, position in zip(found, moved.values(), strict=True):
        assert abs(each["lat"] - position.lat) <= 1e-7
        assert abs(each["lng"] - position.lng) <= 1e-7
        elapsed = position.timestamp - UNIX
        assert each["timestamp"] == elapsed // timedelta(milliseconds=1)
        for name, unit in (("accuracy", 1), ("altitude", 0.1), ("speed", 0.01), ("battery", 1)):
            value = getattr(position, name)
            assert (name in each) == (value is not None)
            assert value is None or abs(each[name] - value) <= unit
        if position.heading is None:
            assert "heading" not in each
        else:
            off = abs(each["heading"] - position.heading)
            assert min(off, 360 - off) <= 0.1
            assert each["heading"] < 360


@given(positions)
def test_a_report_is_read_within_a_unit(position: Position) -> None:
    since_1970 = COMPACT.in_session(Shorthand(UNIX, {"ada": 1}))
    _, (row,) = unpack(since_1970.encode_position("ada", position, None))
    if row[3] < 0:
        return  # before 1970
    found = decode(*row)
    assert isinstance(found, Position)
    assert abs(found.lat - position.lat) <= 1e-7
    assert abs(found.lng - position.lng) <= 1e-7
    assert timedelta(0) <= position.timestamp - found.timestamp < timedelta(milliseconds=1)


# --- bytes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("people", "times"), [(1, 6), (8, 8), (100, 9)])
@pytest.mark.parametrize("rich", [False, True])
def test_a_delivered_position_has_a_fraction_of_plain_s_bytes(
    people: int, times: int, rich: bool
) -> None:
    """With their frames; in a session that is two hours old. ``rich``: all that phones report."""
    users = [str(UUID(int=(n + 1) * 3**70)) for n in range(people)]
    more: dict[str, float] = (
        {"altitude": 34.5, "speed": 1.4, "heading": 270.5, "battery": 88} if rich else {}
    )
    at = NOON + timedelta(milliseconds=789)
    moved = {
        user_id: held(Position(52.5200081 + n / 1e4, 13.4049541 + n / 1e4, 12.0, at, **more))
        for n, user_id in enumerate(users)
    }
    dialect = COMPACT.in_session(Shorthand.since(START, {u: n for n, u in enumerate(users)}))
    plain, compact = (len(encode_flush(moved, 100.0, each).joined) for each in (PLAIN, dialect))
    assert plain / compact >= (times - 1 if rich and people > 1 else times)


# --- the decoders of the documentation ----------------------------------------------------------


def test_the_decoders_of_the_documentation_are_short() -> None:
    for language in ("python", "js"):
        lines = [line for line in decoder(language).splitlines() if line.strip()]
        assert len(lines) <= 20, language


def test_the_javascript_of_the_documentation_reads_what_its_python_reads(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(installed(CLIENTS) / "node_modules")
    grown = COMPACT.in_session(Shorthand.since(START, NUMBERS | {"cy": 300}))
    full = Position(-52.52, 13.405, 8, NOON, 34.5, 1.4, 270.5, 88)
    moved = {"eve": held(full), "cy": held(Position(1, -2, None, START - timedelta(hours=2)))}
    payloads = [
        DIALECT.encode(a_snapshot()),
        grown.encode(ParticipantJoined("cy", "Cy", "#112233")),
        grown.encode_batch(moved, 200.0),
        grown.encode(ParticipantLeft("eve", "left")),
    ]
    (tmp_path / "decoder.mjs").write_text(decoder("js"))
    (tmp_path / "main.mjs").write_text(
        'import {decode} from "./decoder.mjs";\n'
        "for (const text of process.argv.slice(2))\n"
        '  console.log(JSON.stringify(decode(Buffer.from(text, "hex"))));\n'
    )
    said = subprocess.run(
        [NODE, "main.mjs", *(payload.hex() for payload in payloads)],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=LAST_RESORT_S,
    ).stdout  # fmt: skip
    reader = Reader()
    read = [[*reader.read(payload)] for payload in payloads]
    assert [json.loads(line) for line in said.splitlines()] == read
    assert read[2][1][1] == {
        "number": 300, "user_id": "cy", "lat": 1, "lng": -2,
        "timestamp": NOON_MS - 2 * HOURS, "age_ms": 100_000,
    }  # fmt: skip
