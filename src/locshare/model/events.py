"""Events of a session: what changed, apart from positions. Complete and in order for every
connected participant, or the connection is closed. The audience of an event is not part of it
(:mod:`locshare.broadcast.addressed`).
"""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from locshare.model.participant import LeaveReason, Role
from locshare.model.session import EndReason


class ParticipantJoined(Struct, frozen=True):
    user_id: str
    display_name: str
    avatar_color: str


class ParticipantUpdated(Struct, frozen=True):
    user_id: str
    online: bool
    last_seen: datetime
    role: Role | UnsetType = UNSET
    """The new role, if that is what changed."""


class ParticipantLeft(Struct, frozen=True):
    user_id: str
    reason: LeaveReason


class SessionUpdated(Struct, frozen=True):
    locked: bool


class SessionEnded(Struct, frozen=True):
    reason: EndReason


Event = ParticipantJoined | ParticipantUpdated | ParticipantLeft | SessionUpdated | SessionEnded
