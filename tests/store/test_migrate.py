"""Migrations: in order, once, each whole or not at all, and never against what they do not know."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import pytest

from locshare.store.bridge import open_bridge
from locshare.store.migrate import Migration, MigrationError, bundled, migrate, outstanding
from locshare.store.postgres import PostgresStore
from tests.postgres import Server
from tests.store.kit import QUICK, database_of, running_store

pytestmark = pytest.mark.store
T = TypeVar("T")

FIRST = Migration(1, "first", "CREATE TABLE one (n integer); INSERT INTO one VALUES (1)")
SECOND = Migration(2, "second", "ALTER TABLE one RENAME TO two")
WRONG = Migration(3, "wrong", "CREATE TABLE three (n integer); SELECT nonsense")

Runner = Callable[..., Awaitable[Any]]


@pytest.fixture
async def run(empty_url: str) -> AsyncIterator[Runner]:
    """Runs these migrations, or ``execute``s a statement, on the empty database."""
    async with open_bridge() as bridge:

        async def run(*migrations: Migration, execute: str = "") -> Any:
            async def use() -> Any:
                connection = await asyncpg.connect(empty_url)
                try:
                    if execute:
                        return [tuple(row) for row in await connection.fetch(execute)]
                    return await migrate(connection, migrations)
                finally:
                    await connection.close()

            return await bridge.call(use)

        yield run


def test_the_bundled_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [migration.version for migration in bundled()] == list(range(1, len(bundled()) + 1))


async def test_sessions_of_before_new_links_keep_the_link_that_they_have(run: Runner) -> None:
    *before, link_key = bundled()[:4]
    assert link_key.name == "link_key"
    await run(*before)
    await run(
        execute="INSERT INTO sessions (id, name, created_at, expires_at, creator_id, is_active,"
        " last_activity) VALUES (gen_random_uuid(), 'Alps', now(), 'infinity', gen_random_uuid(),"
        " true, now())"
    )
    await run(*before, link_key)
    assert await run(execute="SELECT link_key FROM sessions") == [("",)]


async def test_a_fresh_database_gets_all_in_order_and_a_second_time_none(run: Runner) -> None:
    assert await run(FIRST, SECOND) == (FIRST, SECOND)
    assert await run(execute="SELECT n FROM two") == [(1,)]
    recorded = await run(execute="SELECT version, name, checksum FROM schema_migrations ORDER BY 1")
    assert recorded == [(1, "first", FIRST.checksum), (2, "second", SECOND.checksum)]
    assert await run(FIRST, SECOND) == ()


async def test_a_newer_program_runs_only_what_is_new(run: Runner) -> None:
    await run(FIRST)
    assert await run(FIRST, SECOND) == (SECOND,)


async def test_a_migration_that_fails_leaves_nothing_of_itself(run: Runner) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        await run(FIRST, SECOND, WRONG)
    assert await run(execute="SELECT version FROM schema_migrations ORDER BY 1") == [(1,), (2,)]
    assert await run(execute="SELECT to_regclass('three')") == [(None,)]


def test_a_changed_migration_is_refused_with_what_to_do() -> None:
    with pytest.raises(MigrationError, match=r"0001 \(first\).*restore the file"):
        outstanding((Migration(1, "first", "SELECT 1"), SECOND), {1: FIRST.checksum})


def test_a_database_of_a_newer_program_is_refused_with_what_to_do() -> None:
    with pytest.raises(MigrationError, match=r"at version 2, this program knows 1.*newer"):
        outstanding((FIRST,), {1: FIRST.checksum, 2: SECOND.checksum})


def test_a_migration_that_disappeared_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"0001 \(unknown\)"):
        outstanding((SECOND,), {1: FIRST.checksum, 2: SECOND.checksum})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE schema_migrations SET checksum = 'edited'", "restore the file"),
        ("INSERT INTO schema_migrations VALUES (9999, 'future', '')", "newer locshare"),
    ],
    ids=["changed", "newer"],
)
async def test_the_store_does_not_start_on_a_database_that_does_not_fit(
    postgres_server: Server, postgres_url: str, change: str, says: str
) -> None:
    postgres_server.execute(change, database_of(postgres_url))
    with pytest.raises(MigrationError, match=says):
        await PostgresStore(postgres_url, QUICK).run()


async def test_the_tables_have_the_columns_that_were_required(
    postgres_server: Server, empty_url: str
) -> None:
    async with running_store(empty_url):
        pass
    found = postgres_server.execute(
        """
        SELECT table_name, column_name, data_type, character_maximum_length, column_default
        FROM information_schema.columns
        WHERE table_name IN ('sessions', 'participants')
        ORDER BY table_name DESC, ordinal_position
        """,
        database_of(empty_url),
    )
    assert found.splitlines() == [
        "sessions|id|uuid||",
        "sessions|name|character varying|255|",
        "sessions|created_at|timestamp with time zone||now()",
        "sessions|expires_at|timestamp with time zone||",
        "sessions|creator_id|uuid||",
        "sessions|is_active|boolean||true",
        "sessions|last_activity|timestamp with time zone||now()",
        "sessions|locked|boolean||false",
        "sessions|link_key|character varying|64|''::character varying",
        "sessions|ended_at|timestamp with time zone||",
        "participants|id|uuid||",
        "participants|session_id|uuid||",
        "participants|user_id|character varying|255|",
        "participants|display_name|character varying|100|",
        "participants|avatar_color|character varying|7|'#FF5733'::character varying",
        "participants|joined_at|timestamp with time zone||now()",
        "participants|last_seen|timestamp with time zone||now()",
        "participants|is_active|boolean||true",
        "participants|role|character varying|20|'participant'::character varying",
    ]
