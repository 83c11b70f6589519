"""The plain dialect: ``{"type": …, "data": {…}}``, one message per text frame. Pure.

The ``data`` of each message is a type of the model, which msgspec reads and writes in one pass with
its envelope. So the translation is free: no field is copied, and a wrong type, a missing field or a
latitude of 91 never reaches a session. An optional field out of range is unknown instead
(:mod:`locshare.wire.lenient`).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Union, get_args

import msgspec
from msgspec import Struct, convert, defstruct

from locshare.model.events import MissedEvent
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import Snapshot
from locshare.wire.dialects import InvalidMessage, Shorthand
from locshare.wire.lenient import decode_position, without_constants
from locshare.wire.messages import (
    CLIENT_TYPES,
    SETTING_BOUNDS,
    ClientMessage,
    Leave,
    Ping,
    Presence,
    ServerMessage,
    SetPace,
    message_type,
)

# --- envelopes ----------------------------------------------------------------------------------


class _Report(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    data: Position


class _Ping(Struct, frozen=True, gc=False, tag_field="type", tag="ping"):
    data: Ping = Ping()


class _Leave(Struct, frozen=True, gc=False, tag_field="type", tag="leave"):
    data: Leave = Leave()


class _SetPace(Struct, frozen=True, gc=False, tag_field="type", tag="set_pace"):
    data: SetPace


class _Presence(Struct, frozen=True, gc=False, tag_field="type", tag="presence"):
    data: Presence


class _Kind(Struct, frozen=True, gc=False):
    """Of a message whose data is not what its type has."""

    type: str


class _Moved(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    data: ParticipantPosition


_FromClient = _Report | _Ping | _Leave | _SetPace | _Presence
ENVELOPES_FROM_CLIENT: Final[tuple[type[Struct], ...]] = get_args(_FromClient)
"""For the contract: the tag of each is its message's type."""


@cache
def _envelope(kind: type) -> Any:
    """The envelope of ``kind``."""
    return defstruct(
        f"_{kind.__name__}",
        [("data", kind)],
        frozen=True,
        tag_field="type",
        tag=message_type(kind),
    )


_from_client: Final[msgspec.json.Decoder[_FromClient]] = msgspec.json.Decoder(_FromClient)
_kind: Final = msgspec.json.Decoder(_Kind)
_from_server: Final = msgspec.json.Decoder(Union[*map(_envelope, get_args(ServerMessage))])
_encoder: Final = msgspec.json.Encoder()


class PlainDialect:
    """Implements :class:`~locshare.wire.dialects.Dialect`."""

    name = "locshare.v1"
    binary = False
    encode_batch: Final = None

    def decode(self, data: bytes | str) -> ClientMessage:
        """The message in the payload of one frame. Raises InvalidMessage and nothing else, whatever
        the bytes: the message is answered by an ``error`` and the connection goes on.
        """
        try:
            return _from_client.decode(data).data
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
        try:
            try:
                return _decode_leniently(data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return _decode_leniently(without_constants(data))
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise InvalidMessage("INVALID_MESSAGE", "not valid JSON") from None

    def encode(self, message: ServerMessage) -> bytes:
        """See :meth:`Dialect.encode`. UTF-8 JSON without line breaks."""
        return _encoder.encode(_envelope(type(message))(message))

    def encode_position(self, user_id: str, position: Position, age_ms: int | None) -> bytes:
        """See :meth:`Dialect.encode_position`."""
        return _encoder.encode(
            _Moved(
                # What ParticipantPosition.of does, written out: one call less for each position.
                ParticipantPosition(
                    user_id,
                    position.lat,
                    position.lng,
                    position.accuracy,
                    position.timestamp,
                    position.altitude,
                    position.speed,
                    position.heading,
                    position.battery,
                    age_ms,
                )
            )
        )

    def in_session(self, _shorthand: Shorthand) -> "PlainDialect":
        """See :meth:`Dialect.in_session`."""
        return self


PLAIN: Final = PlainDialect()


# --- the client's side --------------------------------------------------------------------------


class _Envelope(Struct, frozen=True):
    type: str
    data: dict[str, Any]


_envelope_from_server: Final = msgspec.json.Decoder(_Envelope)


def encode_for_server(message: ClientMessage) -> bytes:
    """The payload of one text frame from a client."""
    match message:
        case Position():
            return _encoder.encode(_Report(message))
        case Ping():
            return _encoder.encode(_Ping(message))
        case Leave():
            return _encoder.encode(_Leave(message))
        case SetPace():
            return _encoder.encode(_SetPace(message))
        case Presence():
            return _encoder.encode(_Presence(message))


def decode_from_server(data: bytes | str) -> ServerMessage:
    """The message of a server. Raises msgspec.DecodeError or UnicodeError for what this version of
    the contract does not have.
    """
    try:
        message: ServerMessage = _from_server.decode(data).data
    except msgspec.ValidationError:
        found = _envelope_from_server.decode(data)
        if found.type != "session_state":
            raise
        return snapshot_from(found.data)
    return message


def snapshot_from(data: Mapping[str, Any]) -> Snapshot:
    """The snapshot in the ``data`` of a ``session_state``, without the missed events of a newer
    server that this version does not know. Raises msgspec.ValidationError.
    """
    if isinstance(missed := data.get("missed"), list):
        data = {**data, "missed": [each for each in missed if _is_known(each)]}
    return convert(data, Snapshot)


def _is_known(event: object) -> bool:
    try:
        convert(event, MissedEvent)
    except msgspec.ValidationError:
        return False
    return True


# --- messages that the strict decoder refuses ---------------------------------------------------


def _decode_leniently(data: bytes | str) -> ClientMessage:
    """Raises InvalidMessage, and what the library raises for text that is not JSON."""
    try:
        return _from_client.decode(data).data
    except msgspec.ValidationError as error:
        problem = str(error)
    if _path_of(problem).startswith("data"):
        if (bounds := SETTING_BOUNDS.get(_kind.decode(data).type)) is not None:
            raise InvalidMessage("INVALID_MESSAGE", bounds)
        try:
            return decode_position(data)
        except msgspec.ValidationError as error:
            if _path_of(str(error)) != "type":
                problem = str(error)
    raise _explain(problem)


def _path_of(text: str) -> str:
    """The path in msgspec's ``Expected … - at `$.path` ``; empty when there is none."""
    return text.partition(" - at `$")[2].rstrip("`").lstrip(".")


def _explain(text: str) -> InvalidMessage:
    """Turn msgspec's error into a code and a sentence without the value."""
    problem, path = text.partition(" - at `$")[0], _path_of(text)
    if path == "type" and problem.startswith("Invalid value"):
        return InvalidMessage(
            "UNKNOWN_TYPE", f"type: not known here; allowed are {', '.join(CLIENT_TYPES)}"
        )
    if path.startswith("data."):
        return InvalidMessage("INVALID_LOCATION", f"{path.removeprefix('data.')}: {problem}")
    if path == "data" and "missing required field" in problem:
        return InvalidMessage("INVALID_LOCATION", problem)
    return InvalidMessage("INVALID_MESSAGE", f"{path}: {problem}" if path else problem)
