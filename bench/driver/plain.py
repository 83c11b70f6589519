"""The plain dialect, docs/reference/protocol.md: ``{"type": …, "data": {…}}``. Pure."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from bench.driver.dialect import Access, Conversation, Ended, Message, Refusal, Snapshot
from bench.driver.tracker import ReceivedPosition
from bench.results import Dialect
from locshare.model.position import Position
from locshare.wire.messages import Leave, Ping
from locshare.wire.plain import encode_for_server


class _Snapshot(Struct):
    positions: tuple["_Position", ...] = ()


class _Position(Struct, gc=False):
    user_id: str
    lat: float
    lng: float


class _Moved(Struct, gc=False, tag_field="type", tag="location_update"):
    data: _Position


class _State(Struct, tag_field="type", tag="session_state"):
    data: _Snapshot


class _EndedData(Struct):
    reason: str = ""


class _SessionEnded(Struct, tag_field="type", tag="session_ended"):
    data: _EndedData


class _Problem(Struct):
    code: str = ""
    message: str = ""


class _Error(Struct, tag_field="type", tag="error"):
    data: _Problem


class _Tag(Struct):
    type: str


_decoder: Final = msgspec.json.Decoder(_Moved | _State | _SessionEnded | _Error)
_tag: Final = msgspec.json.Decoder(_Tag)
_KNOWN: Final = {"location_update", "session_state", "session_ended", "error"}


class PlainAdapter:
    name: Dialect = "plain"
    subprotocols: Sequence[str] = ()
    heartbeat_s = 15.0
    always_beats = False
    closes = True

    def address(self, access: Access, websocket_url: str) -> str:
        """With the token in the query, which every server of this dialect takes."""
        return with_query(websocket_url, f"token={quote(access.token)}")

    def converse(self, access: Access) -> Conversation:
        del access
        return _CONVERSATION


class PlainConversation:
    """Has no state."""

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

    def read(self, payload: bytes) -> Message:
        """What one message means."""
        try:
            message = _decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeError) as error:
            return _unread(payload, error)
        data = message.data
        if isinstance(data, _Position):
            return ReceivedPosition(data.user_id, data.lat, data.lng)
        if isinstance(data, _Snapshot):
            return Snapshot(
                [ReceivedPosition(each.user_id, each.lat, each.lng) for each in data.positions]
            )
        if isinstance(data, _EndedData):
            return Ended(f"the session ended: {data.reason}", reconnect=False)
        return Refusal(f"{data.code}: {data.message}")


_CONVERSATION: Final = PlainConversation()


def _unread(payload: bytes, error: Exception) -> Message:
    """An unknown type is ignored; anything else is an error."""
    try:
        tag = _tag.decode(payload).type
    except (msgspec.DecodeError, UnicodeError):
        tag = None
    return None if tag is not None and tag not in _KNOWN else Refusal(f"unreadable: {error}")


def with_query(url: str, query: str) -> str:
    """``url`` with more in its query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))
