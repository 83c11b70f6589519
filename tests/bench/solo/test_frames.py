"""The load generator's eyes: what it counts and how it reads the clock must be right, whatever the
network does to the stream.
"""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import SERVER, Protocol

from bench.solo.frames import (
    CLOSE,
    PING,
    PONG,
    POSITION,
    SPAN_US,
    TEXT,
    BadFrame,
    Frame,
    FrameReader,
    client_frame,
    clock_us,
    payloads,
    read_position,
    since_s,
    write_position,
)
from locshare.broadcast.fanout import encode_frame, text_frame
from locshare.model.position import ParticipantPosition, Position
from locshare.wire.plain import PLAIN

TEXTS = st.builds(lambda size, fill: bytes([fill]) * size, st.integers(0, 70_000), st.just(120))
FRAMES = st.one_of(
    st.tuples(st.just(TEXT), st.one_of(st.text(max_size=300).map(str.encode), TEXTS)),
    st.tuples(st.sampled_from([CLOSE, PING, PONG]), st.binary(max_size=125)),
)


def server_frame(opcode: int, payload: bytes) -> bytes:
    if opcode == TEXT:
        return text_frame(payload)
    return bytes((0x80 | opcode, len(payload))) + payload


@given(st.lists(FRAMES, max_size=6), st.data())
def test_every_split_of_a_stream_gives_the_same_frames(
    sent: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(server_frame(*each) for each in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader()
    texts: list[bytes] = []
    others: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        whole, count, found = reader.feed(stream[start:end])
        got = payloads(whole)
        assert len(got) == count
        texts += got
        others += found
    assert texts == [payload for opcode, payload in sent if opcode == TEXT]
    assert others == [Frame(*each) for each in sent if each[0] != TEXT]


def test_a_stream_that_comes_byte_by_byte_is_counted_once() -> None:
    stream = b"".join(map(text_frame, (b"", b"a" * 125, b"b" * 126, b"c" * 70_000)))
    reader = FrameReader()
    assert sum(reader.feed(stream[at : at + 1])[1] for at in range(len(stream))) == 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x81\x80abcd", id="masked"),
        pytest.param(b"\x01\x00", id="fragment"),
        pytest.param(b"\x80\x00", id="continuation"),
        pytest.param(b"\x82\x00", id="binary"),
        pytest.param(b"\xc1\x00", id="compressed"),
    ],
)
def test_what_the_server_never_sends_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        FrameReader().feed(data)


@given(
    st.sampled_from([TEXT, PONG, CLOSE]), st.binary(max_size=300), st.binary(min_size=4, max_size=4)
)
def test_a_client_frame_is_what_a_server_unmasks(opcode: int, payload: bytes, key: bytes) -> None:
    if opcode != TEXT:
        payload = b"\x03\xe8" + payload[:100].hex().encode() if opcode == CLOSE else payload[:125]
    protocol = Protocol(SERVER)
    protocol.receive_data(client_frame(opcode, payload, key))
    [received] = protocol.events_received()
    assert isinstance(received, WebSocketFrame)
    assert (received.opcode, bytes(received.data)) == (Opcode(opcode), payload)


@given(st.integers(0, 1_799_999), st.integers(0, SPAN_US - 1))
@example(0, 0)
@example(1_799_999, SPAN_US - 1)
@example(900_000, 180_000_001)  # written 1e-06 by some
def test_a_position_says_who_sent_it_and_when_after_the_server_wrote_it_anew(
    sender: int, moment: int
) -> None:
    lat, lng = write_position(sender, moment)
    update = PLAIN.decode(
        f'{{"type":"location_update","data":{{"lat":{lat},"lng":{lng},'
        '"accuracy":5,"timestamp":"2026-03-01T12:00:00Z"}}'
    )
    assert isinstance(update, Position)
    moved = ParticipantPosition.of("somebody", update)
    frame = encode_frame(moved, PLAIN)
    [(seen_lat, seen_lng)] = POSITION.findall(frame)
    assert read_position(seen_lat, seen_lng) == (sender, moment)
    assert msgspec.json.decode(payloads(frame)[0])["data"]["user_id"] == "somebody"


@given(st.floats(0, 1e7), st.floats(0, 350))
def test_latency_is_the_time_between_whenever_the_clock_goes_round(
    then: float, took: float
) -> None:
    assert since_s(clock_us(then), clock_us(then + took)) == pytest.approx(took, abs=3e-6)
