"""Whatever becomes of the database: the store says so once, and is well again by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import structlog
import structlog.testing
import trio
from msgspec import structs

from locshare.store import database as database_module
from locshare.store.outage import QUIET_S, Outage
from locshare.store.port import SessionRecord
from locshare.store.postgres import PostgresStore
from tests.postgres import Server
from tests.running import LAST_RESORT_S
from tests.store.kit import (
    QUICK,
    a_participant,
    a_session,
    created,
    database_of,
    is_ready,
    running_store,
    unavailable,
    until,
)

pytestmark = pytest.mark.store
HASTY = structs.replace(QUICK, statement_s=1.5, wait_s=2.5, check_s=0.05)


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def errors(lines: list[Any]) -> list[str]:
    return [line["reason"] for line in lines if line["event"] == "database_away"]


@asynccontextmanager
async def live(url: str) -> AsyncIterator[tuple[PostgresStore, SessionRecord]]:
    """A store with a session in it."""
    async with running_store(url, HASTY) as store:
        session = await created(store)
        await store.add_participant(a_participant(session.id))
        await store.check()
        yield store, session


async def ready(store: PostgresStore) -> None:
    with trio.fail_after(LAST_RESORT_S):
        while not await is_ready(store):  # noqa: ASYNC110 - the database sends no events
            await trio.sleep(0.01)


async def not_ready(store: PostgresStore) -> None:
    with trio.fail_after(LAST_RESORT_S):
        while await is_ready(store):  # noqa: ASYNC110 - the database sends no events
            await trio.sleep(0.01)


# What an administrator does, how it is undone, and what the log line says of it.
DEEDS = {
    "rename": (
        "ALTER TABLE participants RENAME TO p2",
        "ALTER TABLE p2 RENAME TO participants",
        "LOCSHARE_DATABASE_SCHEMA",
    ),
    "column": (
        "ALTER TABLE participants RENAME COLUMN avatar_color TO avatar_colour",
        "ALTER TABLE participants RENAME COLUMN avatar_colour TO avatar_color",
        "avatar_color",
    ),
    "trigger": (
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'not today'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON participants FOR EACH ROW
            EXECUTE FUNCTION refuse()""",
        "DROP TRIGGER refuse ON participants; DROP FUNCTION refuse",
        "not today",
    ),
    "read-only": (
        "ALTER DATABASE {database} SET default_transaction_read_only = on",
        """SET default_transaction_read_only = off;
            ALTER DATABASE {database} RESET default_transaction_read_only""",
        "read-only",
    ),
    "no connections": (
        "ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false",
        "ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true",
        "not currently accepting connections",
    ),
}
THROW_OUT = (
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
    " WHERE datname = '{database}' AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize("deed", DEEDS)
async def test_any_outage_is_one_error_line_and_503_and_ends_without_help(
    own_server: Server, url: str, lines: list[Any], deed: str
) -> None:
    do, undo, says = DEEDS[deed]
    database = database_of(url)
    inside = database if "DATABASE" not in do else "postgres"
    async with live(url) as (store, session):
        own_server.execute(do.format(database=database), inside)
        if "DATABASE" in do:
            own_server.execute(THROW_OUT.format(database=database))
            # Else a connection whose end is not read yet may be the cause that is told.
            assert store._database is not None
            await store._database._bridge.call(asyncio.sleep, 0.1)
        join = lambda: store.add_participant(a_participant(session.id))  # noqa: E731
        for _ in range(20):
            await unavailable(join)
        if deed != "trigger":  # which nothing finds out but a join
            assert not await is_ready(store)
        await store.end_session(session.id)  # is queued, if it cannot be written
        own_server.execute(undo.format(database=database), inside)
        await ready(store)
        await store.add_participant(a_participant(session.id))
        await until(lambda: not store.statistics().pending_removals)
        await until(lambda: store.statistics().is_open)
    told = [each for each in errors(lines) if says in each]
    assert len(told) == 1
    assert not [line for line in lines if line["log_level"] == "error" and "exc_info" in line]


async def test_a_privilege_that_was_taken_away_is_an_outage_and_no_crash(
    own_server: Server, url: str, lines: list[Any]
) -> None:
    database = database_of(url)
    role = f"role_{database}"
    own_server.execute(f"CREATE ROLE {role} LOGIN", database)
    rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    own_server.execute(f"GRANT {rights} TO {role}", database)
    try:
        async with live(url.replace("postgres@", f"{role}@")) as (store, session):
            own_server.execute(f"REVOKE INSERT ON participants FROM {role}", database)
            await unavailable(lambda: store.add_participant(a_participant(session.id)))
            assert not await is_ready(store)
            own_server.execute(f"GRANT INSERT ON participants TO {role}", database)
            await ready(store)
            await store.add_participant(a_participant(session.id))
    finally:
        own_server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)
    (said,) = errors(lines)
    assert "permission denied for table participants" in said
    assert "LOCSHARE_DATABASE_SCHEMA" in said


