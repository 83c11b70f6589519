"""The compact dialect: arrays of integers in MessagePack, one binary frame per flush. Pure.

Every message is an array that begins with the number of its type (:data:`TYPES`). A position is an
array of integers; its participant is the number that the snapshot and ``participant_joined``
announce (:class:`~locshare.wire.dialects.Shorthand`). Optional fields are at the end, the rare ones
last, and unknown ones at the end are left out. The other messages are rare, so their data is that
of the plain dialect, by name.

A flush is the same bytes for every receiver: to leave a receiver's own position out would cost one
frame for each receiver, and costs the client 20 bytes to read.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, final, get_args

import msgspec
from msgspec import Meta, Struct, convert, to_builtins

from locshare.model.events import ParticipantJoined
from locshare.model.pace import MAX_INTERVAL_S, Interval
from locshare.model.participant import PresenceState
from locshare.model.position import Age, HeldPosition, ParticipantPosition, Position
from locshare.model.session import Snapshot
from locshare.wire.dialects import NO_SHORTHAND, InvalidMessage, Shorthand
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

TYPES: Final[Mapping[str, int]] = {
    "session_state": 0,
    "location_update": 1,
    "ping": 2,
    "leave": 3,
    "pong": 4,
    "error": 5,
    "participant_joined": 6,
    "participant_updated": 7,
    "participant_left": 8,
    "session_updated": 9,
    "session_ended": 10,
    "set_pace": 11,
    "pace": 12,
    "presence": 13,
}
"""The numbers of the contract's types, in both directions. Never used for another type."""

STATES: Final[tuple[PresenceState, ...]] = get_args(PresenceState)
"""A client writes a state as its index here."""

# Units in a degree, a metre per second, a degree of heading, a metre of altitude.
_ANGLE: Final = 10_000_000
_SPEED: Final = 100
_HEADING: Final = 10
_ALTITUDE: Final = 10
UNITS: Final = _ANGLE, _SPEED, _HEADING, _ALTITUDE
_MILLISECOND: Final = timedelta(milliseconds=1)
_UNIX: Final = datetime.fromtimestamp(0, UTC)
_MOVED: Final = TYPES["location_update"]
_JOINED: Final = "participant_joined"

ROW: Final = (
    ("number", 1),
    ("lat", _ANGLE),
    ("lng", _ANGLE),
    ("timestamp", 1),
    ("accuracy", 1),
    ("age_ms", 1),
    ("speed", _SPEED),
    ("heading", _HEADING),
    ("altitude", _ALTITUDE),
    ("battery", 1),
)
"""The elements of a row in order, each with how many of its units make one of the plain dialect's.
A client's row has the same, with the number of its type in the place of ``number``."""
ROW_ALWAYS: Final = 5
"""How many of them are in every row that is sent."""

_encode: Final = msgspec.msgpack.Encoder().encode
_Row = tuple[int | None, ...]


# --- what the server sends ----------------------------------------------------------------------


def position_row(
    number: int, position: Position | ParticipantPosition, base: datetime, age_ms: int | None
) -> _Row:
    """One position. An accuracy is rounded up, so that no circle of confidence shrinks."""
    accuracy = position.accuracy
    row: _Row = (
        number,
        round(position.lat * _ANGLE),
        round(position.lng * _ANGLE),
        (position.timestamp - base) // _MILLISECOND,
        None if accuracy is None else math.ceil(accuracy),
    )
    speed, heading, altitude, battery = (
        position.speed, position.heading, position.altitude, position.battery,
    )  # fmt: skip
    if speed is None and heading is None and altitude is None and battery is None:
        return row if age_ms is None else (*row, age_ms)
    row = (
        *row,
        age_ms,
        None if speed is None else round(speed * _SPEED),
        None if heading is None else round(heading * _HEADING) % (360 * _HEADING),
        None if altitude is None else round(altitude * _ALTITUDE),
        None if battery is None else round(battery),
    )
    end = len(row)
    while row[end - 1] is None:
        end -= 1
    return row[:end]


