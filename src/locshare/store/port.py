"""What sessions need from a store. The rest of the program imports only this module.

Two kinds of writes. Those with a waiting caller (a session created, a participant joined) are
durable when the call returns, or the call raises :class:`StoreUnavailable` and nothing was kept.
Those that can be late (last seen, last activity; an end or a leave while the database is away) go
into a bounded queue and are written behind, in batches. Positions never come here.
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.model.participant import Role
from locshare.model.reasons import EndReason


def hash_of(session_id: UUID) -> str:
    """What is kept of a session's id when its rows are gone."""
    return hashlib.sha256(str(session_id).encode()).hexdigest()


class StoreUnavailable(LocshareError):
    """The database cannot be reached now. ``retry_after`` is in seconds."""

    def __init__(self, text: str = "the database cannot be reached", retry_after: int = 5) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class SessionRecord(Struct, frozen=True):
    """A row of ``sessions``. Times are aware, in UTC."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime
    creator_id: UUID
    is_active: bool
    last_activity: datetime
    locked: bool = False
    link_key: str = ""
    """Empty while the join link is the first one."""


class ParticipantRecord(Struct, frozen=True):
    """A row of ``participants``. There is one as long as the participant has not left."""

    id: UUID
    session_id: UUID
    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime
    last_seen: datetime
    is_active: bool
    role: Role = "participant"


class StoredSession(Struct, frozen=True):
    """A session with everyone who is in it, in the order of joining."""

    session: SessionRecord
    participants: tuple[ParticipantRecord, ...]


class FoundParticipant(Struct, frozen=True):
    """Whose row it is, and until when the session lives."""

    id: UUID
    session_id: UUID
    user_id: str
    role: Role
    expires_at: datetime


class Deletion(Struct, frozen=True):
    """What is known of a session whose rows were deleted. ``ended_at`` is None for one that was
    ended by an older program.
    """

    ended_at: datetime | None
    participants: int
    """Rows of those who were in it to the end."""
    deleted_at: datetime


class Store(Protocol):
    """Every coroutine is a checkpoint; cancelling one may leave its write done or not done."""

    async def create_session(self, session: SessionRecord) -> None:
        """Durable on return. Idempotent by id. Raises StoreUnavailable; ValueError when the
        database cannot hold such a row.
        """
        ...

    async def load_session(self, session_id: UUID) -> StoredSession | None:
        """None when there is no such session. Raises StoreUnavailable."""
        ...

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        """Participants whose row's id is from ``first`` to ``last``, a few of them at most. Pending
        leaves may still be among them. Raises StoreUnavailable.
        """
        ...

    async def add_participant(self, participant: ParticipantRecord) -> None:
        """Durable on return; concurrent calls may share one statement. Idempotent by id. Raises
        StoreUnavailable; KeyError when the session is unknown; ValueError when the database cannot
        hold such a row.
        """
        ...

    async def deactivate_participant(self, session_id: UUID, user_id: str) -> None:
        """Delete the participant, so that the token is refused from now on. Durable on return, or
        queued when the database is away.
        """
        ...

    def note_leaves(self, session_id: UUID, user_ids: Collection[str]) -> None:
        """As :meth:`deactivate_participant` of each, written behind. Never blocks, never fails."""
        ...

    async def set_locked(self, session_id: UUID, locked: bool) -> None:
        """Durable on return. Raises StoreUnavailable; cancelled, it is done or not."""
        ...

    async def set_link_key(self, session_id: UUID, link_key: str) -> None:
        """Durable on return. Raises StoreUnavailable; cancelled, it is done or not."""
        ...

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        """Durable on return. Raises StoreUnavailable; cancelled, it is done or not."""
        ...

    async def end_session(self, session_id: UUID) -> None:
        """Set ``is_active`` false. Durable on return, or queued when the database is away."""
        ...

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        """Note activity, to be written behind. Never blocks, never fails; a newer note of a session
        or participant replaces the waiting one.
        """
        ...

    async def sweep(
        self, now: datetime, inactive_since: datetime, live: Collection[UUID]
    ) -> Mapping[UUID, EndReason]:
        """End sessions past ``expires_at``, and those without activity since ``inactive_since``
        that are not in ``live``. Returns their ids with ``expired`` or ``inactive``. Raises
        StoreUnavailable.
        """
        ...

    async def purge(self, before: datetime) -> int:
        """Delete ended sessions that expired before ``before``, with their participants, and note
        that as a :class:`Deletion`. Returns how many. Raises StoreUnavailable.
        """
        ...

    async def find_deletion(self, session_hash: str) -> Deletion | None:
        """The deletion of the session whose id has this SHA-256 (:func:`hash_of`). Raises
        StoreUnavailable.
        """
        ...

    async def forget_deletions(self, before: datetime) -> int:
        """Delete what was noted of deletions before ``before``. Raises StoreUnavailable."""
        ...

    async def check(self) -> None:
        """Return if the database can be written to; the result may be some seconds old. Raises
        StoreUnavailable.
        """
        ...
