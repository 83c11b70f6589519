"""All SQL of the store: one method per operation, on one asyncpg connection.

The methods run in the asyncio loop. A batch is passed as arrays (``unnest``), so that a statement
is the same for every size, and prepared once per connection. Rows are locked in order of their ids.

With a schema, every table name is qualified. Nothing depends on the state of a database session: a
pooler in transaction mode may give each transaction another one.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from locshare.model.participant import Role
from locshare.model.reasons import EndReason
from locshare.store.port import (
    Deletion,
    FoundParticipant,
    ParticipantRecord,
    SessionRecord,
    StoredSession,
)
from locshare.store.write_behind import WriteBehindBatch

TABLES: Final = ("sessions", "participants", "deletions", "readiness", "schema_migrations")
KEPT_TABLES: Final = ("sessions", "participants", "deletions")
"""What a backup has, those first that others refer to."""
FILLER_BYTES: Final = 7000
"""Size of the row that the readiness check writes: two do not fit into a page of 8 KiB."""
MAX_READINESS_BYTES: Final = 1024 * 1024
"""Bounds the table where autovacuum, which keeps it at some pages, is off."""

_INSERT_SESSIONS: Final = """
    INSERT INTO {sessions}
        (id, name, created_at, expires_at, creator_id, is_active, last_activity)
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::boolean[],
        $7::timestamptz[]
    )
    ON CONFLICT (id) DO NOTHING
"""

# The lock keeps a purge from deleting a session between the look and the insert.
_INSERT_PARTICIPANTS: Final = """
    WITH known AS (
        SELECT id FROM {sessions} WHERE id = ANY($2::uuid[]) ORDER BY id FOR KEY SHARE
    ), added AS (
        INSERT INTO {participants}
            (id, session_id, user_id, display_name, avatar_color, joined_at, last_seen, is_active,
             role)
        SELECT person.* FROM unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
            $7::timestamptz[], $8::boolean[], $9::text[]
        ) AS person (
            id, session_id, user_id, display_name, avatar_color, joined_at, last_seen, is_active,
            role
        )
        WHERE person.session_id IN (SELECT id FROM known)
        ON CONFLICT (id) DO NOTHING
    )
    SELECT id FROM known
"""

_ERASE_SESSIONS: Final = "DELETE FROM {sessions} WHERE id = ANY($1::uuid[])"
_ERASE_PARTICIPANTS: Final = "DELETE FROM {participants} WHERE id = ANY($1::uuid[])"

_END: Final = """
    UPDATE {sessions} SET is_active = false, ended_at = now()
    WHERE id = ANY($1::uuid[]) AND is_active
"""

# Deleted, not marked: the old token is refused without a row, and joining and leaving for hours
# leaves nothing behind.
_LEAVE: Final = """
    DELETE FROM {participants} AS participant
    USING unnest($1::uuid[], $2::text[]) AS person (session_id, user_id)
    WHERE participant.session_id = person.session_id
      AND participant.user_id = person.user_id
"""

_LOCK: Final = "UPDATE {sessions} SET locked = $2 WHERE id = $1 AND locked <> $2"

_SET_LINK_KEY: Final = "UPDATE {sessions} SET link_key = $2 WHERE id = $1"

_SET_ROLE: Final = """
    UPDATE {participants} SET role = $3 WHERE session_id = $1 AND user_id = $2 AND role <> $3
"""

_ACTIVITY: Final = """
    UPDATE {sessions} AS session SET last_activity = note.moment
    FROM unnest($1::uuid[], $2::timestamptz[]) AS note (id, moment)
    WHERE session.id = note.id AND session.last_activity < note.moment
"""

_SEEN: Final = """
    UPDATE {participants} AS participant SET last_seen = note.moment
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS note (session_id, user_id, moment)
    WHERE participant.session_id = note.session_id
      AND participant.user_id = note.user_id
      AND participant.last_seen < note.moment
"""

_LOAD_SESSION: Final = """
    SELECT id, name, created_at, expires_at, creator_id, is_active, last_activity, locked,
        link_key
    FROM {sessions} WHERE id = $1
