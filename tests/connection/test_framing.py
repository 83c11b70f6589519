"""The scanner in front of the protocol object changes nothing but the time that it takes."""

import itertools

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from locshare.connection.framing import INCOMPLETE, UNUSUAL, frame_end, payload_start
from locshare.connection.parser import MessageParser
from locshare.connection.received import NoMessage, PeerClosed, Pinged, TooLarge, Violation
from locshare.connection.transport_limits import DEFAULT_LIMITS
from locshare.model.reasons import CloseReason
from tests.sockets import client_frame

LIMIT = 64 * 1024


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 4096, 65535, 65536])
def test_a_whole_frame_ends_where_it_ends_and_every_shorter_piece_is_incomplete(size: int) -> None:
    frame = client_frame(b"x" * size)
    assert frame_end(frame + b"more", 0, LIMIT) == len(frame)
    assert len(frame) - payload_start(frame, 0) == size
    for cut in {1, 2, 3, 5, 9, 13, len(frame) - 1}:
        if cut < len(frame):
            assert frame_end(frame[:cut], 0, LIMIT) == INCOMPLETE


def test_a_frame_is_found_anywhere_in_the_bytes() -> None:
    data = client_frame(b"one") + client_frame(b"two" * 100)
    first = frame_end(data, 0, LIMIT)
    assert frame_end(data, first, LIMIT) == len(data)


@pytest.mark.parametrize(
    "frame",
    [client_frame(b"x", mask=b""), client_frame(b"", mask=b""), client_frame(b"x" * 70_000)],
    ids=["unmasked", "unmasked and empty", "long"],
)
def test_a_frame_not_worth_waiting_for_is_known_by_its_head(frame: bytes) -> None:
    assert frame_end(frame[:10], 0, LIMIT) == UNUSUAL


# --- what `websockets` reads of a stream, this server reads of it, however it is cut --------------


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A whole message in one frame or in several, with control frames among them."""
    is_text = draw(st.booleans())
    payload = draw(st.text(max_size=60)).encode() if is_text else draw(st.binary(max_size=60))
    if draw(st.integers(0, 9)) == 0:
        payload *= 120  # beyond what a short length can say, and what a message may be
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    parts = [payload[a:b] for a, b in itertools.pairwise([0, *cuts, len(payload)])]
    frames = []
    for number, part in enumerate(parts):
        opcode = (1 if is_text else 2) if number == 0 else 0
        fin = number == len(parts) - 1
        frames.append(client_frame(part, opcode, fin=fin, mask=draw(MASKS)))
        frames += [] if fin else draw(st.lists(CONTROLS, max_size=2))
    return b"".join(frames)


MASKS = st.binary(min_size=4, max_size=4)
CONTROLS = st.builds(
    client_frame, st.binary(max_size=125), st.sampled_from([9, 10]), fin=st.just(True), mask=MASKS
)
CLOSES = st.one_of(
    st.just(b""),
    st.just(client_frame(b"", 8)),
    st.builds(
        lambda code, reason: client_frame(code.to_bytes(2, "big") + reason.encode(), 8),
        st.sampled_from([1000, 1001, 3000, 4999]),
        st.text(max_size=30),
    ),
)


def by_the_library(stream: bytes) -> tuple[list[object], list[bytes]]:
    """What `websockets` makes of the whole stream at once: messages and replies."""
    protocol = ServerProtocol(state=State.OPEN, max_size=LIMIT)
    protocol.receive_data(stream)
    received: list[object] = []
    parts: list[bytes] = []
    is_text = True
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.PING, Opcode.PONG):
            received.append("no message")
        elif event.opcode is not Opcode.CLOSE:
            if event.opcode is not Opcode.CONT:
                is_text = event.opcode is Opcode.TEXT
            parts.append(bytes(event.data))
            if event.fin:
                payload = b"".join(parts)
                parts.clear()
                if len(payload) > DEFAULT_LIMITS.max_message_bytes:
                    received.append(TooLarge(len(payload)))
                else:
                    received.append(payload.decode() if is_text else payload)
            else:
                received.append("no message")
    closed = protocol.close_rcvd is not None
    received.append(CloseReason.PEER_CLOSED if closed else CloseReason.PEER_GONE)
    return received, [b"".join(protocol.data_to_send())]


@settings(max_examples=200)
@given(st.lists(messages() | CONTROLS, max_size=6), CLOSES, st.data())
def test_a_valid_stream_is_read_as_the_library_reads_it(
    pieces: list[bytes], close: bytes, data: st.DataObject
) -> None:
    stream = b"".join(pieces) + close
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(stream), 1)), max_size=20)))
    received, replies, reason = trio.run(converse, stream, cuts)
    expected, answers = by_the_library(stream)
    assert received == expected
    others, pongs = sorted_out(replies)
    assert others == sorted_out(answers)[0]
    left = iter(sorted_out(answers)[1])
    assert all(pong in left for pong in pongs), "each answers a ping, in order"
    assert pongs[-1:] == sorted_out(answers)[1][-1:], "the newest ping is always answered"
    assert reason is (CloseReason.PEER_CLOSED if close else None)


def sorted_out(replies: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What is no pong, and the pongs. Of pings that came together only the newest is answered."""
    data = b"".join(replies)
    others: list[bytes] = []
    pongs: list[bytes] = []
    while data:
        size = 2 + data[1]
        (pongs if data[0] == 0x8A else others).append(data[:size])
        data = data[size:]
    return others, pongs


