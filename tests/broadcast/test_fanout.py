"""Frames that serve every receiver, and a flush without one's own frame."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.broadcast.fanout import Flush, binary_frame, encode_flush, encode_frame, text_frame
from locshare.model.position import HeldPosition, Position
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Shorthand
from locshare.wire.messages import Pong
from locshare.wire.plain import PLAIN
from tests.broadcast.wire_kit import parse


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_text_frame_is_whole_final_and_unmasked_at_every_length_encoding(size: int) -> None:
    payload = b"x" * size
    assert parse(text_frame(payload)) == [(0x81, payload)]


@pytest.mark.parametrize("size", [0, 125, 126, 65536])
def test_a_binary_frame_differs_in_its_opcode_only(size: int) -> None:
    payload = b"x" * size
    assert parse(binary_frame(payload)) == [(0x82, payload)]


def test_the_shortest_length_encoding_is_used() -> None:
    assert [len(text_frame(b"x" * size)) - size for size in (125, 126, 65535, 65536)] == [
        2, 4, 4, 10,
    ]  # fmt: skip


def test_a_message_is_one_frame_of_its_dialect() -> None:
    assert encode_frame(Pong(), PLAIN) == text_frame(b'{"type":"pong","data":{}}')


def test_a_flush_keeps_one_message_per_frame_in_the_order_of_moving() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    held = HeldPosition(Position(1.0, 2.0, 3.0, at), 7.0, 7.0)
    flush = encode_flush(dict.fromkeys(("carl", "ada", "bob"), held), 7.0, PLAIN)
    payloads = [payload for _, payload in parse(flush.joined)]
    assert [payload.split(b'"user_id":"')[1].split(b'"')[0] for payload in payloads] == [
        b"carl",
        b"ada",
        b"bob",
    ]
    assert all(payload.startswith(b'{"type":"location_update","data":{') for payload in payloads)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.binary(max_size=300), max_size=8))
def test_a_receiver_gets_every_frame_but_its_own(payloads: dict[str, bytes]) -> None:
    frames = {user: text_frame(payload) for user, payload in payloads.items()}
    flush = Flush(frames)
    assert flush.joined == b"".join(frames.values())
    for user in [*frames, "somebody who did not move"]:
        others = [frame for mover, frame in frames.items() if mover != user]
        assert flush.without(user) == b"".join(others)


def test_the_only_one_that_moved_gets_nothing() -> None:
    assert Flush({"ada": text_frame(b"x")}).without("ada") == b""


def test_one_that_did_not_move_gets_the_same_bytes_without_a_copy() -> None:
    flush = Flush({"ada": text_frame(b"x"), "bob": text_frame(b"y")})
    assert flush.without("carl") is flush.joined


# --- a dialect that writes a flush as one frame -------------------------------------------------

AT = datetime(2030, 1, 1, tzinfo=UTC)
NUMBERS = {"ada": 3, "bob": 4, "carl": 5}
DIALECT = COMPACT.in_session(Shorthand.since(AT, NUMBERS))


def batch(*users: str) -> Flush:
    moved = {
        user: HeldPosition(Position(n, 2.0, 3.0, AT), 7.0, 7.0) for n, user in enumerate(users)
    }
    return encode_flush(moved, 7.0, DIALECT)


def movers(frames: bytes) -> list[list[int]]:
    """The numbers in each frame."""
    found = []
    for first, payload in parse(frames):
        assert first == 0x82
        _, rows = msgspec.msgpack.decode(payload)
        found.append([row[0] for row in rows])
    return found


def test_a_batch_is_one_frame_and_the_same_bytes_for_every_receiver() -> None:
    flush = batch("carl", "ada", "bob")
    assert movers(flush.joined) == [[5, 3, 4]]
    assert flush.without("ada") is flush.without("nobody") is flush.joined


def test_a_full_receiver_keeps_one_frame_for_each_that_moved() -> None:
    flush = batch("carl", "ada")
    assert {user: movers(frame) for user, frame in flush.waiting.items()} == {
        "carl": [[5]],
        "ada": [[3]],
    }
    assert flush.waiting is flush.waiting, "encoded once"


def test_a_batch_of_one_is_not_sent_back_to_its_sender() -> None:
    flush = batch("ada")
    assert flush.without("ada") == b""
    assert movers(flush.without("bob")) == [[3]]