"""

_LOAD_PARTICIPANTS: Final = """
    SELECT id, session_id, user_id, display_name, avatar_color, joined_at, last_seen, is_active,
        role
    FROM {participants} WHERE session_id = $1 AND is_active ORDER BY joined_at, id
"""

# By the primary key. The caller's range is a 2^30th of all ids: more than one row is an accident.
_FIND_PARTICIPANTS: Final = """
    SELECT participant.id, participant.session_id, participant.user_id, participant.role,
        session.expires_at
    FROM {participants} AS participant
    JOIN {sessions} AS session ON session.id = participant.session_id
    WHERE participant.id BETWEEN $1 AND $2 AND participant.is_active
    ORDER BY participant.id LIMIT 8
"""

_SWEEP: Final = """
    UPDATE {sessions} SET is_active = false, ended_at = least(expires_at, $1)
    WHERE id IN (
        SELECT id FROM {sessions}
        WHERE is_active
          AND (expires_at <= $1 OR (last_activity < $2 AND id <> ALL($3::uuid[])))
          AND id <> ALL($4::uuid[])
        ORDER BY id LIMIT $5 FOR UPDATE
    )
    RETURNING id, expires_at <= $1 AS expired
"""

# A session with a million rows is deleted in as many portions as it takes.
_PURGE_PARTICIPANTS: Final = """
    WITH gone AS (
        DELETE FROM {participants} WHERE id IN (
            SELECT participant.id
            FROM {sessions} AS session
            JOIN {participants} AS participant ON participant.session_id = session.id
            WHERE NOT session.is_active AND session.expires_at < $1
            LIMIT $2
        )
        RETURNING session_id
    ), noted AS (
        INSERT INTO {deletions} AS note (session_hash, participants)
        SELECT encode(sha256(convert_to(session_id::text, 'UTF8')), 'hex'), count(*)
        FROM gone GROUP BY session_id
        ON CONFLICT (session_hash) DO UPDATE
            SET participants = note.participants + excluded.participants
    )
    SELECT count(*) FROM gone
"""

_PURGE_SESSIONS: Final = """
    WITH gone AS (
        DELETE FROM {sessions} WHERE id IN (
            SELECT id FROM {sessions} AS session
            WHERE NOT is_active AND expires_at < $1 AND NOT EXISTS (
                SELECT FROM {participants} AS participant
                WHERE participant.session_id = session.id
            )
            ORDER BY id LIMIT $2 FOR UPDATE
        )
        RETURNING id, ended_at
    ), noted AS (
        INSERT INTO {deletions} (session_hash, ended_at, deleted_at)
        SELECT encode(sha256(convert_to(id::text, 'UTF8')), 'hex'), ended_at, now() FROM gone
        ON CONFLICT (session_hash) DO UPDATE
            SET ended_at = excluded.ended_at, deleted_at = excluded.deleted_at
    )
    SELECT count(*) FROM gone
"""

_FIND_DELETION: Final = """
    SELECT ended_at, participants, deleted_at FROM {deletions}
    WHERE session_hash = $1 AND deleted_at IS NOT NULL
"""

_FORGET_DELETIONS: Final = """
    WITH gone AS (
        DELETE FROM {deletions} WHERE session_hash IN (
            SELECT session_hash FROM {deletions} WHERE deleted_at < $1 LIMIT $2
        )
        RETURNING 1
    )
    SELECT count(*) FROM gone
"""

_WRITE_READINESS: Final = """
    INSERT INTO {readiness} (id, written_at, filler) VALUES (1, now(), $1)
    ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at, filler = excluded.filler
    RETURNING pg_relation_size($2::text::regclass)
"""
_TRUNCATE_READINESS: Final = "TRUNCATE {readiness}"


def qualified(schema: str | None, table: str) -> str:
    """The table's name in SQL; without a schema the search path finds it."""
    return table if schema is None else f"{quoted(schema)}.{table}"


