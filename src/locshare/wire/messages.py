"""The messages of the WebSocket contract (docs/reference/protocol.md), whatever the dialect.

Most of them are the model's own types. Defined here is what exists on a connection only: keep-alive
and refusals.
"""

from functools import cache
from typing import Final, Literal

from msgspec import Struct

from locshare.model.events import Event, event_type
from locshare.model.pace import Interval, Pace
from locshare.model.participant import PresenceState
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import Snapshot


class Ping(Struct, frozen=True, gc=False):
    """A client asks for a :class:`Pong`."""


class Leave(Struct, frozen=True, gc=False):
    """A participant leaves the session for good."""


class SetPace(Struct, frozen=True, gc=False):
    """A receiver chooses how often positions come."""

    interval_s: Interval


class Presence(Struct, frozen=True, gc=False):
    """A client shows what it is doing."""

    state: PresenceState


class Pong(Struct, frozen=True, gc=False):
    """The answer to a :class:`Ping`."""


ErrorCode = Literal[
    "INVALID_MESSAGE",
    "INVALID_LOCATION",
    "UNKNOWN_TYPE",
    "RATE_LIMITED",
    "MESSAGE_TOO_LARGE",
    "BINARY_NOT_SUPPORTED",
    "NOT_A_PARTICIPANT",
]


class Error(Struct, frozen=True):
    """A client message was refused. The connection goes on."""

    code: ErrorCode
    message: str


ClientMessage = Position | Ping | Leave
MessageToServer = ClientMessage | SetPace | Presence
ServerMessage = Snapshot | ParticipantPosition | Event | Pong | Error | Pace

_OTHER_NAMES: Final[dict[type, str]] = {
    Snapshot: "session_state",
    ParticipantPosition: "location_update",
}


@cache
def message_type(kind: type) -> str:
    """The contract's name of a server message: the name of its class in snake case, but for two."""
    return _OTHER_NAMES.get(kind) or event_type(kind)
