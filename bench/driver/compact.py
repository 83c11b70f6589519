"""The compact dialect, docs/reference/protocol.md: ``[type, data]`` in MessagePack, a flush in one
frame. Pure.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from bench.driver.dialect import Access, Conversation, Ended, Message, Refusal, Snapshot
from bench.driver.plain import with_query
from bench.driver.tracker import ReceivedPosition
from bench.results import Dialect
from locshare.model.position import Position
from locshare.wire.compact import COMPACT, TYPES
from locshare.wire.compact_client import encode_for_server
from locshare.wire.messages import Leave, Ping

_UNITS: Final = 10_000_000
"""Of a degree."""


class _Frame(Struct, array_like=True, gc=False):
    type: int
    data: Raw = Raw(b"\x80")


class _Row(Struct, array_like=True, gc=False):
    number: int
    lat: int
    lng: int


class _Announced(Struct):
    number: int
    user_id: str


class _State(Struct):
    participants: tuple[_Announced, ...]
    positions: tuple[_Row, ...]


class _Reason(Struct):
    reason: str = ""


class _Problem(Struct):
    code: str = ""
    message: str = ""


_MOVED, _STATE, _JOINED, _ENDED, _ERROR = (
    TYPES[name]
    for name in (
        "location_update", "session_state", "participant_joined", "session_ended", "error",
    )
)  # fmt: skip
_frame: Final = msgspec.msgpack.Decoder(_Frame)
_rows: Final = msgspec.msgpack.Decoder(list[_Row])
_state: Final = msgspec.msgpack.Decoder(_State)
_announced: Final = msgspec.msgpack.Decoder(_Announced)
_reason: Final = msgspec.msgpack.Decoder(_Reason)
_problem: Final = msgspec.msgpack.Decoder(_Problem)


class CompactAdapter:
    name: Dialect = "compact"
    subprotocols: Sequence[str] = (COMPACT.name,)
    heartbeat_s = 15.0
    always_beats = False
    closes = True

    def address(self, access: Access, websocket_url: str) -> str:
        """With the token in the query; the subprotocol selects the dialect."""
        return with_query(websocket_url, f"token={quote(access.token)}")

    def converse(self, access: Access) -> Conversation:
        return CompactConversation(access.user_id)


class CompactConversation:
    """Knows the numbers of participants."""

    __slots__ = ("_own", "_users")

    def __init__(self, user_id: str) -> None:
        self._own = user_id
        self._users: dict[int, str] = {}

    def hello(self) -> bytes | None:
        """None: the token identifies the user."""
        return None

    def position(self, position: Position) -> bytes:
        return encode_for_server(position)

    def heartbeat(self) -> bytes:
        """``ping``, answered by ``pong``."""
        return encode_for_server(Ping())

    def leave(self) -> bytes:
        return encode_for_server(Leave())

    def read(self, payload: bytes) -> Message | list[ReceivedPosition]:
        """What one message means."""
        try:
            frame = _frame.decode(payload)
            kind = frame.type
            if kind == _MOVED:
                return self._positions(_rows.decode(frame.data))
            if kind == _STATE:
                state = _state.decode(frame.data)
                self._users = {each.number: each.user_id for each in state.participants}
                return Snapshot(self._positions(state.positions))
            if kind == _JOINED:
                joined = _announced.decode(frame.data)
                self._users[joined.number] = joined.user_id
            elif kind == _ENDED:
                why = _reason.decode(frame.data).reason
                return Ended(f"the session ended: {why}", reconnect=False)
            elif kind == _ERROR:
                problem = _problem.decode(frame.data)
                return Refusal(f"{problem.code}: {problem.message}")
        except (msgspec.DecodeError, UnicodeError, KeyError) as error:
            return Refusal(f"unreadable: {error}")
        return None

    def _positions(self, rows: Sequence[_Row]) -> list[ReceivedPosition]:
        """Those of others. Raises KeyError for a number that nobody was announced with."""
        users, own = self._users, self._own
        return [
            ReceivedPosition(user_id, row.lat / _UNITS, row.lng / _UNITS)
            for row in rows
            if (user_id := users[row.number]) != own
        ]
