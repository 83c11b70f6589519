"""Events of a session: what changed, apart from positions. Complete and in order for every
connected participant, or the connection is closed. The audience of an event is not part of it
(:mod:`locshare.broadcast.addressed`).
"""

import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, Union, get_args

from msgspec import UNSET, Struct, UnsetType, defstruct

from locshare.model.participant import LeaveReason, PresenceState, Role
from locshare.model.reasons import EndReason


class SessionEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every event. ``seq`` is its number, which the rules give it: higher than that of all
    events before, whoever they were for. 0 before that, and from a server that gives none.
    """

    seq: int = 0


class ParticipantJoined(SessionEvent, frozen=True):
    user_id: str
    display_name: str
    avatar_color: str


class ParticipantUpdated(SessionEvent, frozen=True):
    user_id: str
    online: bool
    last_seen: datetime
    role: Role | UnsetType = UNSET
    """The new role, if that is what changed."""
    state: PresenceState = "active"


class ParticipantLeft(SessionEvent, frozen=True):
    user_id: str
    reason: LeaveReason


class SessionUpdated(SessionEvent, frozen=True):
    locked: bool
    link_key: str = ""
    """As in the snapshot; empty while the link is the first one."""


class SessionEnded(SessionEvent, frozen=True):
    reason: EndReason


Event = ParticipantJoined | ParticipantUpdated | ParticipantLeft | SessionUpdated | SessionEnded


@cache
def event_type(kind: type) -> str:
    """The contract's name of an event: the name of its class in snake case."""
    return re.sub("(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def _missed_type(kind: type) -> Any:
    return defstruct(
        f"Missed{kind.__name__}",
        [("data", kind)],
        frozen=True,
        tag_field="type",
        tag=event_type(kind),
    )


def missed(event: Event) -> "MissedEvent":
    """``event`` as a snapshot shows it to a client that comes back."""
    found: MissedEvent = _missed_type(type(event))(event)
    return found


if TYPE_CHECKING:
    MissedEvent: TypeAlias = Any
else:
    MissedEvent = Union[*map(_missed_type, get_args(Event))]
"""``{"type": …, "data": event}``, in every dialect that writes names."""
