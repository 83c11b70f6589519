"""A store in memory, with faults that a real database does not have on demand.

For tests of whatever stands before the store. The store's own tests, and those of the whole
program, use a real PostgreSQL (tests/postgres.py).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import trio
from msgspec import structs

from locshare.model.participant import Role
from locshare.model.reasons import EndReason
from locshare.store.port import (
    Deletion,
    FoundParticipant,
    ParticipantRecord,
    SessionRecord,
    StoredSession,
    StoreUnavailable,
    hash_of,
)


class MemoryStore:
    """``away``: every call that waits for the database raises StoreUnavailable, and late writes
    are queued. ``gate``: every such call waits for the event first. ``calls`` counts by name.
    """

    def __init__(self) -> None:
        self.away = False
        self.gate: trio.Event | None = None
        self.calls: dict[str, int] = {}
        self.sessions: dict[UUID, SessionRecord] = {}
        self.participants: dict[UUID, dict[str, ParticipantRecord]] = {}
        self.deletions: dict[str, Deletion] = {}
        self.late_ends: set[UUID] = set()
        self.late_leaves: set[tuple[UUID, str]] = set()
        self.touches: list[tuple[UUID, datetime, dict[str, datetime]]] = []

    async def _reach(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise StoreUnavailable

    async def create_session(self, session: SessionRecord) -> None:
        await self._reach("create_session")
        self.sessions.setdefault(session.id, session)
        self.participants.setdefault(session.id, {})

    async def load_session(self, session_id: UUID) -> StoredSession | None:
        await self._reach("load_session")
        session = self.sessions.get(session_id)
        if session is None:
            return None
        if session_id in self.late_ends:
            session = structs.replace(session, is_active=False)
        people = (
            each
            for each in self.participants[session_id].values()
            if (session_id, each.user_id) not in self.late_leaves
        )
        return StoredSession(session, tuple(people))

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        await self._reach("find_participants")
        return tuple(
            FoundParticipant(
                each.id, each.session_id, each.user_id, each.role, self.sessions[session].expires_at
            )
            for session, people in self.participants.items()
            for each in people.values()
            if first <= each.id <= last
        )

    async def add_participant(self, participant: ParticipantRecord) -> None:
        await self._reach("add_participant")
        people = self.participants[participant.session_id]
        people.setdefault(participant.user_id, participant)

    async def deactivate_participant(self, session_id: UUID, user_id: str) -> None:
        self.late_leaves.add((session_id, user_id))
        try:
            await self._reach("deactivate_participant")
        except StoreUnavailable:
            return
        self.write_late()

    def note_leaves(self, session_id: UUID, user_ids: Collection[str]) -> None:
        self.late_leaves.update((session_id, user_id) for user_id in user_ids)
        if not self.away:
            self.write_late()

    async def set_locked(self, session_id: UUID, locked: bool) -> None:
        await self._reach("set_locked")
        session = self.sessions[session_id]
        self.sessions[session_id] = structs.replace(session, locked=locked)

    async def set_link_key(self, session_id: UUID, link_key: str) -> None:
        await self._reach("set_link_key")
        session = self.sessions[session_id]
        self.sessions[session_id] = structs.replace(session, link_key=link_key)

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        await self._reach("set_role")
        people = self.participants[session_id]
        people[user_id] = structs.replace(people[user_id], role=role)

    async def end_session(self, session_id: UUID) -> None:
        self.late_ends.add(session_id)
        try:
            await self._reach("end_session")
        except StoreUnavailable:
            return
        self.write_late()

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        self.touches.append((session_id, last_activity, dict(last_seen)))
        session = self.sessions[session_id]
        newest = max(session.last_activity, last_activity)
        self.sessions[session_id] = structs.replace(session, last_activity=newest)
        people = self.participants[session_id]
        for user_id, moment in last_seen.items():
            known = people[user_id]
            people[user_id] = structs.replace(known, last_seen=max(known.last_seen, moment))

    async def sweep(
        self, now: datetime, inactive_since: datetime, live: Collection[UUID]
    ) -> Mapping[UUID, EndReason]:
        await self._reach("sweep")
        ended: dict[UUID, EndReason] = {
            session.id: "expired" if session.expires_at <= now else "inactive"
            for session in self.sessions.values()
            if session.is_active
            and (
                session.expires_at <= now
                or (session.last_activity < inactive_since and session.id not in live)
            )
        }
        for session_id in ended:
            self._end(session_id)
        return ended

    async def purge(self, before: datetime) -> int:
        await self._reach("purge")
        gone = [s.id for s in self.sessions.values() if not s.is_active and s.expires_at < before]
        for session_id in gone:
            del self.sessions[session_id]
            people = self.participants.pop(session_id)
            self.deletions[hash_of(session_id)] = Deletion(None, len(people), before)
        return len(gone)

    async def find_deletion(self, session_hash: str) -> Deletion | None:
        await self._reach("find_deletion")
        return self.deletions.get(session_hash)

    async def forget_deletions(self, before: datetime) -> int:
        await self._reach("forget_deletions")
        old = [name for name, each in self.deletions.items() if each.deleted_at < before]
        for name in old:
            del self.deletions[name]
        return len(old)

    async def check(self) -> None:
        await self._reach("check")

    def write_late(self) -> None:
        """What a database that is back would have."""
        for session_id in self.late_ends:
            self._end(session_id)
        for session_id, user_id in self.late_leaves:
            self.participants.get(session_id, {}).pop(user_id, None)
        self.late_ends.clear()
        self.late_leaves.clear()

    def _end(self, session_id: UUID) -> None:
        session = self.sessions.get(session_id)
        if session is not None:
            self.sessions[session_id] = structs.replace(session, is_active=False)