# --- the same stream, cut differently, is the same conversation ---------------------------------

TEXTS = st.text(max_size=40).map(str.encode)
PIECES = st.one_of(
    st.builds(client_frame, TEXTS),
    st.builds(client_frame, TEXTS, st.just(2)),
    st.builds(client_frame, st.binary(max_size=10), st.sampled_from([9, 10])),
    st.builds(
        lambda a, b, ping: client_frame(a, 1, fin=False) + ping + client_frame(b, 0),
        TEXTS,
        TEXTS,
        st.sampled_from([b"", client_frame(b"p", 9)]),
    ),
    st.just(client_frame(b"x" * 5000)),
)
ENDINGS = st.sampled_from(
    [
        b"",
        client_frame(b"\x03\xe8", 8),
        client_frame(b"\xff"),
        client_frame(b"x", mask=b""),
        client_frame(b"x", 0),
        client_frame(b"x" * 70_000),
        client_frame(b"half")[:-2],
        b"\xf1\x80",
    ]
)


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=6), ENDINGS, TEXTS, st.data())
@example([client_frame(b"a")], client_frame(b"\xff"), b"after", None)
def test_however_the_stream_is_cut_the_same_messages_and_replies_result(
    pieces: list[bytes], ending: bytes, after: bytes, data: st.DataObject | None
) -> None:
    stream = b"".join(pieces) + ending + client_frame(after)
    cuts = (
        sorted(data.draw(st.sets(st.integers(1, len(stream)), max_size=12)))
        if data is not None
        else [1, 3]
    )
    assert in_pieces(stream, cuts) == in_pieces(stream, [])
    assert in_pieces(stream[:400], list(range(1, 400))) == in_pieces(stream[:400], [])


def in_pieces(stream: bytes, cuts: list[int]) -> tuple[object, ...]:
    received, replies, reason = trio.run(converse, stream, cuts)
    others, pongs = sorted_out(replies)
    return received, others, pongs[-1:], reason


async def converse(
    stream: bytes, cuts: list[int]
) -> tuple[list[object], list[bytes], CloseReason | None]:
    """What a parser makes of `stream` when it comes in pieces: messages, replies, and reason."""
    parser = MessageParser(DEFAULT_LIMITS)
    received: list[object] = []
    replies: list[bytes] = []
    reason = None
    start = 0
    for cut in [*cuts, len(stream)]:
        if reason is None:
            # What one read takes at once; a piece as long as the buffer would be two reads.
            parser.digest(stream[start:cut])
        start = cut
        while parser.messages:
            message = parser.messages.pop(0)
            assert reason is None, "nothing comes after the end"
            if isinstance(message, Pinged):
                replies.append(message.pong)
            elif isinstance(message, PeerClosed):
                replies.append(message.reply)
                reason = CloseReason.PEER_CLOSED
            elif isinstance(message, Violation):
                replies.append(message.close_frame)
                reason = message.reason
            else:
                if isinstance(message, TooLarge):
                    assert message.size > 4096
                received.append("no message" if isinstance(message, NoMessage) else message)
    received.append(reason or CloseReason.PEER_GONE)
    return received, [b"".join(replies)], reason
