"""Phoenix Channels: both serializers, any bytes, and every message of a channel."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.model.events import SessionEnded
from locshare.model.position import Position
from locshare.wire.dialects import InvalidMessage
from locshare.wire.messages import Pong
from locshare.wire.phoenix import ARRAYS, OBJECTS, Message, Ref, Serializer, decode_position
from locshare.wire.plain import PLAIN

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TOPIC = "location:00000000-0000-0000-0000-000000000001"
BOTH = pytest.mark.parametrize("serializer", [OBJECTS, ARRAYS], ids=lambda each: each.vsn)


def fields(message: Message) -> tuple[Any, ...]:
    return (*message[:4], json.loads(bytes(message.payload)))


def as_written(serializer: Serializer, *five: Any) -> Any:
    if serializer is ARRAYS:
        return [*five]
    return dict(zip(("join_ref", "ref", "topic", "event", "payload"), five, strict=True))


# --- client to server ---------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "five",
    [
        ("4", "5", TOPIC, "phx_join", {"token": "abc"}),
        (4, 5, TOPIC, "location_update", {"lat": 1}),
        (None, "17", "phoenix", "heartbeat", {}),
        ("1", None, TOPIC, "ping", None),
        ("1", "2", 'Ä\u2028\\"', "shout", [1, {"a": None}]),
    ],
)
def test_the_five_fields_are_read_and_written_alike(
    serializer: Serializer, five: tuple[Any, ...]
) -> None:
    text = json.dumps(as_written(serializer, *five))
    message = serializer.decode(text)
    assert fields(message) == five
    assert fields(serializer.decode(text.encode())) == five
    written = serializer.encode(*message[:4], bytes(message.payload))
    assert json.loads(written) == as_written(serializer, *five)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"topic":"t","event":"e"}', (None, None, "t", "e", {})),
        ('{"topic":"t","event":"e","ref":"1"}', (None, "1", "t", "e", {})),
        ('{"event":"e","new":1,"payload":{"a":1},"topic":"t"}', (None, None, "t", "e", {"a": 1})),
    ],
)
def test_objects_may_leave_out_refs_and_payload(text: str, expected: tuple[Any, ...]) -> None:
    assert fields(OBJECTS.decode(text)) == expected


@pytest.mark.parametrize(
    ("serializer", "text"),
    [
        (ARRAYS, ""), (ARRAYS, "{}"), (ARRAYS, "[]"), (ARRAYS, "null"), (ARRAYS, "[1"),
        (ARRAYS, '["1","1","t","e"]'), (ARRAYS, '[1.5,"1","t","e",{}]'),
        (ARRAYS, '["1","1",null,"e",{}]'), (ARRAYS, '["1",["1"],"t","e",{}]'),
        (ARRAYS, '["1","1","t",7,{}]'), (ARRAYS, '{"topic":"t","event":"e"}'),
        (ARRAYS, '["' + "1" * 65 + '","1","t","e",{}]'),
        (ARRAYS, '[1,9' + "0" * 40 + ',"t","e",{}]'),
        (ARRAYS, '[1,1,"t","e",NaN,1' + "0" * 40 + "]"),
        (ARRAYS, '["\\ud800","1","t","e",{}]'), (ARRAYS, "[" * 4000),
        (OBJECTS, "[]"), (OBJECTS, '["1","1","t","e",{}]'), (OBJECTS, '{"topic":"t"}'),
        (OBJECTS, '{"event":"e"}'), (OBJECTS, '{"topic":"t","event":"e","ref":{}}'),
    ],
)  # fmt: skip
def test_what_has_another_shape_is_an_invalid_message(serializer: Serializer, text: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        serializer.decode(text)
    assert caught.value.code == "INVALID_MESSAGE"
    assert serializer.vsn in caught.value.text


@BOTH
@given(data=st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_message_or_an_invalid_message(
    serializer: Serializer, data: bytes
) -> None:
    with suppress(InvalidMessage):
        serializer.decode(data)


@BOTH
def test_a_position_with_bare_constants_stands(serializer: Serializer) -> None:
    text = '{"lat":1,"lng":2,"timestamp":"2030-01-01T12:00:00Z","accuracy":NaN}'
    message = serializer.decode(
        f'["1","2","t","location_update",{text}]'
        if serializer is ARRAYS
        else f'{{"topic":"t","event":"location_update","payload":{text}}}'
    )
    assert decode_position(message.payload) == Position(1, 2, None, NOON)


@pytest.mark.parametrize(
    ("payload", "position"),
    [
        ('{"lat":1,"lng":2,"timestamp":"2030-01-01T12:00:00Z"}', Position(1, 2, None, NOON)),
        (
            '{"lat":1,"lng":2,"timestamp":"2030-01-01T12:00:00Z","accuracy":8,"speed":-1,"x":[]}',
            Position(1, 2, 8, NOON),
        ),
    ],
)
def test_a_position_is_read_as_in_the_plain_dialect(payload: str, position: Position) -> None:
    assert decode_position(msgspec.Raw(payload.encode())) == position


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ("{}", "lat"), ("null", "data"), ("[]", "data"), ('"x"', "data"), ("{\"lat\":91}", "lat"),
        ('{"lat":1,"lng":200,"timestamp":"2030-01-01T12:00:00Z"}', "lng"),
        ('{"lat":1,"lng":2,"timestamp":"noon"}', "timestamp"),
    ],
)  # fmt: skip
def test_a_wrong_position_is_named(payload: str, named: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode_position(msgspec.Raw(payload.encode()))
    assert caught.value.code == "INVALID_LOCATION"
    assert named in caught.value.text


# --- server to client ---------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("join_ref", ["1", 1, None, 'a"b'])
def test_an_event_is_the_plain_message_in_another_envelope(
    serializer: Serializer, join_ref: Ref
) -> None:
    dialect = serializer.channel(TOPIC, join_ref)
    for message in (SessionEnded("expired"), Pong()):
        plain = json.loads(PLAIN.encode(message))
        assert json.loads(dialect.encode(message)) == as_written(
            serializer, join_ref, None, TOPIC, plain["type"], plain["data"]
        )
    position = Position(1, 2, 8.5, NOON, speed=3)
    plain = json.loads(PLAIN.encode_position("ada", position, 1500))
    assert json.loads(dialect.encode_position("ada", position, 1500)) == as_written(
        serializer, join_ref, None, TOPIC, "location_update", plain["data"]
    )


def test_channels_share_frames_where_everything_in_their_envelope_is_equal() -> None:
    same = ARRAYS.channel(TOPIC, "1")
    assert same == ARRAYS.channel(TOPIC, "1")
    assert hash(same) == hash(ARRAYS.channel(TOPIC, "1"))
    others = [
        ARRAYS.channel(TOPIC, "2"), ARRAYS.channel(TOPIC, 1), ARRAYS.channel("t", "1"),
        OBJECTS.channel(TOPIC, "1"), PLAIN, None,
    ]  # fmt: skip
    assert all(same != other for other in others)


@BOTH
def test_a_reply_repeats_the_refs_and_the_topic(serializer: Serializer) -> None:
    asked = Message("4", 9, TOPIC, "location_update", msgspec.Raw(b"{}"))
    assert json.loads(serializer.reply(asked, "error", b'{"reason":"no"}')) == as_written(
        serializer, "4", 9, TOPIC, "phx_reply", {"status": "error", "response": {"reason": "no"}}
    )
