"""The plain dialect: any bytes give a message or InvalidMessage, and every message its example."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct, structs

from locshare.model.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.pace import Pace
from locshare.model.participant import ParticipantView, You
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import SessionView, Snapshot
from locshare.wire.answers import SessionCreated, SessionDescription, SessionJoined, Success
from locshare.wire.dialects import InvalidMessage
from locshare.wire.messages import ClientMessage, Error, Leave, Ping, Pong, ServerMessage
from locshare.wire.plain import PLAIN, decode_from_server, encode_for_server

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

UPDATE = {
    "lat": 52.52,
    "lng": 13.405,
    "accuracy": 8,
    "timestamp": "2030-01-01T12:00:00Z",
}


def decode(message: object) -> ClientMessage:
    return PLAIN.decode(json.dumps(message))


def refusal(message: object) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        decode(message)
    return caught.value


# --- client to server ---------------------------------------------------------------------------


def test_an_update_is_decoded_into_a_position_in_utc() -> None:
    assert decode({"type": "location_update", "data": UPDATE}) == Position(52.52, 13.405, 8.0, NOON)


def test_optional_fields_are_kept_and_may_be_null() -> None:
    more = {"altitude": None, "speed": 1.5, "heading": 270, "battery": 88}
    message = decode({"type": "location_update", "data": UPDATE | more})
    assert isinstance(message, Position)
    position = message
    assert (position.altitude, position.speed, position.heading) == (None, 1.5, 270.0)
    assert position.battery == 88.0


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "ping", "data": {}}, Ping()),
        ({"type": "ping"}, Ping()),
        ({"type": "leave", "data": {}}, Leave()),
        ({"type": "leave"}, Leave()),
        ({"type": "ping", "data": {"unknown": [1]}, "also": None}, Ping()),
    ],
)
def test_data_may_be_absent_where_there_is_none_and_unknown_fields_are_ignored(
    message: object, expected: ClientMessage
) -> None:
    assert decode(message) == expected


@pytest.mark.parametrize("field", ["lat", "lng", "timestamp"])
def test_a_missing_field_of_an_update_is_named(field: str) -> None:
    data = {name: value for name, value in UPDATE.items() if name != field}
    error = refusal({"type": "location_update", "data": data})
    assert error.code == "INVALID_LOCATION"
    assert field in error.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lat", 90.001), ("lat", -91), ("lat", "52.5"), ("lat", None), ("lat", True),
        ("lat", 90.0001), ("lat", -90.0001), ("lat", float("nan")), ("lat", float("inf")),
        ("lng", 180.0001), ("lng", -180.0001), ("lng", []), ("timestamp", "yesterday"),
        ("timestamp", "2030-01-01T12:00:00"), ("timestamp", 12), ("timestamp", None),
        ("timestamp", "2030-01-01T12:00:60Z"), ("timestamp", "2030-01-01T23:59:61Z"),
        ("timestamp", "9999-12-31T23:59:60Z"), ("timestamp", "2030-01-01T23:59:60"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_an_update_is_named_and_its_value_is_not_repeated(
    field: str, value: object
) -> None:
    error = refusal({"type": "location_update", "data": UPDATE | {field: value}})
    assert error.code == "INVALID_LOCATION"
    assert error.text.startswith(f"{field}: ")
    if isinstance(value, str | float):
        assert str(value) not in error.text
    # Beside a field that makes no sense, too.
    beside = refusal({"type": "location_update", "data": UPDATE | {field: value, "speed": -1}})
    assert (beside.code, beside.text.partition(":")[0]) == ("INVALID_LOCATION", field)
    assert error.reply() == Error("INVALID_LOCATION", error.text)


def position_with(**fields: object) -> Position:
    message = decode({"type": "location_update", "data": UPDATE | fields})
    assert isinstance(message, Position)
    return message


EDGES: dict[str, tuple[int, int]] = {
    "lat": (-90, 90), "lng": (-180, 180), "accuracy": (0, 100_000), "altitude": (-12_000, 100_000),
    "speed": (0, 1000), "battery": (0, 100), "age_ms": (0, 86_400_000),
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, edges in EDGES.items() for value in edges]
)
def test_a_number_at_the_edge_of_its_range_is_taken(field: str, value: float) -> None:
    assert getattr(position_with(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field, (low, high) in {**EDGES, "heading": (0, 360)}.items()
        if field not in ("lat", "lng")
        for value in list[object](
            (low - 1e-4, high + 1e-4, -1e300, 10**40, float("nan"), "7", True, [], {})
        )
    ],
)
def test_an_invalid_optional_field_is_unknown_and_the_rest_is_kept(
    field: str, value: object
) -> None:
    assert position_with(**{field: value}) == structs.replace(position_with(), **{field: None})


def test_unknown_accuracy_is_null_or_absent_and_never_zero() -> None:
    absent = {name: value for name, value in UPDATE.items() if name != "accuracy"}
    message = decode({"type": "location_update", "data": absent})
    assert isinstance(message, Position)
    assert message.accuracy is None
    assert position_with(accuracy=None).accuracy is None
    assert position_with(accuracy=0).accuracy == 0
    out = PLAIN.encode(ParticipantPosition.of("ada", message))
    assert json.loads(out)["data"]["accuracy"] is None


@pytest.mark.parametrize("heading", ["360", "360.0", "3.6e2", "0", "-0.0"])
def test_a_full_circle_is_north(heading: str) -> None:
    text = json.dumps({"type": "location_update", "data": UPDATE | {"heading": "?"}})
    message = PLAIN.decode(text.replace('"?"', heading))
    assert isinstance(message, Position)
    assert message.heading == 0.0
    assert position_with(heading=359.9999).heading == 359.9999


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2030-01-01T23:59:60Z", 0), ("2030-01-01T23:59:60.25Z", 0.25),
        ("2030-01-01t15:59:60-08:00", 0), ("2030-01-02 05:29:60+05:30", 0),
    ],
)  # fmt: skip
def test_a_leap_second_is_the_next_second(text: str, seconds: float) -> None:
    expected = datetime(2030, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds)
    assert position_with(timestamp=text).timestamp == expected
    assert position_with(timestamp=text, speed=-1).timestamp == expected


def test_a_bare_nan_is_unknown_and_invalid_json_stays_invalid() -> None:
    text = json.dumps({"type": "location_update", "data": UPDATE | {"speed": float("nan")}})
    assert "NaN" in text
    message = PLAIN.decode(text)
    assert isinstance(message, Position)
    assert message.speed is None
    for broken in ("NaN,", '{"NaN"', text[:-1], text.replace("NaN", "NaN NaN")):
        with pytest.raises(InvalidMessage) as caught:
            PLAIN.decode(broken)
        assert caught.value.text == "not valid JSON"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "ping", "data": 7}, "data: Expected `object`, got `int`"),
        ([], "Expected `object`, got `array`"),
        ({}, "Object missing required field `type`"),
        (
            {"type": "location_update", "data": UPDATE | {"timestamp": "x"}},
            "timestamp: Invalid RFC3339 encoded datetime",
        ),
        (
            {"type": "location_update", "data": UPDATE | {"timestamp": "9999-12-31T23:59:60Z"}},
            "timestamp: Invalid RFC3339 encoded datetime",
        ),
    ],
)
def test_an_error_names_the_field_and_the_problem(message: object, text: str) -> None:
    error = refusal(message)
    assert error.text == str(error) == text


def test_responses_of_an_older_server_are_decoded() -> None:
    created = {
        "session_id": "s", "join_link": "l", "expires_at": "2030-01-01T12:00:00Z", "name": "n",
        "host_token": "t",
    }  # fmt: skip
    described = {
        "id": "s", "name": "n", "created_at": "2030-01-01T12:00:00Z",
        "expires_at": "2030-01-01T12:00:00Z", "participant_count": 1, "is_active": True,
    }  # fmt: skip
    joined = {"user_id": "u", "websocket_token": "t", "websocket_url": "w"}
    assert msgspec.convert(created, SessionCreated).host_key == ""
    assert msgspec.convert(created, SessionCreated).host_url == ""
    assert msgspec.convert(described, SessionDescription).locked is False
    assert msgspec.convert(joined, SessionJoined).display_name == ""
    assert Success().success is True


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_coordinate_that_is_not_finite_is_refused(number: str) -> None:
    text = '{"type":"location_update","data":{"lat":%s,"lng":1,"accuracy":1,"timestamp":"%s"}}'
    with pytest.raises(InvalidMessage):
        PLAIN.decode(text % (number, "2030-01-01T12:00:00Z"))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ([], "INVALID_MESSAGE"),
        ("ping", "INVALID_MESSAGE"),
        (None, "INVALID_MESSAGE"),
        ({}, "INVALID_MESSAGE"),
        ({"data": {}}, "INVALID_MESSAGE"),
        ({"type": 7}, "INVALID_MESSAGE"),
        ({"type": None}, "INVALID_MESSAGE"),
        ({"type": "location_update"}, "INVALID_MESSAGE"),
        ({"type": "location_update", "data": 5}, "INVALID_MESSAGE"),
        ({"type": "ping", "data": 5}, "INVALID_MESSAGE"),
        ({"type": "session_state", "data": {}}, "UNKNOWN_TYPE"),
        ({"type": ""}, "UNKNOWN_TYPE"),
        ({"type": "location_update", "data": {}}, "INVALID_LOCATION"),
    ],
)
def test_each_kind_of_wrong_message_has_its_code(message: object, code: str) -> None:
    assert refusal(message).code == code


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.binary(max_size=200))
@example(b"\xff")
@example(b'{"type":"\xff"}')
@example(b"[" * 100_000)
@example(b'{"type":' * 20_000)
@example(b"")
@example(b'{"type":"ping","data":{"x":1e999999999}}')
def test_any_bytes_give_a_message_or_invalid_message(data: bytes) -> None:
    try:
        message = PLAIN.decode(data)
    except InvalidMessage:
        return
    assert isinstance(message, get_args(ClientMessage))


@given(st.text(max_size=200))
@example("\ud800")
def test_any_text_gives_a_message_or_invalid_message(text: str) -> None:
    try:
        message = PLAIN.decode(text)
    except InvalidMessage:
        return
    assert isinstance(message, get_args(ClientMessage))


@given(
    st.sampled_from(["location_update", "ping", "leave", "other"]),
    st.dictionaries(
        st.sampled_from([*UPDATE, "altitude", "speed", "heading", "battery", "else"]), JUNK
    ),
)
def test_json_of_the_right_shape_gives_a_message_or_invalid_message(
    kind: str, data: dict[str, object]
) -> None:
    try:
        message = decode({"type": kind, "data": UPDATE | data})
    except InvalidMessage:
        return
    if isinstance(message, Position):
        assert -90 <= message.lat <= 90
        assert -180 <= message.lng <= 180
        assert message.timestamp.tzinfo is not None


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


def optional(low: float, high: float) -> st.SearchStrategy[Any]:
    return st.none() | numbers(low, high)


POSITIONS = st.builds(
    Position,
    numbers(-90, 90),
    numbers(-180, 180),
    st.none() | numbers(0, 100_000),
    st.datetimes(timezones=st.just(UTC)),
    optional(-12_000, 100_000),
    optional(0, 1000),
    st.none() | st.floats(0, 360, exclude_max=True),
    optional(0, 100),
    optional(0, 86_400_000),
)


@given(POSITIONS)
def test_every_valid_position_survives_decoding_and_encoding(position: Position) -> None:
    sent = encode_for_server(position)
    assert PLAIN.decode(sent) == position
    for age_ms in (None, 1_000):
        moved = ParticipantPosition.of("ada", position, age_ms)
        payload = PLAIN.encode(moved)
        assert decode_from_server(payload) == moved
        assert PLAIN.encode_position("ada", position, age_ms) == payload


# --- server to client ---------------------------------------------------------------------------

VIEW = ParticipantView("ada", "Ada", "#FF5733", NOON, NOON, is_active=True, online=False)
EXAMPLES: dict[ServerMessage, dict[str, object]] = {
    Snapshot(
        SessionView("s1", "Amber Falcon", NOON, NOON),
        You("ada", "host"),
        (VIEW,),
        (ParticipantPosition("ada", 52.52, 13.405, 8.0, NOON),),
        NOON,
        "e1",
        12,
    ): {
        "type": "session_state",
        "data": {
            "session": {
                "id": "s1",
                "name": "Amber Falcon",
                "created_at": "2030-01-01T12:00:00Z",
                "expires_at": "2030-01-01T12:00:00Z",
                "locked": False,
            },
            "you": {"user_id": "ada", "role": "host"},
            "participants": [
                {
                    "user_id": "ada",
                    "display_name": "Ada",
                    "avatar_color": "#FF5733",
                    "joined_at": "2030-01-01T12:00:00Z",
                    "last_seen": "2030-01-01T12:00:00Z",
                    "is_active": True,
                    "online": False,
                }
            ],
            "positions": [{"user_id": "ada", **UPDATE}],
            "server_time": "2030-01-01T12:00:00Z",
            "epoch": "e1",
            "seq": 12,
        },
    },
    SessionUpdated(locked=True): {"type": "session_updated", "data": {"locked": True}},
    ParticipantPosition("ada", 52.52, 13.405, 8.0, NOON, speed=None, heading=0.0): {
        "type": "location_update",
        "data": {"user_id": "ada", **UPDATE, "heading": 0.0},
    },
    ParticipantJoined("ada", "Ada €", "#FF5733"): {
        "type": "participant_joined",
        "data": {"user_id": "ada", "display_name": "Ada €", "avatar_color": "#FF5733"},
    },
    ParticipantUpdated("ada", online=True, last_seen=NOON): {
        "type": "participant_updated",
        "data": {"user_id": "ada", "online": True, "last_seen": "2030-01-01T12:00:00Z"},
    },
    ParticipantLeft("ada", "removed"): {
        "type": "participant_left",
        "data": {"user_id": "ada", "reason": "removed"},
    },
    SessionEnded("expired"): {"type": "session_ended", "data": {"reason": "expired"}},
    Pong(): {"type": "pong", "data": {}},
    Pace(15.0, 10.0): {"type": "pace", "data": {"interval_s": 15.0, "min_distance_m": 10.0}},
    Error("UNKNOWN_TYPE", "type: not known"): {
        "type": "error",
        "data": {"code": "UNKNOWN_TYPE", "message": "type: not known"},
    },
}


@pytest.mark.parametrize(
    ("message", "example"), EXAMPLES.items(), ids=lambda value: type(value).__name__
)
def test_every_server_message_is_written_as_the_contract_shows(
    message: ServerMessage, example: dict[str, object]
) -> None:
    payload = PLAIN.encode(message)
    assert json.loads(payload) == example
    assert b"\n" not in payload
    assert payload.startswith(b'{"type":"')


def test_every_server_message_has_an_example() -> None:
    assert {type(message) for message in EXAMPLES} == set(get_args(ServerMessage))


class ChatMessageEdited(Struct, frozen=True):
    user_id: str


@pytest.mark.outside_contract
def test_the_type_of_an_event_is_the_name_of_its_class() -> None:
    """So that the event of a feature needs no line in the dialect."""
    event = cast("Event", ChatMessageEdited("ada"))
    assert json.loads(PLAIN.encode(event)) == {
        "type": "chat_message_edited", "data": {"user_id": "ada"},
    }  # fmt: skip
