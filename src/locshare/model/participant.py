"""Participants of a session, and how the others see them."""

from datetime import datetime
from typing import Final, Literal, get_args

from msgspec import UNSET, Struct, UnsetType

Role = Literal["participant", "host"]
LeaveReason = Literal["left", "removed"]
PresenceState = Literal["active", "paused", "hidden"]
"""What a client shows the others: its person shares their position, pauses that, or does not look
at it (the page is hidden, the screen locked)."""


def parse_state(value: object) -> PresenceState:
    """The state in a parameter of a connection; active for anything else, because a connection is
    not refused for it.
    """
    return value if value in _STATES else "active"  # type: ignore[return-value]


_STATES: Final = get_args(PresenceState)


class Member(Struct, frozen=True):
    """A participant who has joined and not left. ``last_seen`` is as of joining or loading; the
    session's table keeps later activity apart.
    """

    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime
    last_seen: datetime
    role: Role = "participant"


class ParticipantView(Struct, frozen=True, omit_defaults=True):
    """One participant. ``last_seen`` is the time of the last sign of life."""

    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime
    last_seen: datetime
    is_active: bool
    online: bool
    role: Role | UnsetType = UNSET
    """Of hosts only."""
    state: PresenceState = "active"


class You(Struct, frozen=True):
    """The participant that a snapshot is made for."""

    user_id: str
    role: Role
