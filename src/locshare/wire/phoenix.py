"""The dialect of Phoenix Channels: join_ref, ref, topic, event and payload in a text frame. Pure.

A serializer is one way to write these five fields: JSON objects (vsn 1.0.0) or JSON arrays
(vsn 2.0.0), as in Phoenix's ``Phoenix.Socket.V1`` and ``V2.JSONSerializer``. The events and their
payloads are the ``type`` and ``data`` of the plain dialect.

Every message of a channel carries the ``join_ref`` of its join, so a client that has joined again
drops what its earlier channel still sends. Therefore receivers share encoded frames only where
their join_refs are equal.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, final

import msgspec
from msgspec import Meta, Raw, Struct

from locshare.model.position import ParticipantPosition, Position
from locshare.wire.dialects import InvalidMessage, Shorthand
from locshare.wire.lenient import without_constants
from locshare.wire.messages import (
    SETTING_BOUNDS,
    Presence,
    ServerMessage,
    SetPace,
    Setting,
    message_type,
)
from locshare.wire.plain import PLAIN

Ref = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=-(2**53), le=2**53)] | None
"""A number that a client gives to a message. Clients write it as a string or as an integer; it is
echoed as it came. Bounded, because each message of a channel repeats its join_ref."""

Status = Literal["ok", "error"]

REPLY: Final = "phx_reply"
NO_PAYLOAD: Final = b"{}"

_encode: Final = msgspec.json.Encoder().encode
_position: Final = msgspec.json.Decoder(Position)
_settings: Final[Mapping[str, msgspec.json.Decoder[Setting]]] = {
    "set_pace": msgspec.json.Decoder(SetPace),
    "presence": msgspec.json.Decoder(Presence),
}


class Message(NamedTuple):
    """One message, in the order of vsn 2.0.0. ``payload`` is JSON."""

    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: Raw


class _Object(Struct, frozen=True, gc=False, kw_only=True):
    """One message of vsn 1.0.0, whose clients may leave the refs out."""

    join_ref: Ref = None
    ref: Ref = None
    topic: str
    event: str
    payload: Raw = Raw(NO_PAYLOAD)


_arrays: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)
_objects: Final = msgspec.json.Decoder(_Object)


def _read_object(data: bytes | str) -> Message:
    found = _objects.decode(data)
    return Message(found.join_ref, found.ref, found.topic, found.event, found.payload)


def _write_object(message: Message) -> bytes:
    return _encode(_Object(**message._asdict()))


@final
class Serializer(NamedTuple):
    """One way to write the five fields."""

    vsn: str
    read: Callable[[bytes | str], Message]
    write: Callable[[Message], bytes]

    def decode(self, data: bytes | str) -> Message:
        """The message in the payload of one frame. Raises InvalidMessage and nothing else."""
        try:
            return self.read(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
        try:
            return self.read(without_constants(data))
        except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
            raise InvalidMessage(
                "INVALID_MESSAGE", f"not a message of Phoenix Channels, vsn {self.vsn}"
            ) from None

    def encode(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
        """The payload of one frame. ``payload`` is JSON."""
        return self.write(Message(join_ref, ref, topic, event, Raw(payload)))

    def reply(self, message: Message, status: Status, response: bytes = NO_PAYLOAD) -> bytes:
        """The payload of the frame that answers ``message``. ``response`` is JSON."""
        payload = b'{"status":"%b","response":%b}' % (status.encode(), response)
        join_ref, ref, topic, _, _ = message
        return self.encode(join_ref, ref, topic, REPLY, payload)

    def channel(self, topic: str, join_ref: Ref) -> "PhoenixDialect":
        """How the messages of one channel are written."""
        template = self.encode(join_ref, None, topic, "", b"0")
        before_event, _, rest = template.rpartition(b'""')
        before_payload, _, end = rest.partition(b"0")
        return PhoenixDialect(before_event, before_payload, end)


OBJECTS: Final = Serializer("1.0.0", _read_object, _write_object)
ARRAYS: Final = Serializer("2.0.0", _arrays.decode, _encode)


@final
class PhoenixDialect:
    """Implements :class:`~locshare.wire.dialects.Dialect` for one channel. Equal for an equal
    serializer, topic and join_ref: these subscribers share each encoded frame.
    """

    name = "phoenix"
    binary = False
    encode_batch: Final = None

    __slots__ = ("_before_event", "_before_payload", "_before_position", "_end")

    def __init__(self, before_event: bytes, before_payload: bytes, end: bytes) -> None:
        self._before_event = before_event  # serializer, topic and join_ref: the identity
        self._before_payload = before_payload
        self._end = end
        moved = _encode(message_type(ParticipantPosition))
        self._before_position = before_event + moved + before_payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhoenixDialect) and self._before_event == other._before_event

    def __hash__(self) -> int:
        return hash(self._before_event)

    def encode(self, message: ServerMessage) -> bytes:
        """See :meth:`Dialect.encode`."""
        event = _encode(message_type(type(message)))
        return b"".join(
            (self._before_event, event, self._before_payload, _encode(message), self._end)
        )

    def encode_position(self, user_id: str, position: Position, age_ms: int | None) -> bytes:
        """See :meth:`Dialect.encode_position`."""
        moved = ParticipantPosition.of(user_id, position, age_ms)
        return b"".join((self._before_position, _encode(moved), self._end))

    def in_session(self, _shorthand: Shorthand) -> "PhoenixDialect":
        """See :meth:`Dialect.in_session`."""
        return self


def decode_position(payload: Raw) -> Position:
    """The position in the payload of a ``location_update``. What the strict decoder refuses gets
    the leniency, and the explanation, of the plain dialect. Raises InvalidMessage and nothing else.
    """
    try:
        return _position.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        found: Any = PLAIN.decode(b'{"type":"location_update","data":%b}' % bytes(payload))
    except InvalidMessage as error:
        raise InvalidMessage("INVALID_LOCATION", error.text) from None
    return found  # type: ignore[no-any-return]  # of this type there is no other message


def decode_setting(event: str, payload: Raw) -> Setting:
    """The choice in the payload of ``event``, one of :data:`SETTING_BOUNDS`. Raises InvalidMessage
    and nothing else.
    """
    try:
        return _settings[event].decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidMessage("INVALID_MESSAGE", SETTING_BOUNDS[event]) from None
