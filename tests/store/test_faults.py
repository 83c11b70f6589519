"""The database goes away and comes back; callers are cancelled. Nothing promised is lost."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest
import trio
from msgspec import structs

from locshare.ops.faults.relay import Relay
from locshare.store import database as database_module
from locshare.store.bridge import open_bridge
from locshare.store.database import Database, DatabaseRefused, open_database
from locshare.store.group_commit import UncertainWrite
from locshare.store.port import StoreUnavailable
from locshare.store.postgres import PostgresStore
from tests.postgres import Server
from tests.running import LAST_RESORT_S
from tests.store.kit import (
    QUICK,
    START,
    a_participant,
    a_session,
    created,
    database_of,
    is_ready,
    joined,
    running_store,
    unavailable,
    until,
)

T = TypeVar("T")
pytestmark = pytest.mark.store
LOCK = "LOCK TABLE sessions, participants IN ACCESS EXCLUSIVE MODE"
HASTY = structs.replace(QUICK, statement_s=1.5, wait_s=2.5)


def ids(server: Server, url: str, query: str) -> set[UUID]:
    return {UUID(line) for line in server.execute(query, database_of(url)).split()}


class Load:
    """Joins, leaves, ends and touches, as fast as they go; remembers what was promised."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.session = a_session()
        self.joined: set[UUID] = set()
        self.refused: set[UUID] = set()
        self.left: set[UUID] = set()
        self.ended: set[UUID] = set()
        self.seen: dict[UUID, int] = {}
        self._stop = False

    def stop(self) -> None:
        """After the calls that are running now."""
        self._stop = True

    async def joins(self) -> None:
        while not self._stop:
            person = a_participant(self.session.id)
            try:
                await self.store.add_participant(person)
            except StoreUnavailable:
                self.refused.add(person.id)
                continue
            self.joined.add(person.id)
            number = len(self.joined)
            if number % 3 == 0:
                await self.store.deactivate_participant(self.session.id, person.user_id)
                self.left.add(person.id)
            else:
                moment = START + number * (START - START.replace(microsecond=0))
                self.store.touch(self.session.id, moment, {person.user_id: moment})

    async def ends(self) -> None:
        while not self._stop:
            session = a_session()
            try:
                await self.store.create_session(session)
            except StoreUnavailable:
                self.refused.add(session.id)
                continue
            await self.store.end_session(session.id)
            self.ended.add(session.id)


async def grown(some: set[UUID], by: int) -> None:
    goal = len(some) + by
    await until(lambda: len(some) >= goal)


async def test_a_stop_and_start_of_the_database_under_load_loses_nothing_that_was_promised(
    own_server: Server, url: str
) -> None:
    async with running_store(url, HASTY) as store:
        load = Load(store)
        await store.create_session(load.session)
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(load.joins)
            nursery.start_soon(load.ends)
            for stop in (own_server.stop, own_server.kill):
                await grown(load.joined, 40)
                await grown(load.ended, 5)
                await trio.to_thread.run_sync(stop)
                await grown(load.refused, 20)
                await trio.to_thread.run_sync(own_server.start)
            await grown(load.joined, 40)
            load.stop()
        await until(lambda: not store.statistics().pending_removals)
        await until(lambda: not store.statistics().pending_touches)
        # What was refused, but had reached the database, is erased within a few rounds.
        kept = partial(ids, own_server, url, "SELECT id FROM participants")
        kept_sessions = partial(ids, own_server, url, "SELECT id FROM sessions")
        await until(lambda: not load.refused & (kept() | kept_sessions()))
    assert kept() == load.joined - load.left
    assert kept_sessions() == load.ended | {load.session.id}
    assert ids(own_server, url, "SELECT id FROM sessions WHERE NOT is_active") == load.ended
    touched = ids(own_server, url, "SELECT id FROM participants WHERE last_seen > joined_at")
    assert touched == load.joined - load.left


