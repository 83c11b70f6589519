"""A session as its participants see it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from locshare.model.events import MissedEvent
from locshare.model.participant import ParticipantView, You
from locshare.model.position import ParticipantPosition


class SessionView(Struct, frozen=True):
    """The session apart from its participants."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime
    locked: bool = False
    link_key: str | UnsetType = UNSET
    """What the join link has after the id, once the host has replaced the first one."""


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """The state of a session at one instant, for one participant. Events follow it without a gap.

    ``epoch`` names the life of the session's table: a crash of the actor keeps it, a sleep or a
    restart of the server does not. ``seq`` is that of the newest event that the snapshot includes.

    ``resumed`` answers a client that named the last event it knows, and is absent for others. Where
    it is True, ``missed`` has every event for this participant since then, in order.
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
    resumed: bool | None = None
    missed: tuple[MissedEvent, ...] | None = None
