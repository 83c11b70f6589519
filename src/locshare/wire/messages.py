"""The messages of the WebSocket contract (docs/reference/protocol.md), whatever the dialect.

Most of them are the model's own types. Defined here is what exists on a connection only: keep-alive
and refusals.
"""

from collections.abc import Mapping
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
    """A receiver chooses how often positions come, until its connection ends. Of each participant
    the newest position comes, all of them in one write.
    """

    interval_s: Interval


class Presence(Struct, frozen=True, gc=False):
    """A client shows the others what its person does with it, until its connection ends."""

    state: PresenceState


SETTING_BOUNDS: Final[Mapping[str, str]] = {
    "set_pace": "interval_s: must be a number from 0 to 60",
    "presence": "state: must be active, paused or hidden",
}
"""What is answered to a :data:`Setting` that is none."""


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


Setting = SetPace | Presence
"""What a client chooses for its connection."""
ClientMessage = Position | Ping | Leave | Setting
ServerMessage = Snapshot | ParticipantPosition | Event | Pong | Error | Pace

CLIENT_TYPES: Final = ("location_update", "ping", "leave", *SETTING_BOUNDS)
"""The contract's names of the client messages."""

_OTHER_NAMES: Final[dict[type, str]] = {
    Snapshot: "session_state",
    ParticipantPosition: "location_update",
}


@cache
def message_type(kind: type) -> str:
    """The contract's name of a server message: the name of its class in snake case, but for two."""
    return _OTHER_NAMES.get(kind) or event_type(kind)
