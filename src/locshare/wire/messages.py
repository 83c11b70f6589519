"""Every message of the WebSocket contract, as frozen structs. Pure: no I/O, no clock.

Client messages are decoded straight into these structs, so a wrong type, a missing field or a
latitude of 91 is refused by the decoder and never reaches a session. (What is optional is not
refused but unknown: :mod:`locshare.wire.lenient`.) Server messages are encoded from them. One
struct is one message of docs/reference/protocol.md.

Units: degrees (WGS 84), metres, metres per second, degrees clockwise from true north, percent.
Times are aware datetimes, RFC 3339 on the wire.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Accuracy = Annotated[float, Meta(ge=0, le=100_000)]
"""Radius of 68 % confidence in metres, as the Geolocation API gives it."""
Altitude = Annotated[float, Meta(ge=-12_000, le=100_000)]
Speed = Annotated[float, Meta(ge=0, le=1_000)]
Heading = Annotated[float, Meta(ge=0, lt=360)]
"""360 is 0 on the wire, which :mod:`locshare.wire.lenient` sees to."""
Battery = Annotated[float, Meta(ge=0, le=100)]
Age = Annotated[float, Meta(ge=0, le=86_400_000)]
"""Of a fix when it is sent, in milliseconds: no session lasts longer than these 24 hours."""
Timestamp = Annotated[datetime, Meta(tz=True)]

EndReason = Literal["expired", "ended_by_host", "inactive", "internal_error"]
LeaveReason = Literal["left", "removed"]
Role = Literal["participant", "host"]


# --- client to server -------------------------------------------------------------------------


class Position(Struct, frozen=True, gc=False):
    """What one update reports. Optional fields are absent on the wire when they are unset.

    ``accuracy`` is None when it is unknown, never 0. ``timestamp`` is the time of the fix by the
    sender's clock, ``age_ms`` its age when it was sent, by a clock that nobody sets.
    """

    lat: Latitude
    lng: Longitude
    accuracy: Accuracy | None
    timestamp: Timestamp
    altitude: Altitude | UnsetType | None = UNSET
    speed: Speed | UnsetType | None = UNSET
    heading: Heading | UnsetType | None = UNSET
    battery: Battery | UnsetType | None = UNSET
    age_ms: Age | UnsetType | None = UNSET


class NoData(Struct, frozen=True, gc=False):
    """The empty ``data`` of a message that carries nothing. Unknown fields are ignored."""


class LocationUpdate(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    data: Position


class Ping(Struct, frozen=True, gc=False, tag_field="type", tag="ping"):
    data: NoData = NoData()


class Leave(Struct, frozen=True, gc=False, tag_field="type", tag="leave"):
    data: NoData = NoData()


ClientMessage = LocationUpdate | Ping | Leave


# --- server to client -------------------------------------------------------------------------


class SessionView(Struct, frozen=True):
    id: str
    name: str
    created_at: datetime
    expires_at: datetime
    locked: bool = False


class ParticipantView(Struct, frozen=True):
    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime
    last_seen: datetime
    is_active: bool
    online: bool


class You(Struct, frozen=True):
    user_id: str
    role: Role


class ParticipantPosition(Struct, frozen=True, gc=False):
    """A position and whose it is: ``data`` of ``location_update``, and an entry of a snapshot.

    ``age_ms`` is the age of the fix when the server sent this; unset when it is less than a second.
    """

    user_id: str
    lat: float
    lng: float
    accuracy: float | None
    timestamp: datetime
    altitude: float | UnsetType | None = UNSET
    speed: float | UnsetType | None = UNSET
    heading: float | UnsetType | None = UNSET
    battery: float | UnsetType | None = UNSET
    age_ms: int | UnsetType = UNSET

    @classmethod
    def of(
        cls, user_id: str, position: Position, age_ms: int | UnsetType = UNSET
    ) -> "ParticipantPosition":
        """The position of ``user_id``, whose fix is ``age_ms`` old."""
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
            age_ms,
        )


class SessionState(Struct, frozen=True, tag_field="type", tag="session_state"):
    """The snapshot: the first message of every connection, and sent exactly once.

    ``epoch`` names the incarnation of the session actor (it changes when the actor restarts),
    ``seq`` counts the events of the session within an epoch.
    """

    data: "SessionStateData"


class SessionStateData(Struct, frozen=True):
    session: SessionView
    you: You
    participants: tuple[ParticipantView, ...]
    positions: tuple[ParticipantPosition, ...]
    server_time: datetime
    epoch: str
    seq: int
    features: Mapping[str, Any] | UnsetType = UNSET
    """A section for each feature of the session that has something to show, by its name."""


class ParticipantMoved(Struct, frozen=True, gc=False, tag_field="type", tag="location_update"):
    data: ParticipantPosition


class Joined(Struct, frozen=True):
    user_id: str
    display_name: str
    avatar_color: str


class ParticipantJoined(Struct, frozen=True, tag_field="type", tag="participant_joined"):
    data: Joined


class Updated(Struct, frozen=True):
    user_id: str
    online: bool
    last_seen: datetime


class ParticipantUpdated(Struct, frozen=True, tag_field="type", tag="participant_updated"):
    data: Updated


class Left(Struct, frozen=True):
    user_id: str
    reason: LeaveReason


class ParticipantLeft(Struct, frozen=True, tag_field="type", tag="participant_left"):
    data: Left


class Changed(Struct, frozen=True):
    locked: bool


class SessionUpdated(Struct, frozen=True, tag_field="type", tag="session_updated"):
    data: Changed


class Ended(Struct, frozen=True):
    reason: EndReason


class SessionEnded(Struct, frozen=True, tag_field="type", tag="session_ended"):
    data: Ended


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    data: NoData = NoData()


ErrorCode = Literal[
    "INVALID_MESSAGE",
    "INVALID_LOCATION",
    "UNKNOWN_TYPE",
    "RATE_LIMITED",
    "MESSAGE_TOO_LARGE",
    "BINARY_NOT_SUPPORTED",
    "NOT_A_PARTICIPANT",
]


class Problem(Struct, frozen=True):
    code: ErrorCode
    message: str


class Error(Struct, frozen=True, tag_field="type", tag="error"):
    data: Problem


Event = ParticipantJoined | ParticipantUpdated | ParticipantLeft | SessionUpdated | SessionEnded
"""What the ordered lane carries: complete and in order, or the connection is closed."""

ServerMessage = SessionState | ParticipantMoved | Event | Pong | Error
