"""Messages of the plain WebSocket dialect (docs/reference/protocol.md): text and structs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

LeaveReason = Literal["left", "removed"]
EndReason = Literal["expired", "ended_by_host"]

MAX_MESSAGE_CHARS = 4096


class Position(Struct, frozen=True, gc=False):
    """The data of a ``location_update``."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]
    accuracy: Annotated[float, Meta(ge=0, le=100_000)]
    timestamp: Annotated[datetime, Meta(tz=True)]
    altitude: Annotated[float, Meta(ge=-12_000, le=100_000)] | UnsetType | None = UNSET
    speed: Annotated[float, Meta(ge=0, le=1_000)] | UnsetType | None = UNSET
    heading: Annotated[float, Meta(ge=0, le=360)] | UnsetType | None = UNSET
    battery: Annotated[float, Meta(ge=0, le=100)] | UnsetType | None = UNSET


class Nothing(Struct, frozen=True):
    """Empty data."""


class LocationUpdate(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    """Somebody moved."""

    data: Position


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    """Answered by a pong."""

    data: Nothing = Nothing()


class Leave(Struct, frozen=True, tag_field="type", tag="leave"):
    """Leave for good."""

    data: Nothing = Nothing()


class ParticipantPosition(Struct, frozen=True, gc=False):
    """A position and whose it is."""

    user_id: str
    lat: float
    lng: float
    accuracy: float
    timestamp: datetime
    altitude: float | UnsetType | None = UNSET
    speed: float | UnsetType | None = UNSET
    heading: float | UnsetType | None = UNSET
    battery: float | UnsetType | None = UNSET

    @classmethod
    def of(cls, user_id: str, position: Position) -> "ParticipantPosition":
        """The position of ``user_id``."""
        return cls(
            user_id,
            position.lat,
            position.lng,
            position.accuracy,
            position.timestamp,
            position.altitude,
            position.speed,
            position.heading,
            position.battery,
        )


class ParticipantView(Struct, frozen=True):
    """A participant, for others."""

    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime
    last_seen: datetime
    is_active: bool
    online: bool


class SessionView(Struct, frozen=True):
    """A session, for those in it."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime


class You(Struct, frozen=True):
    """Who the receiver of a snapshot is."""

    user_id: str
    role: str


class Snapshot(Struct, frozen=True):
    """The data of ``session_state``."""

    session: SessionView
    you: You
    participants: Sequence[ParticipantView]
    positions: Sequence[ParticipantPosition]
    server_time: datetime
    epoch: str
    seq: int


class BadMessage(Exception):
    """A client's message that is against the contract; ``code`` is the stable one."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


ClientMessage = LocationUpdate | Ping | Leave

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_encoder = msgspec.json.Encoder()


def decode(text: str) -> ClientMessage:
    """One message. Raises BadMessage."""
    if len(text) > MAX_MESSAGE_CHARS:
        raise BadMessage("MESSAGE_TOO_LARGE", f"at most {MAX_MESSAGE_CHARS} characters are allowed")
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, RecursionError):
        raise BadMessage("INVALID_MESSAGE", "not valid JSON") from None


def _explain(text: str) -> BadMessage:
    """From the library's words, which name a field and never quote its value."""
    problem, _, path = text.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if path == "type" and problem.startswith("Invalid value"):
        return BadMessage("UNKNOWN_TYPE", "type: not known; location_update, ping and leave are")
    if path.startswith("data."):
        return BadMessage("INVALID_LOCATION", f"{path.removeprefix('data.')}: {problem}")
    if path == "data" and "missing required field" in problem:
        return BadMessage("INVALID_LOCATION", problem)
    return BadMessage("INVALID_MESSAGE", f"{path}: {problem}" if path else problem)


def encode(kind: str, data: object) -> str:
    """One message, as the text of a frame."""
    return _encoder.encode({"type": kind, "data": data}).decode()


def moved(position: ParticipantPosition) -> str:
    """``location_update``, for others."""
    return encode("location_update", position)


def joined(user_id: str, display_name: str, avatar_color: str) -> str:
    """``participant_joined``"""
    data = {"user_id": user_id, "display_name": display_name, "avatar_color": avatar_color}
    return encode("participant_joined", data)


def updated(user_id: str, *, online: bool, last_seen: datetime) -> str:
    """``participant_updated``"""
    data = {"user_id": user_id, "online": online, "last_seen": last_seen}
    return encode("participant_updated", data)


def left(user_id: str, reason: LeaveReason) -> str:
    """``participant_left``"""
    return encode("participant_left", {"user_id": user_id, "reason": reason})


def ended(reason: EndReason) -> str:
    """``session_ended``"""
    return encode("session_ended", {"reason": reason})


def failed(code: str, text: str) -> str:
    """``error``"""
    return encode("error", {"code": code, "message": text})


PONG = encode("pong", {})