async def test_while_the_database_is_away_orders_are_queued_and_read_back_and_then_written(
    own_server: Server, url: str
) -> None:
    share = LOCK.replace("ACCESS EXCLUSIVE", "SHARE")
    async with running_store(url, HASTY) as store:
        held = False
        while not held:  # again, when the store was there before the lock
            session = await created(store)
            person = await joined(store, session.id)
            await trio.to_thread.run_sync(own_server.stop)
            with trio.fail_after(LAST_RESORT_S):
                await store.deactivate_participant(session.id, person.user_id)
                await store.end_session(session.id)
            assert store.statistics().pending_removals == 2
            for call in (
                partial(store.load_session, session.id),
                partial(store.check),
                partial(store.purge, START),
                partial(store.sweep, START, START, ()),
            ):
                with pytest.raises(StoreUnavailable):
                    await call()
            await trio.to_thread.run_sync(own_server.start)
            with own_server.holding(share, database_of(url)):
                held = store.statistics().pending_removals == 2
                stored = await first_answer(partial(store.load_session, session.id))
                assert not held or store.statistics().pending_removals == 2
            assert stored is not None
            assert stored.session.is_active is False
            assert stored.participants == ()
            await until(lambda: not store.statistics().pending_removals)
    assert session.id in ids(own_server, url, "SELECT id FROM sessions WHERE NOT is_active")


async def first_answer(call: Callable[[], Awaitable[T]]) -> T:
    with trio.fail_after(LAST_RESORT_S):
        while True:
            try:
                return await call()
            except StoreUnavailable:
                await trio.sleep(0.002)


async def test_a_database_that_does_not_answer_is_unavailable_in_time_and_nothing_is_kept(
    own_server: Server, url: str
) -> None:
    async with running_store(url, HASTY) as store:
        session = await created(store)
        late, person = a_session(), a_participant(session.id)
        await store.add_participant(a_participant(session.id))  # the statement is prepared
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            partial(store.create_session, late),
            partial(store.add_participant, person),
            partial(store.load_session, session.id),
            partial(store.sweep, START, START, ()),
            partial(store.purge, START),
        )

        with own_server.holding(LOCK, database_of(url)), trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                for call in calls:
                    nursery.start_soon(unavailable, call)
                nursery.start_soon(store.end_session, session.id)
            assert store.statistics().pending_removals == 1
        await until(lambda: not store.statistics().pending_removals)
        await first_answer(store.check)
        assert await store.load_session(late.id) is None
        kept = partial(ids, own_server, url, "SELECT id FROM participants")
        await until(lambda: len(kept()) == 1)
        await until(lambda: len(ids(own_server, url, "SELECT id FROM sessions")) == 1)
        stored = await store.load_session(session.id)
        assert stored is not None
        assert person.id not in {each.id for each in stored.participants}


async def test_what_was_refused_can_be_tried_again_with_the_same_id(
    own_server: Server, url: str
) -> None:
    async with running_store(url, HASTY) as store:
        session = await created(store)
        person = a_participant(session.id)
        with own_server.holding(LOCK, database_of(url)), pytest.raises(StoreUnavailable):
            await store.add_participant(person)
        await first_answer(partial(store.add_participant, person))
        await first_answer(store.check)
        stored = await store.load_session(session.id)
        assert stored is not None
        assert stored.participants == (person,)


@pytest.mark.parametrize(
    "name", ["create_session", "add_participant", "load_session", "sweep", "purge", "end_session"]
)
async def test_a_cancelled_call_gives_its_connection_back(
    own_server: Server, url: str, name: str
) -> None:
    limits = structs.replace(QUICK, connections=2, statement_s=5, wait_s=5)
    async with running_store(url, limits) as store:
        session = await created(store)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "create_session": lambda: store.create_session(a_session()),
            "add_participant": lambda: store.add_participant(a_participant(session.id)),
            "load_session": lambda: store.load_session(session.id),
            "sweep": lambda: store.sweep(START, START, ()),
            "purge": lambda: store.purge(START),
            "end_session": lambda: store.end_session(session.id),
        }
        backends = partial(
            own_server.execute,
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
            database_of(url),
        )
        with own_server.holding(LOCK, database_of(url)), trio.fail_after(LAST_RESORT_S):
            for _ in range(3):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(calls[name])
                    await until(lambda: backends() != "0")
                    nursery.cancel_scope.cancel()
        with trio.fail_after(LAST_RESORT_S):
            for call in calls.values():
                await call()