def quoted(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


class Statements:
    """The SQL for the tables in ``schema``; None for those on the search path."""

    def __init__(self, schema: str | None = None) -> None:
        names = {table: qualified(schema, table) for table in TABLES}

        def fill(text: str) -> str:
            return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], text)

        self._insert_sessions = fill(_INSERT_SESSIONS)
        self._insert_participants = fill(_INSERT_PARTICIPANTS)
        self._erase_sessions = fill(_ERASE_SESSIONS)
        self._erase_participants = fill(_ERASE_PARTICIPANTS)
        self._end = fill(_END)
        self._leave = fill(_LEAVE)
        self._lock = fill(_LOCK)
        self._set_link_key = fill(_SET_LINK_KEY)
        self._set_role = fill(_SET_ROLE)
        self._activity = fill(_ACTIVITY)
        self._seen = fill(_SEEN)
        self._load_session = fill(_LOAD_SESSION)
        self._load_participants = fill(_LOAD_PARTICIPANTS)
        self._find_participants = fill(_FIND_PARTICIPANTS)
        self._sweep = fill(_SWEEP)
        self._purge_participants = fill(_PURGE_PARTICIPANTS)
        self._purge_sessions = fill(_PURGE_SESSIONS)
        self._find_deletion = fill(_FIND_DELETION)
        self._forget_deletions = fill(_FORGET_DELETIONS)
        self._write_readiness = fill(_WRITE_READINESS)
        self._truncate_readiness = fill(_TRUNCATE_READINESS)
        self._readiness = names["readiness"]

    async def insert_sessions(self, connection: Any, sessions: Sequence[SessionRecord]) -> None:
        """Idempotent: existing rows are left unchanged."""
        await connection.execute(
            self._insert_sessions,
            [session.id for session in sessions],
            [session.name for session in sessions],
            [session.created_at for session in sessions],
            [session.expires_at for session in sessions],
            [session.creator_id for session in sessions],
            [session.is_active for session in sessions],
            [session.last_activity for session in sessions],
        )

    async def insert_participants(
        self, connection: Any, participants: Sequence[ParticipantRecord]
    ) -> set[UUID]:
        """Returns the ids of the sessions that exist; participants of others were not inserted."""
        rows = await connection.fetch(
            self._insert_participants,
            [person.id for person in participants],
            [person.session_id for person in participants],
            [person.user_id for person in participants],
            [person.display_name for person in participants],
            [person.avatar_color for person in participants],
            [person.joined_at for person in participants],
            [person.last_seen for person in participants],
            [person.is_active for person in participants],
            [person.role for person in participants],
        )
        return {row["id"] for row in rows}

    async def erase_sessions(self, connection: Any, ids: Sequence[UUID]) -> None:
        """Delete uncertain rows."""
        await connection.execute(self._erase_sessions, ids)

    async def erase_participants(self, connection: Any, ids: Sequence[UUID]) -> None:
        """Delete uncertain rows."""
        await connection.execute(self._erase_participants, ids)

    async def set_locked(self, connection: Any, session_id: UUID, locked: bool) -> None:
        await connection.execute(self._lock, session_id, locked)

    async def set_link_key(self, connection: Any, session_id: UUID, link_key: str) -> None:
        await connection.execute(self._set_link_key, session_id, link_key)

    async def set_role(self, connection: Any, session_id: UUID, user_id: str, role: Role) -> None:
        await connection.execute(self._set_role, session_id, user_id, role)

    async def write_batch(self, connection: Any, batch: WriteBehindBatch) -> None:
        """Write the whole batch in one transaction."""
        async with connection.transaction():
            if batch.ends:
                await connection.execute(self._end, [*batch.ends])
            if batch.leaves:
                await connection.execute(self._leave, *_columns(batch.leaves, 2))
            if batch.activity:
                await connection.execute(
                    self._activity, [*batch.activity], [*batch.activity.values()]
                )
            if batch.seen:
                await connection.execute(
                    self._seen, *_columns(batch.seen, 2), [*batch.seen.values()]
                )

    async def load_session(self, connection: Any, session_id: UUID) -> StoredSession | None:
        """The session with its participants; None when there is no such session."""
        row = await connection.fetchrow(self._load_session, session_id)
        if row is None:
            return None
        rows = await connection.fetch(self._load_participants, session_id)
        return StoredSession(
            SessionRecord(*map(_plain, row)),
            tuple(ParticipantRecord(*map(_plain, person)) for person in rows),
        )

    async def find_participants(
        self, connection: Any, first: UUID, last: UUID
    ) -> tuple[FoundParticipant, ...]:
        """The participants whose id is from ``first`` to ``last``, at most 8."""
        rows = await connection.fetch(self._find_participants, first, last)
        return tuple(FoundParticipant(*map(_plain, row)) for row in rows)

    async def sweep(
        self,
        connection: Any,
        now: datetime,
        inactive_since: datetime,
        lively: Collection[UUID],
        ending: Collection[UUID],
        limit: int,
    ) -> Mapping[UUID, EndReason]:
        """End at most ``limit`` sessions; returns which, and why. Ignores those in ``ending``."""
        rows = await connection.fetch(self._sweep, now, inactive_since, [*lively], [*ending], limit)
        return {_plain(row["id"]): "expired" if row["expired"] else "inactive" for row in rows}

    async def purge_participants(self, connection: Any, before: datetime, limit: int) -> int:
        """Delete participants of purgeable sessions. Returns how many, at most ``limit``."""
        count: int = await connection.fetchval(self._purge_participants, before, limit)
        return count

    async def purge_sessions(self, connection: Any, before: datetime, limit: int) -> int:
        """Delete purgeable sessions without participants. Returns how many, at most ``limit``."""
        count: int = await connection.fetchval(self._purge_sessions, before, limit)
        return count

    async def find_deletion(self, connection: Any, session_hash: str) -> Deletion | None:
        """What was deleted of a session; None while it is there, or when nothing is known."""
        row = await connection.fetchrow(self._find_deletion, session_hash)
        return None if row is None else Deletion(*row)

    async def forget_deletions(self, connection: Any, before: datetime, limit: int) -> int:
        """Delete old records of deletions. Returns how many, at most ``limit``."""
        count: int = await connection.fetchval(self._forget_deletions, before, limit)
        return count

    async def write_readiness(self, connection: Any) -> bool:
        """A write that needs disk space. Returns whether the table should be truncated."""
        size: int = await connection.fetchval(
            self._write_readiness, "r" * FILLER_BYTES, self._readiness
        )
        return size > MAX_READINESS_BYTES

    async def probe(self, connection: Any) -> bool:
        """Run every statement of this program on no rows: fails if a table, a column or a privilege
        is missing. Then :meth:`write_readiness`, in the same transaction.
        """
        nobody, long_ago = UUID(int=0), datetime.min.replace(tzinfo=UTC)
        batch = WriteBehindBatch({nobody: None}, {(nobody, ""): None}, {nobody: long_ago})
        batch = structs.replace(batch, seen={(nobody, ""): long_ago})
        async with connection.transaction():
            await self.insert_sessions(connection, ())
            await self.insert_participants(connection, ())
            await self.write_batch(connection, batch)
            await self.load_session(connection, nobody)
            await connection.fetch(self._load_participants, nobody)
            await self.find_participants(connection, nobody, nobody)
            await self.set_locked(connection, nobody, locked=False)
            await self.set_link_key(connection, nobody, "")
            await self.set_role(connection, nobody, "", "participant")
            await self.erase_sessions(connection, ())
            await self.erase_participants(connection, ())
            await self.purge_participants(connection, long_ago, 0)
            await self.purge_sessions(connection, long_ago, 0)
            await self.forget_deletions(connection, long_ago, 0)
            await self.find_deletion(connection, "")
            return await self.write_readiness(connection)

    async def truncate_readiness(self, connection: Any) -> None:
        """Needs a privilege that a role which does not own the tables may lack."""
        await connection.execute(self._truncate_readiness)


def _columns(rows: Collection[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(count)]


def _plain(value: Any) -> Any:
    """``value``, but a plain UUID for asyncpg's subclass, which not every encoder accepts."""
    return UUID(bytes=value.bytes) if isinstance(value, UUID) else value
