"""What the load generator says in each dialect is read by the server's decoder, and what the
server's encoder writes is read by the generator.
"""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bench.results import Dialect
from bench.solo.codecs import CODECS, DETAILS
from bench.solo.frames import SPAN_US, write_position
from locshare.broadcast.fanout import encode_frame
from locshare.model.participant import ParticipantView, You
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import SessionView, Snapshot
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Dialect as WireDialect
from locshare.wire.dialects import Shorthand
from locshare.wire.messages import Error, Pong, ServerMessage
from locshare.wire.phoenix import ARRAYS, decode_position
from locshare.wire.plain import PLAIN

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
PEOPLE = {"ada": 3, "bo": 4, "cy": 5}
MOMENTS = [0, 1, 123_456_789, SPAN_US - 1]
EVERY = pytest.mark.parametrize("dialect", CODECS)


def wire(dialect: Dialect) -> WireDialect:
    shorthand = Shorthand.since(NOW - timedelta(hours=1), PEOPLE)
    known: dict[Dialect, WireDialect] = {
        "plain": PLAIN,
        "compact": COMPACT.in_session(shorthand),
        "phoenix": ARRAYS.channel("location:room", "1"),
    }
    return known[dialect]


def moved(user_id: str, moment_us: int) -> ParticipantPosition:
    lat, lng = write_position(PEOPLE[user_id], moment_us)
    return ParticipantPosition(user_id, float(lat), float(lng), 5.0, NOW)


@EVERY
@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("moment_us", MOMENTS)
def test_the_server_reads_what_a_person_sends(
    dialect: Dialect, details: bool, moment_us: int
) -> None:
    payload = CODECS[dialect](3, "room", details).position(moment_us, NOW)
    read: object
    match dialect:
        case "plain":
            read = PLAIN.decode(payload.decode())
        case "compact":
            read = COMPACT.decode(payload)
        case _:
            read = decode_position(ARRAYS.decode(payload.decode()).payload)
    assert isinstance(read, Position)
    lat, lng = write_position(3, moment_us)
    assert (read.lat, read.lng) == (float(lat), float(lng))
    assert (read.accuracy, read.timestamp) == (5.0, NOW)
    found = {name: getattr(read, name) for name in DETAILS}
    assert found == (DETAILS if details else dict.fromkeys(DETAILS))


@EVERY
def test_a_person_reads_the_positions_of_others_and_counts_errors(dialect: Dialect) -> None:
    codec, spoken = CODECS[dialect](3, "room", False), wire(dialect)

    def frame(message: ServerMessage) -> bytes:
        return encode_frame(message, spoken)

    frames = [frame(moved("bo", each)) for each in MOMENTS] + [frame(Pong())]
    if dialect == "compact":
        frames.append(frame(moved("ada", 7)))  # the own position, which this dialect repeats
    error = REFUSED if dialect == "phoenix" else frame(Error("RATE_LIMITED", "slow down"))
    found, errors = codec.read(b"".join([*frames, error]), len(frames) + 1)
    assert [codec.source(each) for each in found] == [(4, each) for each in MOMENTS]
    assert errors == 1


REFUSED = b'\x81\x7e\x00\x00["1","2","t","phx_reply",{"status":"error","response":{}}]'


@EVERY
def test_the_snapshot_is_known_by_its_beginning(dialect: Dialect) -> None:
    codec, spoken = CODECS[dialect](3, "room", False), wire(dialect)
    people = (ParticipantView("ada", "Ada", "#112233", NOW, NOW, True, True),)
    snapshot = Snapshot(
        SessionView("room", "Alps", NOW, NOW), You("ada", "participant"), people, (), NOW, "e", 0
    )
    assert codec.is_snapshot(spoken.encode(snapshot)) is True
    assert not codec.is_snapshot(spoken.encode(Pong()))
    joined = b'["1","1","location:room","phx_reply",{"status":"ok","response":{}}]'
    refused = joined.replace(b'"ok"', b'"error"')
    if dialect == "phoenix":
        assert (codec.is_snapshot(joined), codec.is_snapshot(refused)) == (None, False)


def test_a_phoenix_client_joins_with_its_first_ref_and_pushes_with_the_next() -> None:
    codec = CODECS["phoenix"](3, "room", False)
    hello = codec.hello()
    assert hello is not None
    assert msgspec.json.decode(hello) == ["1", "1", "location:room", "phx_join", {}]
    refs = [msgspec.json.decode(codec.position(0, NOW))[:2] for _ in range(2)]
    assert refs == [["1", "2"], ["1", "3"]]
