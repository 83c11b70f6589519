"""Messages of the plain WebSocket dialect (docs/reference/protocol.md): text and structs."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

LeaveReason = Literal["left", "removed"]
EndReason = Literal["expired", "ended_by_host"]

MESSAGE_CHARS_MAX = 4096


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

    def of(self, user_id: str) -> dict[str, Any]:
        """As others get it."""
        return {"user_id": user_id, **msgspec.to_builtins(self)}


class Nothing(Struct, frozen=True):
    pass


class LocationUpdate(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    data: Position


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    data: Nothing = Nothing()


class Leave(Struct, frozen=True, tag_field="type", tag="leave"):
    """Leave for good."""

    data: Nothing = Nothing()


ClientMessage = LocationUpdate | Ping | Leave


class BadMessage(Exception):
    """A client's message that breaks the contract; ``code`` is the stable one."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_encoder = msgspec.json.Encoder()


def decode(text: str) -> ClientMessage:
    """One message. Raises BadMessage."""
    if len(text) > MESSAGE_CHARS_MAX:
        raise BadMessage("MESSAGE_TOO_LARGE", f"at most {MESSAGE_CHARS_MAX} characters are allowed")
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


def event(kind: str, **data: object) -> str:
    return encode(kind, data)


PONG = event("pong")
