"""What a client may send over a WebSocket, as strategies: each dialect, right, nearly right and
wrong, in frames that are whole, fragmented, or against RFC 6455.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec
from hypothesis import strategies as st

from tests.fuzz.values import (
    GOOD_POSITIONS,
    JSON,
    NEARLY_GOOD,
    NO_JSON,
    NUMBERS,
    POSITIONS,
    SCALARS,
    TEXTS,
    json_bytes,
    mutated,
)
from tests.sockets import client_frame

T = TypeVar("T")
DialectName = Literal["plain", "compact", "phoenix-1", "phoenix-2"]


class Piece(NamedTuple):
    """A frame. ``says`` is the length it claims, where that is a lie."""

    payload: bytes
    opcode: int
    fin: bool = True
    reserved: int = 0
    masked: bool = True
    says: int | None = None

    def encode(self, payload: bytes) -> bytes:
        """The frame, with this in place of its payload."""
        mask = b"\x11\x22\x33\x44" if self.masked else b""
        frame = bytearray(client_frame(payload, self.opcode & 15, fin=self.fin, mask=mask))
        frame[0] |= self.reserved << 4
        if self.says is not None:
            frame[1:2] = bytes([frame[1] & 0x80 | 127]) + self.says.to_bytes(8, "big")
        return bytes(frame)


class Conversation(NamedTuple):
    """All that a client sends after the upgrade; ``query`` is what it adds to that."""

    dialect: DialectName
    query: str
    sent: tuple[Piece | bytes, ...]

    @property
    def is_sound(self) -> bool:
        """Whether it ends between two frames, so that a ping behind it is read as one."""
        return all(isinstance(each, Piece) and each.says is None for each in self.sent)


# --- plain ----------------------------------------------------------------------------------------

TYPES = (
    st.sampled_from(
        ["location_update", "location_update", "ping", "leave", "set_pace", "presence", "pong",
         "session_state", "error", "subscribe", ""]
    )
    | TEXTS
)  # fmt: skip
ENVELOPES = st.fixed_dictionaries(
    {}, optional={"type": TYPES | SCALARS, "data": POSITIONS, "id": SCALARS, "ref": JSON}
)
MOVES = (GOOD_POSITIONS | NEARLY_GOOD).map(lambda data: {"type": "location_update", "data": data})
OTHERS = st.sampled_from(
    [
        {"type": "ping"}, {"type": "ping", "data": {}}, {"type": "leave", "data": {}},
        {"type": "presence", "data": {"state": "paused"}},
        {"type": "set_pace", "data": {"interval_s": 5}},
    ]
)  # fmt: skip
PLAIN = MOVES | MOVES | OTHERS | ENVELOPES | JSON

# --- compact --------------------------------------------------------------------------------------

LATITUDES = st.integers(-900_000_000, 900_000_000)
LONGITUDES = st.integers(-1_800_000_000, 1_800_000_000)
MILLISECONDS = st.integers(1_764_000_000_000, 1_796_000_000_000)
PACKABLE: st.SearchStrategy[Any] = st.recursive(
    st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=12)
    | st.binary(max_size=12)
    | st.none()
    | st.booleans()
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=8)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
REPORTS = st.builds(
    lambda lat, lng, taken, more: [1, lat, lng, taken, *more],
    LATITUDES, LONGITUDES, MILLISECONDS, st.lists(st.integers(0, 5000) | PACKABLE, max_size=9),
)  # fmt: skip
NEARLY_REPORTS = st.builds(
    lambda report, at, value: [*report[:at], value, *report[at + 1 :]],
    REPORTS, st.integers(1, 9), PACKABLE,
)  # fmt: skip
NUMBERED = st.builds(
    lambda kind, rest: [kind, *rest], st.integers(-1, 16), st.lists(PACKABLE, max_size=11)
)
SHORT = st.sampled_from([[2], [3], [11, 5], [11, -1], [13, 1], [13, 9]])
COMPACT = (REPORTS | NEARLY_REPORTS | NUMBERED | PACKABLE | SHORT).map(msgspec.msgpack.encode)
DEEP = st.sampled_from([b"\x91" * 3000, b"\xdd\xff\xff\xff\xff", b"\xc1", b"\xdf\x7f\xff\xff\xff"])

# --- Phoenix --------------------------------------------------------------------------------------

TOPICS = (
    st.sampled_from(
        ["location:@session@", "location:@session@", "location:@other@", "location:@ended@",
         "phoenix", "location:", "room:lobby"]
    )
    | TEXTS
)  # fmt: skip
EVENTS = (
    st.sampled_from(
        ["phx_join", "phx_leave", "location_update", "location_update", "ping", "leave",
         "heartbeat", "set_pace", "presence", "phx_close", "phx_error", "phx_reply"]
    )
    | TEXTS
)  # fmt: skip
REFS = st.sampled_from(["1", "1", "2", None]) | SCALARS
PAYLOADS: st.SearchStrategy[Any] = (
    st.just({}) | GOOD_POSITIONS | st.fixed_dictionaries({"token": TEXTS}) | POSITIONS
)
JOIN: Final = {"join_ref": "1", "ref": "1", "topic": "location:@session@", "event": "phx_join",
               "payload": {}}  # fmt: skip
PHOENIX = (
    st.just(JOIN)
    | st.fixed_dictionaries(
        {"join_ref": REFS, "ref": REFS, "topic": TOPICS, "event": EVENTS, "payload": PAYLOADS}
    )
    | JSON
)


def _as_array(message: Any) -> Any:
    is_message = isinstance(message, dict) and message.keys() == JOIN.keys()
    return list(message.values()) if is_message else message


# --- frames ---------------------------------------------------------------------------------------


def _seldom(rare: st.SearchStrategy[T], usual: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """One in about eight is ``rare``. (``a | b`` would count each part of ``rare`` as one.)"""
    return st.sampled_from(range(8)).flatmap(lambda choice: rare if choice == 5 else usual)


def _mostly(
    right: st.SearchStrategy[bytes], wrong: st.SearchStrategy[bytes]
) -> st.SearchStrategy[bytes]:
    """Messages of the dialect, some with a few bytes changed, a few of any bytes."""
    return _seldom(_seldom(wrong, mutated(right)), right)


MESSAGES: Final[Mapping[DialectName, st.SearchStrategy[bytes]]] = {
    "plain": _mostly(PLAIN.map(json_bytes), NO_JSON),
    "compact": _mostly(COMPACT, DEEP | st.binary()),
    "phoenix-1": _mostly(PHOENIX.map(json_bytes), NO_JSON),
    "phoenix-2": _mostly(PHOENIX.map(_as_array).map(json_bytes), NO_JSON),
}
SIZES = st.sampled_from([4095, 4096, 4097, 65_535, 65_536, 65_537, 70_000])
CONTROLS = st.builds(
    # Of `Piece` itself all other fields would be drawn too.
    lambda payload, opcode: Piece(payload, opcode, fin=True),
    st.binary(max_size=125) | st.integers(0, 65_535).map(lambda code: code.to_bytes(2, "big")),
    st.sampled_from([9, 9, 10, 8]),
)
BREACHES = st.builds(
    lambda payload, first, masked: Piece(payload, first & 15, first > 127, first >> 4 & 7, masked),
    st.binary(max_size=130), st.integers(0, 255), st.booleans(),
)  # fmt: skip
LIES = st.builds(
    lambda payload, says: Piece(payload, 1, says=says),
    st.binary(max_size=40),
    st.integers(0, 100) | st.sampled_from([4096, 65_536, 65_537, 2**32, 2**63 - 1, 2**63]),
)


def _fragments(message: bytes, opcode: int, cuts: list[int], between: Piece | None) -> list[Piece]:
    ends = sorted(cut % (len(message) + 1) for cut in cuts)
    parts = [message[a:b] for a, b in zip([0, *ends], [*ends, len(message)], strict=True)]
    pieces = [
        Piece(part, 0 if number else opcode, number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    return pieces if between is None else [pieces[0], between, *pieces[1:]]


def _sent(dialect: DialectName) -> st.SearchStrategy[tuple[Piece | bytes, ...]]:
    opcode = 2 if dialect == "compact" else 1
    whole = MESSAGES[dialect].map(lambda message: [Piece(message, opcode)])
    wrong_kind = MESSAGES[dialect].map(lambda message: [Piece(message, 3 - opcode)])
    long = SIZES.map(lambda size: [Piece(b" " * size, opcode)])
    fragmented = st.builds(
        _fragments, MESSAGES[dialect], st.just(opcode),
        st.lists(st.integers(0, 300), max_size=4), st.none() | CONTROLS,
    )  # fmt: skip
    rare = CONTROLS.map(lambda each: [each]) | BREACHES.map(lambda each: [each]) | wrong_kind | long
    broken = LIES.map(lambda each: [each]) | st.binary(min_size=1, max_size=60).map(lambda b: [b])
    steps = st.lists(_seldom(rare, _seldom(fragmented, whole)), max_size=12)
    joined = st.just([Piece(MESSAGE_JOIN[dialect], opcode)]) if dialect in MESSAGE_JOIN else None
    begins = st.just([]) if joined is None else joined | joined | st.just([])
    return st.builds(
        lambda first, steps, end: tuple(piece for step in (first, *steps, end) for piece in step),
        begins, steps, _seldom(broken, st.just([])),
    )  # fmt: skip


MESSAGE_JOIN: Final[Mapping[DialectName, bytes]] = {
    "phoenix-1": json_bytes(JOIN),
    "phoenix-2": json_bytes(_as_array(JOIN)),
}
QUERIES = st.sampled_from(
    ["", "", "&session_id=x&user_id=y", "&resume=x.1", "&resume=@epoch@.0", "&pace=5", "&pace=1e9"]
) | st.builds(lambda name, value: f"&{name}={value}", st.sampled_from(["resume", "pace", "vsn"]),
              NUMBERS.map(str) | st.from_regex(r"[0-9a-f.@-]{0,20}", fullmatch=True))  # fmt: skip


def conversations(dialect: DialectName) -> st.SearchStrategy[Conversation]:
    """Of one dialect."""
    return st.builds(Conversation, st.just(dialect), QUERIES, _sent(dialect))
