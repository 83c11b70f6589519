"""The dialect of Phoenix Channels, version 2 of its JSON serializer. Pure.

Every message is ``[join_ref, ref, topic, event, payload]``. A connection joins one topic, its
session's; ``phx_reply`` answers what was sent with a ref. A broadcast has null for both refs.

An update is pushed with a ref, and its reply is not awaited, as with the official client; a reply
other than ``ok`` is counted. A channel that crashed (``phx_error``) or was closed (``phx_close``)
counts as a lost connection: the user reconnects.
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct

from bench.driver.dialect import Access, Conversation, Ended, Message, Refusal, Snapshot
from bench.driver.plain import with_query
from bench.driver.tracker import ReceivedPosition
from bench.results import Dialect
from locshare.model.position import Position

_Ref = str | int | None


class _Position(Struct, gc=False):
    user_id: str
    lat: float
    lng: float


class _Positions(Struct):
    positions: tuple[_Position, ...] = ()


class _Reply(Struct):
    status: str
    response: Raw = Raw(b"{}")


_frame: Final = msgspec.json.Decoder(tuple[_Ref, _Ref, str, str, Raw])
_position: Final = msgspec.json.Decoder(_Position)
_positions: Final = msgspec.json.Decoder(_Positions)
_reply: Final = msgspec.json.Decoder(_Reply)
_encode: Final = msgspec.json.Encoder().encode
_FAILURES: Final = (msgspec.DecodeError, UnicodeError)


class PhoenixAdapter:
    """The adapter. ``topic`` has ``{session_id}`` in it."""

    name: Dialect = "phoenix"
    subprotocols: Sequence[str] = ()
    heartbeat_s = 30.0
    always_beats = True
    closes = False

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def address(self, access: Access, websocket_url: str) -> str:
        """With the token and the version in the query."""
        return with_query(websocket_url, urlencode({"token": access.token, "vsn": "2.0.0"}))

    def converse(self, access: Access) -> Conversation:
        return PhoenixConversation(self._topic.replace("{session_id}", access.session_id))


class PhoenixConversation:
    """One socket with one channel."""

    __slots__ = ("_join_ref", "_joined", "_ref", "_topic")

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._ref = 0
        self._join_ref = ""
        self._joined = False

    def hello(self) -> bytes | None:
        self._join_ref = str(self._ref + 1)
        return self._message("phx_join", {})

    def position(self, position: Position) -> bytes:
        return self._message("location_update", position)

    def heartbeat(self) -> bytes:
        """``heartbeat``, of the socket and not of a channel."""
        self._ref += 1
        return _encode((None, str(self._ref), "phoenix", "heartbeat", {}))

    def leave(self) -> bytes:
        return self._message("phx_leave", {})

    def read(self, payload: bytes) -> Message:
        """What one message means."""
        try:
            join_ref, ref, topic, event, content = _frame.decode(payload)
            if event == "location_update":
                data = _position.decode(content)
                return ReceivedPosition(data.user_id, data.lat, data.lng)
            if event == "phx_reply":
                return self._answered(ref, _reply.decode(content))
        except _FAILURES as error:
            return Refusal(f"unreadable: {error}")
        if topic != self._topic or not self._joined:
            return None
        if event in ("phx_error", "phx_close"):
            if join_ref is not None and str(join_ref) != self._join_ref:
                return None  # of a channel before this one
            return Ended(f"the channel was ended by {event}", reconnect=True)
        return _listed(content)

    def _answered(self, ref: _Ref, reply: _Reply) -> Message:
        joins = str(ref) == self._join_ref and not self._joined
        if reply.status != "ok":
            what = f"{reply.status}: {bytes(reply.response)[:200].decode(errors='replace')}"
            if joins:
                return Ended(f"the join was answered with {what}", reconnect=True)
            return Refusal(f"answered with {what}")
        if not joins:
            return None
        self._joined = True
        return _listed(reply.response) or Snapshot(())

    def _message(self, event: str, payload: Any) -> bytes:
        self._ref += 1
        return _encode((self._join_ref, str(self._ref), self._topic, event, payload))


def _listed(payload: Raw) -> Snapshot | None:
    """The positions that a message lists under ``positions``, as our snapshots do."""
    try:
        found = _positions.decode(payload).positions
    except _FAILURES:
        return None
    return (
        Snapshot([ReceivedPosition(each.user_id, each.lat, each.lng) for each in found])
        if found
        else None
    )