@final
class CompactDialect:
    """Implements :class:`~locshare.wire.dialects.Dialect`."""

    name = "locshare.v1.compact"
    binary = True

    __slots__ = ("_base", "_numbers")

    def __init__(self, shorthand: Shorthand = NO_SHORTHAND) -> None:
        self._base = shorthand.time_base
        self._numbers = shorthand.numbers

    def in_session(self, shorthand: Shorthand) -> "CompactDialect":
        """See :meth:`Dialect.in_session`."""
        return CompactDialect(shorthand)

    def encode(self, message: ServerMessage) -> bytes:
        """See :meth:`Dialect.encode`."""
        if isinstance(message, ParticipantPosition):
            number = self._numbers[message.user_id]
            return _encode((_MOVED, (position_row(number, message, self._base, message.age_ms),)))
        data: dict[str, Any] = to_builtins(message)
        if isinstance(message, Snapshot):
            data["time_base"] = (self._base - _UNIX) // _MILLISECOND
            for participant in data["participants"]:
                participant["number"] = self._numbers[participant["user_id"]]
            data["positions"] = [
                position_row(self._numbers[each.user_id], each, self._base, each.age_ms)
                for each in message.positions
            ]
            if message.missed is not None:
                data["missed"] = [self._missed(each) for each in data["missed"]]
        elif isinstance(message, ParticipantJoined):
            data["number"] = self._numbers[message.user_id]
        return _encode((TYPES[message_type(type(message))], data))

    def _missed(self, event: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """An event in the snapshot, as it would have been sent."""
        kind, data = event["type"], event["data"]
        if kind == _JOINED:
            data["number"] = self._numbers[data["user_id"]]
        return TYPES[kind], data

    def encode_position(self, user_id: str, position: Position, age_ms: int | None) -> bytes:
        """See :meth:`Dialect.encode_position`."""
        return _encode(
            (_MOVED, (position_row(self._numbers[user_id], position, self._base, age_ms),))
        )

    def encode_batch(self, moved: Mapping[str, HeldPosition], clock: float) -> bytes:
        """See :meth:`Dialect.encode_batch`."""
        numbers, base = self._numbers, self._base
        return _encode(
            (
                _MOVED,
                [
                    position_row(numbers[user_id], held.position, base, held.age_ms(clock))
                    for user_id, held in moved.items()
                ],
            )
        )

    def decode(self, data: bytes | str) -> ClientMessage:
        """The message in the payload of one frame. Raises InvalidMessage and nothing else."""
        if isinstance(data, str):
            raise InvalidMessage("INVALID_MESSAGE", "only binary frames are read in this dialect")
        try:
            return _read(_from_client.decode(data))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
        return _decode_leniently(data)


COMPACT: Final = CompactDialect()
"""Of all sockets: what is sent in a session is written by ``COMPACT.in_session(…)``."""


# --- what a client sends ------------------------------------------------------------------------


class _Report(Struct, frozen=True, gc=False, array_like=True, tag=_MOVED):
    """A row with the time since 1970, because a client need not wait for the snapshot's base."""

    lat: Annotated[int, Meta(ge=-90 * _ANGLE, le=90 * _ANGLE)]
    lng: Annotated[int, Meta(ge=-180 * _ANGLE, le=180 * _ANGLE)]
    timestamp: Annotated[int, Meta(ge=0, le=253_402_300_799_999)]  # the last of the year 9999
    accuracy: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    age_ms: Age | None = None
    speed: Annotated[float, Meta(ge=0, le=1_000 * _SPEED)] | None = None
    heading: Annotated[float, Meta(ge=0, lt=360 * _HEADING)] | None = None
    altitude: Annotated[float, Meta(ge=-12_000 * _ALTITUDE, le=100_000 * _ALTITUDE)] | None = None
    battery: Annotated[float, Meta(ge=0, le=100)] | None = None


class _Ping(Struct, frozen=True, gc=False, array_like=True, tag=TYPES["ping"]):
    pass


class _Leave(Struct, frozen=True, gc=False, array_like=True, tag=TYPES["leave"]):
    pass


class _SetPace(Struct, frozen=True, gc=False, array_like=True, tag=TYPES["set_pace"]):
    interval_s: Interval


class _Presence(Struct, frozen=True, gc=False, array_like=True, tag=TYPES["presence"]):
    state: Annotated[int, Meta(ge=0, lt=len(STATES))]
    """Its index in :data:`STATES`."""


_FromClient = _Report | _Ping | _Leave | _SetPace | _Presence
ARRAYS_FROM_CLIENT: Final[tuple[type[Struct], ...]] = get_args(_FromClient)
"""For the contract: the tag of each is its message's number."""
_from_client: Final[msgspec.msgpack.Decoder[_FromClient]] = msgspec.msgpack.Decoder(_FromClient)
_anything: Final = msgspec.msgpack.Decoder()
_FROM_CLIENT: Final = {TYPES[name]: name for name in CLIENT_TYPES}
_REQUIRED: Final = ("lat", "lng", "timestamp")
_OPTIONAL: Final = _Report.__struct_fields__[len(_REQUIRED) :]


def _read(message: _FromClient) -> ClientMessage:
    if isinstance(message, _Report):
        return Position(
            message.lat / _ANGLE,
            message.lng / _ANGLE,
            message.accuracy,
            _UNIX + message.timestamp * _MILLISECOND,
            None if message.altitude is None else message.altitude / _ALTITUDE,
            None if message.speed is None else message.speed / _SPEED,
            None if message.heading is None else message.heading / _HEADING,
            message.battery,
            message.age_ms,
        )
    if isinstance(message, _SetPace):
        if 0 <= message.interval_s <= MAX_INTERVAL_S:  # here: a NaN passes the bounds of a type
            return SetPace(message.interval_s)
        raise InvalidMessage("INVALID_MESSAGE", SETTING_BOUNDS["set_pace"])
    if isinstance(message, _Presence):
        return Presence(STATES[message.state])
    return Ping() if isinstance(message, _Ping) else Leave()


def _decode_leniently(data: bytes) -> ClientMessage:
    """As the strict decoder, but that an optional field that is no number in its bounds is unknown,
    and a full circle is north. Raises InvalidMessage and nothing else.
    """
    try:
        found = _anything.decode(data)
    except (msgspec.DecodeError, ValueError, OverflowError, TypeError, RecursionError):
        raise InvalidMessage("INVALID_MESSAGE", "not valid MessagePack") from None
    if not isinstance(found, list) or not found:
        raise InvalidMessage("INVALID_MESSAGE", "must be an array that begins with its type")
    kind, *fields = found
    if type(kind) is not int or kind not in _FROM_CLIENT:
        raise InvalidMessage(
            "UNKNOWN_TYPE",
            "type: not known here; allowed are "
            + ", ".join(f"{number} ({name})" for number, name in _FROM_CLIENT.items()),
        )
    if _FROM_CLIENT[kind] in SETTING_BOUNDS:
        raise InvalidMessage("INVALID_MESSAGE", SETTING_BOUNDS[_FROM_CLIENT[kind]])
    if kind != _MOVED:
        return Ping() if kind == TYPES["ping"] else Leave()
    required, optional = fields[: len(_REQUIRED)], fields[len(_REQUIRED) :]
    for name, value in zip(_REQUIRED, (*required, None, None, None), strict=False):
        _check(name, value)
    known = [_known(name, value) for name, value in zip(_OPTIONAL, optional, strict=False)]
    return _read(_Report(*required, *known))


def _check(name: str, value: object) -> None:
    try:
        convert(value, _TYPES_OF_FIELDS[name])
    except msgspec.ValidationError as error:
        raise InvalidMessage("INVALID_LOCATION", f"{name}: {error}") from None


def _known(name: str, value: object) -> float | None:
    if name == "heading" and value == 360 * _HEADING:
        return 0.0
    try:
        number: float | None = convert(value, _TYPES_OF_FIELDS[name])
    except msgspec.ValidationError:
        return None
    return number


_TYPES_OF_FIELDS: Final[Mapping[str, Any]] = {
    field.name: field.type for field in msgspec.structs.fields(_Report)
}
