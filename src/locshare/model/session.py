"""A session as its participants see it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from locshare.model.participant import ParticipantView, You
from locshare.model.position import ParticipantPosition

EndReason = Literal["expired", "ended_by_host", "inactive", "internal_error"]


class SessionView(Struct, frozen=True):
    """The session apart from its participants."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime
    locked: bool = False


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """The state of a session at one instant, for one participant. Events follow it without a gap.

    ``epoch`` names the incarnation of the session actor and changes when the actor restarts;
    ``seq`` counts the events of the session within an epoch.
    """

    session: SessionView
    you: You
    participants: tuple[ParticipantView, ...]
    positions: tuple[ParticipantPosition, ...]
    server_time: datetime
    epoch: str
    seq: int
    features: Mapping[str, Any] | None = None
    """A section for each feature of the session that has something to show, by its name."""
