"""The client's side of the compact dialect (:mod:`locshare.wire.compact`). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, final, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from locshare.model.events import ParticipantJoined
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import Snapshot
from locshare.wire.compact import STATES, TYPES, UNITS, position_row
from locshare.wire.messages import (
    ClientMessage,
    Leave,
    Ping,
    Presence,
    ServerMessage,
    SetPace,
    message_type,
)
from locshare.wire.plain import snapshot_from

_UNIX: Final = datetime.fromtimestamp(0, UTC)
_MOVED: Final = TYPES["location_update"]
_encode: Final = msgspec.msgpack.Encoder().encode


def encode_for_server(message: ClientMessage) -> bytes:
    """The payload of one binary frame from a client. An accuracy is rounded up to whole metres, a
    time down to whole milliseconds.
    """
    match message:
        case Position(age_ms=age):
            # A client's position is a row with the type in the place of its own number.
            rounded = None if age is None else round(age)
            return _encode(position_row(_MOVED, message, _UNIX, rounded))
        case Ping():
            return _encode((TYPES["ping"],))
        case Leave():
            return _encode((TYPES["leave"],))
        case SetPace(interval_s):
            return _encode((TYPES["set_pace"], interval_s))
        case Presence(state):
            return _encode((TYPES["presence"], STATES.index(state)))


class _Frame(Struct, array_like=True):
    type: int
    data: Raw = Raw(b"\x80")  # an empty map


class _Row(Struct, array_like=True, gc=False):
    number: int
    lat: int
    lng: int
    timestamp: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    accuracy: float | None = None
    age_ms: int | None = None
    speed: float | None = None
    heading: float | None = None
    altitude: float | None = None
    battery: float | None = None


class _Number(Struct):
    user_id: str
    number: int


class _Start(Struct):
    time_base: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    participants: tuple[_Number, ...]
    positions: tuple[_Row, ...]


_frame: Final = msgspec.msgpack.Decoder(_Frame)
_rows: Final = msgspec.msgpack.Decoder(list[_Row])
_start: Final = msgspec.msgpack.Decoder(_Start)
_number: Final = msgspec.msgpack.Decoder(_Number)
_named: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    TYPES[message_type(kind)]: msgspec.msgpack.Decoder(kind)
    for kind in get_args(ServerMessage)
    if kind not in (Snapshot, ParticipantPosition)
}
_NAMES: Final = {number: name for name, number in TYPES.items()}


def _plain_event(event: object) -> object:
    """A missed event as the plain dialect writes it; itself if it is none of this version."""
    match event:
        case [int(kind), data, *_] if kind in _NAMES:
            return {"type": _NAMES[kind], "data": data}
        case _:
            return event


@final
class CompactReader:
    """Reads the frames of one connection, from the first on: the snapshot and later events say what
    the numbers of positions mean.
    """

    __slots__ = ("_base", "_user_id", "_users")

    def __init__(self) -> None:
        self._base = _UNIX
        self._user_id = ""
        self._users: dict[int, str] = {}

    def decode(self, data: bytes) -> Sequence[ServerMessage]:
        """The messages in one frame: every position of a flush but the reader's own, or one other.
        Raises msgspec.DecodeError or UnicodeError for what this version of the contract does not
        have.
        """
        frame = _frame.decode(data)
        try:
            if frame.type == _MOVED:
                return self._positions(_rows.decode(frame.data))
            if frame.type == TYPES["session_state"]:
                return (self._snapshot(frame.data),)
            decoder = _named[frame.type]
        except (KeyError, TypeError, OverflowError) as error:
            raise msgspec.ValidationError("not a message of this version") from error
        message: ServerMessage = decoder.decode(frame.data)
        if isinstance(message, ParticipantJoined):
            announced = _number.decode(frame.data)
            self._users[announced.number] = announced.user_id
        return (message,)

    def _positions(self, rows: Sequence[_Row]) -> list[ParticipantPosition]:
        users, base, own = self._users, self._base, self._user_id
        angle, speed, heading, altitude = UNITS
        found = []
        for row in rows:
            user_id = users.get(row.number)
            # Of a participant who was not announced nothing is known to show.
            if user_id is None or user_id == own:
                continue
            found.append(
                ParticipantPosition(
                    user_id,
                    row.lat / angle,
                    row.lng / angle,
                    row.accuracy,
                    base + timedelta(milliseconds=row.timestamp),
                    None if row.altitude is None else row.altitude / altitude,
                    None if row.speed is None else row.speed / speed,
                    None if row.heading is None else row.heading / heading,
                    row.battery,
                    row.age_ms,
                )
            )
        return found

    def _snapshot(self, data: Raw) -> Snapshot:
        start = _start.decode(data)
        named = msgspec.msgpack.decode(data)
        missed = named.get("missed")
        if isinstance(missed, list):
            named["missed"] = [_plain_event(each) for each in missed]
        snapshot = snapshot_from(named | {"positions": ()})
        self._base = _UNIX + timedelta(milliseconds=start.time_base)
        self._user_id = ""
        self._users = {each.number: each.user_id for each in start.participants}
        # All positions, the reader's own too, as in the plain dialect.
        positions = tuple(self._positions(start.positions))
        self._user_id = snapshot.you.user_id
        return msgspec.structs.replace(snapshot, positions=positions)
