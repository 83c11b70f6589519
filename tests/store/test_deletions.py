"""What is noted when the rows of a session are deleted: enough for a receipt, and nobody's name."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import trio

from locshare.actors import Registry
from locshare.session.errors import SessionNotFound
from locshare.session.manager import SessionManager
from locshare.store.port import hash_of
from locshare.store.postgres import PostgresStore
from tests.postgres import Server
from tests.running import LAST_RESORT_S
from tests.store.kit import a_session, running_store

NOW = datetime.now(UTC)


async def ended_session(store: PostgresStore, server: Server, database: str, people: int) -> UUID:
    session = a_session()
    await store.create_session(session)
    server.execute(
        f"""
        INSERT INTO participants (id, session_id, user_id, display_name)
        SELECT gen_random_uuid(), '{session.id}', 'user' || n, 'Ada'
        FROM generate_series(1, {people}) AS n
        """,  # noqa: S608 - our own values
        database,
    )
    await store.end_session(session.id)
    return session.id


def database_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def test_a_deletion_is_noted_with_its_times_and_counts_and_without_a_name(
    postgres_url: str, postgres_server: Server
) -> None:
    database = database_of(postgres_url)
    async with running_store(postgres_url) as store:
        session_id = await ended_session(store, postgres_server, database, people=1200)
        assert await store.find_deletion(hash_of(session_id)) is None
        assert await store.purge(NOW + timedelta(days=2)) == 1
        found = await store.find_deletion(hash_of(session_id))
        assert found is not None
        assert found.participants == 1200  # in three portions
        assert found.ended_at is not None
        assert found.ended_at <= found.deleted_at
        assert await store.load_session(session_id) is None
    everything = postgres_server.execute("SELECT * FROM deletions", database)
    assert str(session_id) not in everything
    assert "Ada" not in everything
    assert hash_of(session_id) in everything


async def test_sessions_that_the_sweep_ends_have_an_end(
    postgres_url: str, postgres_server: Server
) -> None:
    async with running_store(postgres_url) as store:
        session = a_session()
        await store.create_session(session)
        await store.sweep(session.expires_at + timedelta(hours=1), NOW - timedelta(days=1), ())
        await store.purge(session.expires_at + timedelta(days=1))
        found = await store.find_deletion(hash_of(session.id))
        assert found is not None
        assert found.ended_at == session.expires_at


async def test_the_manager_tells_what_is_stored_from_what_is_deleted_and_what_is_unknown(
    postgres_url: str, postgres_server: Server
) -> None:
    async with running_store(postgres_url) as store:
        manager = SessionManager(store, Registry())
        session_id = await ended_session(store, postgres_server, database_of(postgres_url), 2)
        stored = await manager.deletion(session_id)
        assert (stored.deleted_at, stored.participants) == (None, 2)
        assert stored.at > NOW + timedelta(hours=24)
        await store.purge(NOW + timedelta(days=2))
        deleted = await manager.deletion(session_id)
        assert deleted.deleted_at is not None
        assert deleted.session_hash == stored.session_hash == hash_of(session_id)
        assert deleted.participants == 2
        assert deleted.at == deleted.deleted_at + timedelta(days=30)
        with pytest.raises(SessionNotFound):
            await manager.deletion(UUID(int=7))


async def test_what_was_noted_is_forgotten(postgres_url: str, postgres_server: Server) -> None:
    async with running_store(postgres_url) as store:
        session_id = await ended_session(store, postgres_server, database_of(postgres_url), 1)
        await store.purge(NOW + timedelta(days=2))
        assert await store.forget_deletions(NOW - timedelta(days=1)) == 0
        assert await store.forget_deletions(NOW + timedelta(days=1)) == 1
        assert await store.find_deletion(hash_of(session_id)) is None
        with trio.fail_after(LAST_RESORT_S):
            assert await store.forget_deletions(NOW) == 0
