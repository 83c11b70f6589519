"""What sessions need from a store, and nothing else. The rest of the program imports only this.

Two kinds of writes. What a caller waits for (a session created, a participant joined) is durable
when the call returns, or the call raises :class:`StoreUnavailable` and nothing was kept. What can
be late (last seen, last activity, an end or a leave while the database is away) goes into a
bounded queue and is written later, in batches. Positions never come here.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.model.participant import Role
from locshare.model.session import EndReason


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


class Store(Protocol):
    """Every coroutine is a checkpoint; cancelling one may leave its write done or not done."""

    async def create_session(self, session: SessionRecord) -> None:
        """Durable on return; doing it twice with the same id is doing it once. Raises
        StoreUnavailable; ValueError when no such row can be.
        """
        ...

    async def load_session(self, session_id: UUID) -> StoredSession | None:
        """None when there is no such session. Raises StoreUnavailable."""
        ...

    async def add_participant(self, participant: ParticipantRecord) -> None:
        """Durable on return; concurrent calls may share one statement. Doing it twice with the
        same id is doing it once. Raises StoreUnavailable; KeyError when the session is unknown,
        ValueError when no such row can be.
        """
        ...

    async def deactivate_participant(self, session_id: UUID, user_id: str) -> None:
        """Forget the participant: the token finds nobody from now on. Durable on return, or queued
        and written later when the database is away.
        """
        ...

    def note_leaves(self, session_id: UUID, user_ids: Collection[str]) -> None:
        """As :meth:`deactivate_participant` of each, written behind. Never blocks, never fails."""
        ...

    async def set_locked(self, session_id: UUID, locked: bool) -> None:
        """Durable on return. Raises StoreUnavailable; cancelled, it is done or not."""
        ...

    async def end_session(self, session_id: UUID) -> None:
        """Set ``is_active`` false. Durable on return, or queued when the database is away."""
        ...

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        """Note activity, to be written behind in batches. Never blocks, never fails; the newest
        note of a session or participant replaces the one that still waits.
        """
        ...

    async def sweep(
        self, now: datetime, inactive_since: datetime, live: Collection[UUID]
    ) -> Mapping[UUID, EndReason]:
        """End what ended by itself: past ``expires_at``, or without activity since
        ``inactive_since`` and not in ``live``. Returns the ids, each with ``expired`` or
        ``inactive``. Raises StoreUnavailable.
        """
        ...

    async def purge(self, before: datetime) -> int:
        """Delete sessions that are over and expired before ``before``, participants with them.
        Returns how many. Raises StoreUnavailable.
        """
        ...

    async def check(self) -> None:
        """Whether the database can be written to, asked at most once a second. Raises
        StoreUnavailable.
        """
        ...