async def test_one_cancelled_join_harms_no_other_of_its_batch(own_server: Server, url: str) -> None:
    async with running_store(url) as store:
        session = await created(store)
        people = [a_participant(session.id) for _ in range(4)]
        scopes = [trio.CancelScope() for _ in people]

        async def join(number: int) -> None:
            with scopes[number]:
                await store.add_participant(people[number])

        async with trio.open_nursery() as nursery:
            with own_server.holding(LOCK, database_of(url)):
                nursery.start_soon(join, 0)
                await until(lambda: store.statistics().join_batches == 1)
                for number in (1, 2, 3):
                    nursery.start_soon(join, number)
                await until(lambda: store.statistics().pending_commits == 3)
                scopes[0].cancel()  # its batch is being written
                scopes[2].cancel()  # its batch is not
                await until(lambda: store.statistics().pending_commits == 2)
        stored = await store.load_session(session.id)
        assert stored is not None
        assert {each.id for each in stored.participants} == {
            people[number].id for number in (0, 1, 3)
        }


async def test_a_stop_in_the_middle_of_a_batch_answers_every_waiting_caller(
    own_server: Server, url: str
) -> None:
    outcomes: list[str] = []
    limits = structs.replace(QUICK, statement_s=5, wait_s=5, flush_s=0.1)
    store = PostgresStore(url, limits)

    async def join() -> None:
        with pytest.raises(StoreUnavailable):
            await store.add_participant(a_participant(uuid4()))
        outcomes.append("unavailable")

    async with trio.open_nursery() as callers, trio.open_nursery() as nursery:
        await nursery.start(store.run)
        with own_server.holding(LOCK, database_of(url)):
            callers.start_soon(join)
            await until(lambda: store.statistics().join_batches == 1)
            callers.start_soon(join)
            await until(lambda: store.statistics().pending_commits == 1)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await until(lambda: len(outcomes) == 2)
    assert outcomes == ["unavailable"] * 2


# --- opening --------------------------------------------------------------------------------------


async def test_the_first_start_waits_for_the_database(own_server: Server, url: str) -> None:
    await trio.to_thread.run_sync(own_server.stop)
    async with trio.open_nursery() as nursery:
        store = PostgresStore(url, QUICK)
        nursery.start_soon(trio.to_thread.run_sync, own_server.start)
        await nursery.start(store.run)
        await store.check()
        nursery.cancel_scope.cancel()


async def test_the_first_start_gives_up_in_time(tmp_path: Path) -> None:
    store = PostgresStore(
        f"postgresql://postgres@/postgres?host={tmp_path}", structs.replace(QUICK, open_s=0.05)
    )
    with (
        trio.fail_after(LAST_RESORT_S),
        pytest.raises(DatabaseRefused, match="no PostgreSQL socket"),
    ):
        await store.run()


@pytest.mark.parametrize(
    "url", ["mysql://ana:hidden@host/db", "postgresql://ana:hidden@host:port/db", "hidden"]
)
async def test_a_url_that_is_none_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(DatabaseRefused, match="LOCSHARE_DATABASE_URL") as caught:
        await PostgresStore(url, QUICK).run()
    assert "hidden" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_refused_at_once(own_server: Server) -> None:
    with (
        trio.fail_after(LAST_RESORT_S),
        pytest.raises(DatabaseRefused, match="LOCSHARE_DATABASE_URL"),
    ):
        await PostgresStore(own_server.url("nowhere"), QUICK).run()


