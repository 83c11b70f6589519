"""The store, for the sessions that this process owns: every write asks the directory first.

A process that lost a session to another one must not write for it any more: the other one has read
the rows and goes on from there. What a caller waits for raises SessionElsewhere; what is written
behind is dropped, for the owner notes it too.

Reads are not restricted: the rows of a session may be read by any process.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import final
from uuid import UUID

from locshare.model.participant import Role
from locshare.model.reasons import EndReason
from locshare.session.directory.directory import SessionDirectory
from locshare.store.port import (
    Deletion,
    FoundParticipant,
    ParticipantRecord,
    SessionRecord,
    Store,
    StoredSession,
)


@final
class OwnedStore:
    """A :class:`locshare.store.port.Store`; each method as there, but for SessionElsewhere."""

    def __init__(self, store: Store, directory: SessionDirectory) -> None:
        self._store = store
        self._directory = directory

    async def create_session(self, session: SessionRecord) -> None:
        self._directory.check_owned(session.id)
        await self._store.create_session(session)

    async def load_session(self, session_id: UUID) -> StoredSession | None:
        return await self._store.load_session(session_id)

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        return await self._store.find_participants(first, last)

    async def add_participant(self, participant: ParticipantRecord) -> None:
        self._directory.check_owned(participant.session_id)
        await self._store.add_participant(participant)

    async def deactivate_participant(self, session_id: UUID, user_id: str) -> None:
        self._directory.check_owned(session_id)
        await self._store.deactivate_participant(session_id, user_id)

    def note_leaves(self, session_id: UUID, user_ids: Collection[str]) -> None:
        if self._directory.owns(session_id):
            self._store.note_leaves(session_id, user_ids)

    async def set_locked(self, session_id: UUID, locked: bool) -> None:
        self._directory.check_owned(session_id)
        await self._store.set_locked(session_id, locked)

    async def set_link_key(self, session_id: UUID, link_key: str) -> None:
        self._directory.check_owned(session_id)
        await self._store.set_link_key(session_id, link_key)

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        self._directory.check_owned(session_id)
        await self._store.set_role(session_id, user_id, role)

    async def end_session(self, session_id: UUID) -> None:
        self._directory.check_owned(session_id)
        await self._store.end_session(session_id)

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        if self._directory.owns(session_id):
            self._store.touch(session_id, last_activity, last_seen)

    async def sweep(
        self, now: datetime, inactive_since: datetime, live: Collection[UUID]
    ) -> Mapping[UUID, EndReason]:
        """Ends sessions of every owner: one statement, and only sessions that are over."""
        return await self._store.sweep(now, inactive_since, live)

    async def purge(self, before: datetime) -> int:
        return await self._store.purge(before)

    async def find_deletion(self, session_hash: str) -> Deletion | None:
        return await self._store.find_deletion(session_hash)

    async def forget_deletions(self, before: datetime) -> int:
        return await self._store.forget_deletions(before)

    async def check(self) -> None:
        await self._store.check()
