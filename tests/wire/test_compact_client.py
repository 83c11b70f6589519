"""The client reads what the compact dialect writes, and the server what the client writes."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.model.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.pace import Pace
from locshare.model.participant import ParticipantView, You
from locshare.model.position import HeldPosition, ParticipantPosition, Position
from locshare.model.session import SessionView, Snapshot
from locshare.wire.compact import COMPACT, TYPES
from locshare.wire.compact_client import CompactReader, encode_for_server
from locshare.wire.dialects import Shorthand
from locshare.wire.messages import Error, Leave, Ping, Pong, Presence, ServerMessage, SetPace
from locshare.wire.plain import decode_from_server

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHORTHAND = Shorthand.since(NOW - timedelta(hours=1), {"ada": 0, "bo": 1, "cy": 70_000})
DIALECT = COMPACT.in_session(SHORTHAND)


def at(user_id: str, **more: Any) -> ParticipantPosition:
    return ParticipantPosition(user_id, 52.1234567, -13.7654321, 8, NOW, **more)


def state(*positions: ParticipantPosition, **more: Any) -> Snapshot:
    people = tuple(
        ParticipantView(each, each.title(), "#112233", NOW, NOW, True, True)
        for each in ("ada", "bo")
    )
    return Snapshot(
        SessionView("id", "Alps", NOW, NOW), You("ada", "participant"), people, positions, NOW,
        "epoch", 3, **more,
    )  # fmt: skip


@pytest.fixture
def reader() -> CompactReader:
    reader = CompactReader()
    reader.decode(DIALECT.encode(state()))
    return reader


def test_the_snapshot_is_that_of_the_plain_dialect() -> None:
    sent = state(at("ada"), at("bo", age_ms=4_000, battery=50.0))
    assert CompactReader().decode(DIALECT.encode(sent)) == (sent,)


@pytest.mark.parametrize(
    "message",
    [
        ParticipantJoined("cy", "Cy", "#445566", seq=4),
        ParticipantUpdated("bo", False, NOW, state="hidden", seq=5),
        ParticipantLeft("bo", "removed", seq=6),
        SessionUpdated(True, seq=7),
        SessionEnded("expired", seq=8),
        Pong(),
        Error("RATE_LIMITED", "slow down"),
        Pace(15.0, 10.0),
        at("bo", altitude=100.5, speed=1.25, heading=359.9, battery=50, age_ms=2_000),
    ],
)
def test_every_message_is_read_as_it_was_written(
    reader: CompactReader, message: ServerMessage
) -> None:
    assert list(reader.decode(DIALECT.encode(message))) == [message]


def test_a_flush_is_every_position_but_the_readers_own(reader: CompactReader) -> None:
    held = HeldPosition(Position(1.0, 2.0, None, NOW), 0.0, 0.0)
    assert DIALECT.encode_batch is not None
    frame = DIALECT.encode_batch({"ada": held, "bo": held, "cy": held}, 0.0)
    assert [each.user_id for each in _positions(reader, frame)] == ["bo"], "cy is not announced"
    reader.decode(DIALECT.encode(ParticipantJoined("cy", "Cy", "#445566")))
    assert [each.user_id for each in _positions(reader, frame)] == ["bo", "cy"]


def _positions(reader: CompactReader, frame: bytes) -> list[ParticipantPosition]:
    found = reader.decode(frame)
    assert all(isinstance(each, ParticipantPosition) for each in found)
    return [each for each in found if isinstance(each, ParticipantPosition)]


@pytest.mark.parametrize(
    "frame",
    [
        [99, {}], [True, {}], ["1", []], [], 7, {}, [1], [1, {}], [1, [[1, 2]]], [6, {}],
        [0, {}], [0, []], [0, {"time_base": 2**62, "participants": [], "positions": []}],
        [0, {"time_base": 0, "participants": [], "positions": [], "missed": [[]]}],
        [1, [[1, 1, 1, 2**53 + 1]]], [1, [[1, 1, 1, 2**53]]], [6, {"user_id": "x"}],
    ],
)  # fmt: skip
def test_what_is_not_of_this_version_is_a_decode_error(reader: CompactReader, frame: Any) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeError)):
        reader.decode(msgspec.msgpack.encode(frame))
    assert list(reader.decode(DIALECT.encode(at("bo")))) == [at("bo")], "and it reads on"


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeError):
        CompactReader().decode(data)


NUMBERS = {"allow_nan": False, "allow_infinity": False}
POSITIONS = st.builds(
    Position,
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.none() | st.floats(0, 100_000),
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.none() | st.floats(-12_000, 100_000),
    st.none() | st.floats(0, 1_000),
    st.none() | st.floats(0, 359.9),
    st.none() | st.floats(0, 100),
    st.none() | st.floats(0, 86_400_000),
)


@given(POSITIONS)
def test_the_server_reads_the_position_that_the_client_writes(position: Position) -> None:
    read = COMPACT.decode(encode_for_server(position))
    assert isinstance(read, Position)
    assert read.lat == pytest.approx(position.lat, abs=1e-7)
    assert read.lng == pytest.approx(position.lng, abs=1e-7)
    assert timedelta(0) <= position.timestamp - read.timestamp < timedelta(milliseconds=1)
    for name, unit in [
        ("accuracy", 1), ("altitude", 0.1), ("speed", 0.01), ("heading", 0.1), ("battery", 1),
        ("age_ms", 1),
    ]:  # fmt: skip
        ours, theirs = getattr(position, name), getattr(read, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or theirs == pytest.approx(ours, abs=unit)


def test_the_other_messages_of_a_client() -> None:
    assert COMPACT.decode(encode_for_server(Ping())) == Ping()
    assert COMPACT.decode(encode_for_server(Leave())) == Leave()
    written = [
        msgspec.msgpack.decode(encode_for_server(each))
        for each in (SetPace(15.0), Presence("active"), Presence("paused"), Presence("hidden"))
    ]
    assert written == [[11, 15.0], [13, 0], [13, 1], [13, 2]]
    assert (TYPES["set_pace"], TYPES["pace"], TYPES["presence"]) == (11, 12, 13)


@pytest.mark.parametrize("compact", [True, False])
def test_a_missed_event_of_a_newer_server_does_not_spoil_the_snapshot(compact: bool) -> None:
    known = ParticipantLeft("bo", "left", seq=2)
    if compact:
        kind, data = msgspec.msgpack.decode(DIALECT.encode(state(resumed=True)))
        left = {"user_id": "bo", "reason": "left", "seq": 2}
        data["missed"] = [
            [8, left], [77, {"seq": 3}], [8, {"user_id": 1}], [], [8], [[], {}], "nonsense", 7,
        ]  # fmt: skip
        (read,) = CompactReader().decode(msgspec.msgpack.encode([kind, data]))
    else:
        data = msgspec.to_builtins(state(resumed=True))
        left = {"user_id": "bo", "reason": "left", "seq": 2}
        data["missed"] = [
            {"type": "participant_left", "data": left},
            {"type": "of_the_future", "data": {"seq": 3}},
            "nonsense",
        ]
        read = decode_from_server(msgspec.json.encode({"type": "session_state", "data": data}))
    assert isinstance(read, Snapshot)
    assert read.missed is not None
    assert [each.data for each in read.missed] == [known]
