"""What a Phoenix client's messages mean for its socket: channels are subscriptions. Pure.

A topic ``location:{session_id}`` is joined, and so subscribed to, with the token of the upgrade or
with one in the payload of the join. Heartbeats, replies, leaving and closing follow
``Phoenix.Socket`` and ``Phoenix.Channel.Server``: each message with a ref gets one ``phx_reply``,
each channel ends with one ``phx_close`` (the client stays away) or ``phx_error`` (it joins again).

The channels change only where the connection carries an effect out (:meth:`subscribed`,
:meth:`ended`): a message that the rate policy drops must leave no trace. The connection handles a
message to its end before it reads the next, so the newest message is always the one that
:meth:`error`, :meth:`subscribed` and :meth:`refused` are about.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, final
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from locshare.broadcast.backlog import Topic
from locshare.broadcast.fanout import text_frame
from locshare.connection.dialect import (
    Answer,
    Choose,
    Effect,
    LeaveSession,
    Move,
    Reply,
    SocketDialect,
    Subscribe,
    Unsubscribe,
)
from locshare.connection.refusal import Refusal
from locshare.model.pace import parse_interval
from locshare.model.participant import parse_state
from locshare.model.reasons import CloseReason
from locshare.session.commands import AttachOptions
from locshare.wire.dialects import Dialect, InvalidMessage
from locshare.wire.messages import CLIENT_TYPES, SETTING_BOUNDS, ErrorCode
from locshare.wire.phoenix import (
    ARRAYS,
    NO_PAYLOAD,
    OBJECTS,
    Message,
    Ref,
    Serializer,
    Status,
    decode_position,
    decode_setting,
)

PATH: Final = "/socket/websocket"
"""Where Phoenix clients connect: they add ``/websocket`` to the address that they are given."""
BEARER_PREFIX: Final = "base64url.bearer.phx."
"""Of the subprotocol that carries the token (``authToken`` of phoenix.js 1.8)."""
SUBPROTOCOL: Final = "phoenix"
"""Answered to a client that offers it beside its token."""

_SOCKET_TOPIC: Final = "phoenix"
_TOPIC_PREFIX: Final = "location:"
_DEFAULT_VSN: Final = "1.0.0"

_NO_MESSAGE: Final = Message(None, None, _SOCKET_TOPIC, "", Raw(NO_PAYLOAD))
"""Stands for a message that could not be read: its error is an event of the socket."""
_IGNORED: Final = Reply(b"")

JOIN_REFUSALS: Final[Mapping[Refusal, str]] = MappingProxyType(
    {
        Refusal.NO_TOKEN: "unauthorized",
        Refusal.BAD_TOKEN: "unauthorized",
        Refusal.FORBIDDEN: "unauthorized",
        Refusal.NOT_FOUND: "session_not_found",
        Refusal.ENDED: "session_ended",
        Refusal.FULL: "full",
        Refusal.TOO_OFTEN: "rate_limited",
    }
)
UNAVAILABLE: Final = "unavailable"
"""The ``reason`` in the reply to a join that is refused; the latter for all others, which may
succeed later."""

_REJOIN: Final = frozenset({CloseReason.OVERLOADED, CloseReason.INTERNAL_ERROR})
"""A channel that ends so is worth joining again: clients do after ``phx_error``."""


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why something was refused, or has ended."""

    reason: str
    message: str = ""


class Joined(Struct, frozen=True):
    """The response to a join."""

    session_id: str
    status: str = "joined"


class JoinPayload(Struct, frozen=True):
    """The payload of a join. Other parameters are ignored."""

    token: str | None = None
    resume: Any = None
    pace: Any = None
    presence: Any = None
    """Of any type, all three: what is malformed is no reason to refuse a join."""

    def options(self) -> AttachOptions:
        """A ``resume`` that is no text counts as a malformed one."""
        resume = self.resume if isinstance(self.resume, str | None) else ""
        return AttachOptions(resume, parse_interval(self.pace), parse_state(self.presence))


_encode: Final = msgspec.json.Encoder().encode
_join: Final = msgspec.json.Decoder(JoinPayload)
_UNMATCHED: Final = _encode(Reason("unmatched topic"))  # the words of Phoenix