async def test_run_again_while_the_database_is_away_it_starts_at_once_and_waits(
    own_server: Server, url: str
) -> None:
    store = PostgresStore(url, QUICK)
    session = a_session()
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await store.create_session(session)
        nursery.cancel_scope.cancel()
    await store.end_session(session.id)
    await trio.to_thread.run_sync(own_server.stop)
    async with trio.open_nursery() as nursery:
        with trio.fail_after(LAST_RESORT_S):
            await nursery.start(store.run)
        await trio.to_thread.run_sync(own_server.start)
        await first_answer(store.check)
        await until(lambda: not store.statistics().pending_removals)
        nursery.cancel_scope.cancel()
    query = "SELECT id FROM sessions WHERE NOT is_active"
    assert ids(own_server, url, query) == {session.id}


async def test_after_a_storm_of_cancellations_no_query_runs_on_and_every_connection_is_free(
    own_server: Server, url: str
) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable

    async def query(connection: Any, seconds: float) -> int:
        value: int = await connection.fetchval("SELECT 1 FROM pg_sleep($1)", seconds)
        return value

    async def caller(database: Database, timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            assert await database.run(query, chance.random() / 50) == 1

    async with (
        open_bridge() as bridge,
        open_database(bridge, url, connections=4, timeout_s=5) as database,
    ):
        await database.open(partial(query, seconds=0))
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(60):
                    nursery.start_soon(caller, database, chance.choice((0, 0.005, 0.02, 60)))
        with trio.fail_after(LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(caller, database, 60)
        busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND "
        busy += "state = 'active' AND pid <> pg_backend_pid()"
        assert own_server.execute(busy) == "0"


async def test_a_check_that_nobody_waited_for_says_nothing(own_server: Server, url: str) -> None:
    """A readiness probe gives up after a second, which is no sign of health for the next one."""
    async with running_store(url, HASTY) as store:
        await first_answer(store.check)
        lock = "LOCK TABLE readiness IN ACCESS EXCLUSIVE MODE"
        store._checked_at = float("-inf")  # the result of the last one is too old
        with own_server.holding(lock, database_of(url)):
            with trio.move_on_after(0.05) as gave_up:
                await store.check()
            assert gave_up.cancelled_caught
            assert not await is_ready(store)
        await first_answer(store.check)


@asynccontextmanager
async def database_behind(relay: Relay, url: str) -> AsyncIterator[Database]:
    """An open database with one connection, through ``relay``."""

    @asynccontextmanager
    async def server() -> AsyncIterator[str]:
        yield url

    async def nothing(_connection: Any) -> None:
        pass

    async with (
        open_bridge() as bridge,
        relay.around(server)() as relayed,
        open_database(bridge, relayed, connections=1, timeout_s=1.0) as database,
    ):
        await database.open(nothing)
        yield database


async def test_a_transaction_whose_server_has_gone_silent_ends_in_time(
    own_server: Server, url: str
) -> None:
    """As after a failover by address: the old server answers nothing any more, not even a reset."""
    relay = Relay()
    here = trio.lowlevel.current_trio_token()

    async def write(connection: Any) -> None:
        async with connection.transaction():
            trio.from_thread.run_sync(relay.delay, 3600, trio_token=here)
            await connection.execute("SELECT 1")

    async with database_behind(relay, url) as database:
        with trio.fail_after(LAST_RESORT_S), pytest.raises(UncertainWrite) as lost:
            await database.run(write)
        assert isinstance(lost.value.__cause__, TimeoutError)  # the sentence about it says so


async def test_work_that_is_done_counts_although_its_old_connection_does_not_close_in_time(
    own_server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close(connection: Any, *, timeout: float = 0.0) -> None:
        connection.terminate()
        raise TimeoutError

    async def ask(connection: Any) -> int:
        value: int = await connection.fetchval("SELECT 1")
        return value

    monkeypatch.setattr(database_module, "MAX_AGE_S", 0.0)
    monkeypatch.setattr(asyncpg.Connection, "close", close)
    async with database_behind(Relay(), url) as database:
        assert await database.run(ask) == 1
