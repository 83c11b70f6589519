"""All SQL of the store, one function for each thing it does, on one asyncpg connection.

These run in the asyncio loop. Whole batches are arrays (``unnest``), so that the statements are the
same whatever the size, and prepared once per connection. Rows are locked in the order of their ids.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from locshare.store.port import ParticipantRecord, SessionRecord, StoredSession
from locshare.store.writer import LateBatch
from locshare.wire.messages import EndReason

_INSERT_SESSIONS: Final = """
    INSERT INTO sessions
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
        SELECT id FROM sessions WHERE id = ANY($2::uuid[]) ORDER BY id FOR KEY SHARE
    ), added AS (
        INSERT INTO participants
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

_END: Final = "UPDATE sessions SET is_active = false WHERE id = ANY($1::uuid[]) AND is_active"

_LEAVE: Final = """
    UPDATE participants SET is_active = false
    FROM unnest($1::uuid[], $2::text[]) AS person (session_id, user_id)
    WHERE participants.session_id = person.session_id
      AND participants.user_id = person.user_id
      AND participants.is_active
"""

_ACTIVITY: Final = """
    UPDATE sessions SET last_activity = note.moment
    FROM unnest($1::uuid[], $2::timestamptz[]) AS note (id, moment)
    WHERE sessions.id = note.id AND sessions.last_activity < note.moment
"""

_SEEN: Final = """
    UPDATE participants SET last_seen = note.moment
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS note (session_id, user_id, moment)
    WHERE participants.session_id = note.session_id
      AND participants.user_id = note.user_id
      AND participants.last_seen < note.moment
"""

_LOAD_SESSION: Final = """
    SELECT id, name, created_at, expires_at, creator_id, is_active, last_activity, locked
    FROM sessions WHERE id = $1
"""

_LOAD_PARTICIPANTS: Final = """
    SELECT id, session_id, user_id, display_name, avatar_color, joined_at, last_seen, is_active,
        role
    FROM participants WHERE session_id = $1 ORDER BY joined_at, id
"""

_SWEEP: Final = """
    UPDATE sessions SET is_active = false
    WHERE is_active
      AND (expires_at <= $1 OR (last_activity < $2 AND id <> ALL($3::uuid[])))
      AND id <> ALL($4::uuid[])
    RETURNING id, expires_at <= $1 AS expired
"""

_PURGE: Final = """
    WITH gone AS (
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions
            WHERE NOT is_active AND expires_at < $1
            ORDER BY id LIMIT $2 FOR UPDATE
        )
        RETURNING 1
    )
    SELECT count(*) FROM gone
"""


async def insert_sessions(connection: Any, sessions: Sequence[SessionRecord]) -> None:
    """Those that are there already are left alone."""
    await connection.execute(
        _INSERT_SESSIONS,
        [session.id for session in sessions],
        [session.name for session in sessions],
        [session.created_at for session in sessions],
        [session.expires_at for session in sessions],
        [session.creator_id for session in sessions],
        [session.is_active for session in sessions],
        [session.last_activity for session in sessions],
    )


async def insert_participants(
    connection: Any, participants: Sequence[ParticipantRecord]
) -> set[UUID]:
    """Returns the ids of the sessions that exist; participants of others were not inserted."""
    rows = await connection.fetch(
        _INSERT_PARTICIPANTS,
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


async def set_locked(connection: Any, session_id: UUID, locked: bool) -> None:
    """Whether others than the host may join."""
    await connection.execute(
        "UPDATE sessions SET locked = $2 WHERE id = $1 AND locked <> $2", session_id, locked
    )


async def erase_sessions(connection: Any, ids: Sequence[UUID]) -> None:
    """As if they had never been written."""
    await connection.execute("DELETE FROM sessions WHERE id = ANY($1::uuid[])", ids)


async def erase_participants(connection: Any, ids: Sequence[UUID]) -> None:
    """As if they had never been written."""
    await connection.execute("DELETE FROM participants WHERE id = ANY($1::uuid[])", ids)


async def write_late(connection: Any, batch: LateBatch) -> None:
    """All of the batch or nothing."""
    async with connection.transaction():
        if batch.ends:
            await connection.execute(_END, [*batch.ends])
        if batch.leaves:
            await connection.execute(_LEAVE, *_columns(batch.leaves, 2))
        if batch.activity:
            await connection.execute(_ACTIVITY, [*batch.activity], [*batch.activity.values()])
        if batch.seen:
            await connection.execute(_SEEN, *_columns(batch.seen, 2), [*batch.seen.values()])


def _columns(rows: Collection[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(count)]


async def load_session(connection: Any, session_id: UUID) -> StoredSession | None:
    """None when there is no such session."""
    row = await connection.fetchrow(_LOAD_SESSION, session_id)
    if row is None:
        return None
    rows = await connection.fetch(_LOAD_PARTICIPANTS, session_id)
    return StoredSession(
        SessionRecord(*map(_plain, row)),
        tuple(ParticipantRecord(*map(_plain, person)) for person in rows),
    )


def _plain(value: Any) -> Any:
    """asyncpg's UUID is a subclass, which not every encoder takes."""
    return UUID(bytes=value.bytes) if isinstance(value, UUID) else value


async def sweep(
    connection: Any,
    now: datetime,
    inactive_since: datetime,
    lively: Collection[UUID],
    ending: Collection[UUID],
) -> dict[UUID, EndReason]:
    """Returns those that it ended, and why; ``ending`` are left alone."""
    rows = await connection.fetch(_SWEEP, now, inactive_since, [*lively], [*ending])
    return {_plain(row["id"]): "expired" if row["expired"] else "inactive" for row in rows}


async def purge(connection: Any, before: datetime, limit: int) -> int:
    """Returns how many were deleted, ``limit`` at most."""
    count: int = await connection.fetchval(_PURGE, before, limit)
    return count


async def check(connection: Any) -> None:
    """A round trip."""
    await connection.fetchval("SELECT 1")