async def test_a_database_that_was_emptied_gets_its_tables_back(
    own_server: Server, url: str
) -> None:
    async with live(url) as (store, _):
        own_server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database_of(url))
        await unavailable(lambda: store.create_session(a_session()))
        await ready(store)
        await store.create_session(a_session())


def backends(server: Server, url: str) -> set[str]:
    """The process ids at the server of the store's connections."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'locshare' AND "
    return set(server.execute(f"{query} datname = current_database()", database_of(url)).split())


async def test_after_a_failover_no_connection_to_the_old_server_is_kept(
    own_server: Server, url: str
) -> None:
    """The server under the pool becomes read-only, and throws nobody out."""
    setting = "ALTER SYSTEM {} default_transaction_read_only {}"
    reload = "SELECT pg_reload_conf()"
    async with live(url) as (store, session):
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(store.load_session, session.id)
        before = backends(own_server, url)
        assert len(before) > 1
        try:
            own_server.execute(setting.format("SET", "= on"))
            own_server.execute(reload)
            with trio.fail_after(LAST_RESORT_S):
                await not_ready(store)
                while backends(own_server, url) & before:
                    await unavailable(lambda: store.create_session(a_session()))
                    await store.load_session(session.id)  # reading goes on
        finally:
            own_server.execute(setting.format("RESET", ""))
            own_server.execute(reload)
        await ready(store)
        await store.create_session(a_session())


async def test_a_connection_has_a_maximum_age(
    own_server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live(url) as (store, session):
        young = backends(own_server, url)
        for _ in range(3):
            await store.load_session(session.id)
        assert backends(own_server, url) == young
    monkeypatch.setattr(database_module, "MAX_AGE_S", -1.0)
    async with live(url) as (store, session):
        for _ in range(3):
            assert await store.load_session(session.id) is not None
            await until(lambda: not backends(own_server, url))


async def test_a_server_that_is_killed_again_and_again_never_ends_the_store(
    own_server: Server, url: str, lines: list[Any]
) -> None:
    async with live(url) as (store, session):
        for _ in range(5):
            await trio.to_thread.run_sync(own_server.kill)
            await not_ready(store)
            await trio.to_thread.run_sync(own_server.start)
            await ready(store)
        await store.add_participant(a_participant(session.id))


async def test_an_error_that_is_not_the_databases_crashes_no_waiting_caller(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours in a statement: its caller is told, the next one is served."""
    async with live(url) as (store, session):

        async def broken(*_: object) -> None:
            raise RuntimeError("a fault")

        with monkeypatch.context() as patch:
            patch.setattr(store._sql, "insert_participants", broken)
            await unavailable(lambda: store.add_participant(a_participant(session.id)))
        await store.add_participant(a_participant(session.id))


async def test_many_readiness_probes_cause_one_check_of_the_database(
    own_server: Server, url: str
) -> None:
    async with running_store(url, structs.replace(HASTY, check_s=60)) as store:
        asked = 0
        real = store._sql.probe

        async def probe(connection: Any) -> bool:
            nonlocal asked
            asked += 1
            return await real(connection)

        store._sql.probe = probe  # type: ignore[method-assign]
        store._checked_at = float("-inf")
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(store.check)
        assert asked == 1


async def test_readiness_needs_room_on_the_disk_each_time_and_the_table_stays_small(
    own_server: Server, url: str
) -> None:
    """Each check extends the file: an update of a row that fits beside the old one would not."""
    size = partial(own_server.execute, "SELECT pg_relation_size('readiness')", database_of(url))
    own_server.execute("ALTER TABLE readiness SET (autovacuum_enabled = off)", database_of(url))
    async with running_store(url, structs.replace(HASTY, check_s=0)) as store:
        before, grown = int(size()), 0
        for _ in range(5):
            await store.check()
            after = int(size())
            grown += after > before
            before = after
        assert grown == 5
        for _ in range(150):
            await store.check()
        assert int(size()) < 1_200_000


# --- what is logged -------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_outage_is_logged_once_and_again_when_it_returns_after_a_while(
    lines: list[Any],
) -> None:
    clock = Clock()
    outage = Outage(clock)
    assert outage.begin("no server")
    assert not outage.begin("no server, still")
    clock.now = 3.0
    outage.end()
    outage.end()
    assert [line["event"] for line in lines] == ["database_away", "database_back"]
    assert lines[1]["away_s"] == 3.0
    outage.begin("no server")
    outage.end()
    assert len(errors(lines)) == 1
    outage.begin("a full disk")
    outage.end()
    assert len(errors(lines)) == 2
    clock.now = 3.0 + QUIET_S
    outage.begin("a full disk")
    assert len(errors(lines)) == 3
    assert outage.count == 4


def test_what_fails_on_every_second_attempt_does_not_fill_the_log(lines: list[Any]) -> None:
    clock = Clock()
    outage = Outage(clock)
    for _ in range(1000):
        outage.begin("not today")
        outage.end()
        clock.now += 0.05
    assert len(lines) <= 4