@final
class PhoenixSocketDialect:
    """Implements :class:`~locshare.connection.dialect.SocketDialect`."""

    label: Final = "phoenix"
    subscribes_at_once: Final = False
    reads_binary: Final = False

    __slots__ = ("_channels", "_newest", "_serializer")

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self._channels: dict[Topic, Ref] = {}  # the join_ref of each that is joined
        self._newest = _NO_MESSAGE

    # --- what a message asks for ----------------------------------------------------------------

    def receive(self, data: str | bytes) -> Effect:
        """See :meth:`SocketDialect.receive`."""
        self._newest = _NO_MESSAGE
        message = self._newest = self._serializer.decode(data)
        topic, event = message.topic, message.event
        if topic == _SOCKET_TOPIC:
            if event == "heartbeat":
                return Answer(self._reply("ok"))
            raise InvalidMessage("UNKNOWN_TYPE", "event: not known here; allowed is heartbeat")
        if event == "phx_join":
            return self._join(message)
        if topic not in self._channels:  # or no longer, and the client did not know yet
            if event == "phx_leave":
                return Reply(self._reply("ok"))
            return Reply(self._reply("error", _UNMATCHED))
        join_ref = self._channels[topic]
        if _is_stale(message.join_ref, join_ref):
            return _IGNORED
        if event == "location_update":
            return Move(topic, decode_position(message.payload), self._reply("ok"))
        if event == "phx_leave":
            return Unsubscribe(topic, self._reply("ok"))
        if event == "ping":
            return Answer(self._reply("ok") or self._push(join_ref, topic, "pong"))
        if event == "leave":
            return LeaveSession(topic)
        if event in SETTING_BOUNDS:
            return Choose(topic, decode_setting(event, message.payload), self._reply("ok"))
        raise InvalidMessage(
            "UNKNOWN_TYPE", f"event: not known here; allowed are {', '.join(CLIENT_TYPES)}"
        )

    def _join(self, message: Message) -> Effect:
        if not message.topic.startswith(_TOPIC_PREFIX):
            return Reply(self._reply("error", _UNMATCHED))
        session_id = _session_of(message.topic)
        if session_id is None:
            return Reply(self.refused(message.topic, Refusal.NOT_FOUND))
        try:
            join = _join.decode(message.payload)
        except msgspec.DecodeError:
            raise InvalidMessage("INVALID_MESSAGE", "payload: must be an object") from None
        return Subscribe(message.topic, join.token, session_id, join.options())

    # --- what is said to the client -------------------------------------------------------------

    def written(self, topic: Topic) -> Dialect:
        """See :meth:`SocketDialect.written`: of the channel that the newest message joins."""
        return self._serializer.channel(str(topic), self._newest.join_ref)

    def error(self, code: ErrorCode, text: str) -> bytes:
        """See :meth:`SocketDialect.error`. An event ``error`` where there is no ref to reply to."""
        reason = "invalid_location_data" if code == "INVALID_LOCATION" else code.lower()
        payload, message = _encode(Reason(reason, text)), self._newest
        self._newest = _NO_MESSAGE  # it is answered: the next error is about something else
        return self._reply_to(message, "error", payload) or self._push(
            message.join_ref, message.topic, "error", payload
        )

    def subscribed(self, topic: Topic) -> bytes:
        """See :meth:`SocketDialect.subscribed`."""
        self._channels[topic] = self._newest.join_ref
        session_id = str(_session_of(str(topic)))
        return self._reply("ok", _encode(Joined(session_id)))

    def refused(self, _topic: Topic, refusal: Refusal) -> bytes:
        """See :meth:`SocketDialect.refused`."""
        reason = JOIN_REFUSALS.get(refusal, UNAVAILABLE)
        return self._reply("error", _encode(Reason(reason, refusal.text)))

    def ended(self, topic: Topic, reason: CloseReason) -> bytes:
        """See :meth:`SocketDialect.ended`."""
        if topic not in self._channels:
            return b""
        join_ref, newest = self._channels.pop(topic), self._newest
        asked = reason is CloseReason.LEFT and (newest.event, newest.topic) == ("leave", topic)
        confirmation = self._reply("ok") if asked else b""
        event = "phx_error" if reason in _REJOIN else "phx_close"
        payload = _encode(Reason(reason.label))
        # As Phoenix writes it, the ref of the join is the ref, too.
        return confirmation + text_frame(
            self._serializer.encode(join_ref, join_ref, str(topic), event, payload)
        )

    # --- frames ---------------------------------------------------------------------------------

    def _reply(self, status: Status, response: bytes = NO_PAYLOAD) -> bytes:
        return self._reply_to(self._newest, status, response)

    def _reply_to(self, message: Message, status: Status, response: bytes = NO_PAYLOAD) -> bytes:
        """Empty when the message has no ref and so wants no reply."""
        if message.ref is None:
            return b""
        return text_frame(self._serializer.reply(message, status, response))

    def _push(self, join_ref: Ref, topic: str, event: str, payload: bytes = NO_PAYLOAD) -> bytes:
        return text_frame(self._serializer.encode(join_ref, None, topic, event, payload))


def _is_stale(found: Ref, current: Ref) -> bool:
    """Whether a join_ref is that of an earlier channel of its topic. Clients of vsn 1.0.0 may send
    none; one that joins with a number and pushes with its text means the same.
    """
    if found is None or current is None:
        return False
    return found != current and str(found) != str(current)


def _session_of(topic: str) -> UUID | None:
    """The session in ``location:{session_id}``. UUID reads many forms; only the usual is allowed,
    because a topic is repeated in each message.
    """
    text = topic.removeprefix(_TOPIC_PREFIX)
    try:
        session_id = UUID(text)
    except ValueError:
        return None
    return session_id if str(session_id) == text.lower() else None


_SERIALIZERS: Final = {
    serializer.vsn.rpartition(".")[0]: serializer for serializer in (OBJECTS, ARRAYS)
}


def make_phoenix_dialect(vsn: str | None) -> SocketDialect | None:
    """The dialect of a socket for the ``vsn`` of its query, by major and minor version as Phoenix
    reads it. Without one it is 1.0.0, as there. None for another version.
    """
    serializer = _SERIALIZERS.get((vsn or _DEFAULT_VSN).rpartition(".")[0])
    return None if serializer is None else PhoenixSocketDialect(serializer)
