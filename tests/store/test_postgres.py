"""Every rule of the port, kept by the store on a real PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog.testing
import trio
from msgspec import structs

from locshare.model.participant import Role
from locshare.store.migrate import bundled
from locshare.store.port import FoundParticipant, ParticipantRecord, StoreUnavailable
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
    joined,
    running_store,
    until,
)

pytestmark = pytest.mark.store
HOUR = timedelta(hours=1)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    async with running_store(postgres_url) as store:
        yield store


async def read_afresh(url: str, session_id: UUID) -> Any:
    """What another program would read: only what is in the database."""
    async with running_store(url) as other:
        return await other.load_session(session_id)


async def test_a_created_session_is_durable_and_read_back_as_it_was(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store, name="山歩き 🏔 Ünï")
    read = await read_afresh(postgres_url, session.id)
    assert read.session == session
    assert type(read.session.id) is UUID
    assert read.session.created_at.utcoffset() == timedelta(0)
    assert read.participants == ()


async def test_an_unknown_session_is_none(store: PostgresStore) -> None:
    assert await store.load_session(uuid4()) is None


async def test_creating_a_session_twice_is_creating_it_once(store: PostgresStore) -> None:
    session = await created(store)
    await store.create_session(session)
    assert (await load(store, session.id)).session == session


async def load(store: PostgresStore, session_id: UUID) -> Any:
    stored = await store.load_session(session_id)
    assert stored is not None
    return stored


async def test_participants_are_read_in_the_order_of_joining(store: PostgresStore) -> None:
    session = await created(store)
    people = [a_participant(session.id, joined_at=START + n * HOUR) for n in range(5)]
    for person in (people[3], people[0], people[4], people[2], people[1]):
        await store.add_participant(person)
    assert (await load(store, session.id)).participants == tuple(people)


async def test_joining_twice_with_the_same_id_is_joining_once(store: PostgresStore) -> None:
    session = await created(store)
    person = a_participant(session.id)
    await store.add_participant(person)
    await store.add_participant(person)
    assert (await load(store, session.id)).participants == (person,)


async def test_joining_an_unknown_session_is_a_key_error(store: PostgresStore) -> None:
    with pytest.raises(KeyError):
        await store.add_participant(a_participant(uuid4()))


@pytest.mark.parametrize("name", ["a\0b", "\ud83d"], ids=["NUL", "half a surrogate pair"])
async def test_text_that_postgresql_cannot_hold_is_a_value_error(
    store: PostgresStore, name: str
) -> None:
    session = a_session()
    with pytest.raises(ValueError, match="cannot be stored"):
        await store.create_session(a_session(name=name))
    await store.create_session(session)
    with pytest.raises(ValueError, match="cannot be stored"):
        await store.add_participant(a_participant(session.id, display_name=name))


async def test_a_row_that_breaks_a_check_is_a_value_error_that_does_not_quote_it(
    store: PostgresStore,
) -> None:
    session = await created(store)
    for wrong in (
        a_participant(session.id, display_name="secret" * 20),
        a_participant(session.id, display_name=""),
        a_participant(session.id, avatar_color="secret"),
    ):
        with pytest.raises(ValueError, match="refuses") as caught:
            await store.add_participant(wrong)
        assert "secret" not in str(caught.value)
    for bad in (
        a_session(name=""),
        a_session(name="x" * 256),
        a_session(expires_at=START),
    ):
        with pytest.raises(ValueError, match="refuses"):
            await store.create_session(bad)


async def test_one_statement_takes_all_joins_that_wait(
    store: PostgresStore, postgres_server: Server, postgres_url: str
) -> None:
    session = await created(store)
    people = [a_participant(session.id) for _ in range(51)]
    lock = "LOCK TABLE participants IN ACCESS EXCLUSIVE MODE"
    async with trio.open_nursery() as nursery:
        with postgres_server.holding(lock, database_of(postgres_url)):
            nursery.start_soon(store.add_participant, people[0])
            await until(lambda: store.statistics().join_batches == 1)
            for person in people[1:]:
                nursery.start_soon(store.add_participant, person)
            await until(lambda: store.statistics().pending_commits == 50)
    assert store.statistics().join_batches == 2
    assert {each.id for each in (await load(store, session.id)).participants} == {
        person.id for person in people
    }


async def test_one_wrong_join_fails_no_other_of_its_batch(
    store: PostgresStore, postgres_server: Server, postgres_url: str
) -> None:
    session = await created(store)
    first = a_participant(session.id)
    good = [a_participant(session.id) for _ in range(3)]
    unknown, too_long = a_participant(uuid4()), a_participant(session.id, display_name="x" * 101)
    outcomes: dict[UUID, str] = {}

    async def join(person: ParticipantRecord) -> None:
        try:
            await store.add_participant(person)
        except (KeyError, ValueError) as error:
            outcomes[person.id] = type(error).__name__
        else:
            outcomes[person.id] = "durable"

    lock = "LOCK TABLE participants IN ACCESS EXCLUSIVE MODE"
    async with trio.open_nursery() as nursery:
        with postgres_server.holding(lock, database_of(postgres_url)):
            nursery.start_soon(join, first)
            await until(lambda: store.statistics().join_batches == 1)
            for person in (good[0], unknown, good[1], too_long, good[2]):
                nursery.start_soon(join, person)
            await until(lambda: store.statistics().pending_commits == 5)
    assert outcomes == {
        **{person.id: "durable" for person in (first, *good)},
        unknown.id: "KeyError",
        too_long.id: "ValueError",
    }
    assert store.statistics().join_batches == 2
    assert len((await load(store, session.id)).participants) == 4


async def test_a_leave_and_an_end_are_durable_on_return(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store)
    stays, goes = a_participant(session.id), a_participant(session.id)
    await store.add_participant(stays)
    await store.add_participant(goes)
    await store.deactivate_participant(session.id, goes.user_id)
    await store.end_session(session.id)
    assert store.statistics().pending_removals == 0
    read = await read_afresh(postgres_url, session.id)
    assert read.session.is_active is False
    assert [each.id for each in read.participants] == [stays.id]


async def test_a_leave_or_an_end_of_what_is_unknown_does_nothing(store: PostgresStore) -> None:
    await store.deactivate_participant(uuid4(), "nobody")
    await store.end_session(uuid4())
    assert store.statistics().pending_removals == 0


async def test_the_newest_touch_is_written_in_a_batch_and_none_goes_back(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store)
    person = await joined(store, session.id)
    for hours in (1, 3, 2):
        store.touch(session.id, START + hours * HOUR, {person.user_id: START + hours * HOUR})
    await until(lambda: store.statistics().pending_touches == 0)
    store.touch(session.id, START, {person.user_id: START, "nobody": START})
    await until(lambda: store.statistics().pending_touches == 0)
    read = await read_afresh(postgres_url, session.id)
    assert read.session.last_activity == START + 3 * HOUR
    assert read.participants[0].last_seen == START + 3 * HOUR


async def test_a_touch_that_the_database_refuses_is_given_up_and_those_with_it_are_written(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store)
    people = [await joined(store, session.id) for _ in range(2)]
    seen = [people[0].user_id, "a\0b", people[1].user_id]
    with structlog.testing.capture_logs() as lines:
        store.touch(session.id, START + HOUR, dict.fromkeys(seen, START + HOUR))
        await until(lambda: store.statistics().pending_touches == 0)
    assert [line["event"] for line in lines] == ["late_write_refused"]
    assert store.statistics().dropped == 1
    read = await read_afresh(postgres_url, session.id)
    assert read.session.last_activity == START + HOUR
    assert {each.last_seen for each in read.participants} == {START + HOUR}


async def test_a_touch_that_the_database_refuses_takes_no_leave_with_it(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store)
    person = await joined(store, session.id)
    store.touch(session.id, START + HOUR, {"a\0b": START + HOUR})
    store.note_leaves(session.id, [person.user_id])
    await until(lambda: store.statistics().dropped)
    await until(lambda: not store.statistics().pending_removals)
    read = await read_afresh(postgres_url, session.id)
    assert read.participants == ()
    assert read.session.last_activity == START + HOUR


async def test_a_touch_is_read_back_before_it_is_written(postgres_url: str) -> None:
    async with running_store(postgres_url, structs.replace(QUICK, touch_every_s=60)) as store:
        session = await created(store)
        person = await joined(store, session.id)
        store.touch(session.id, START + HOUR, {person.user_id: START + HOUR})
        read = await load(store, session.id)
        assert store.statistics().pending_touches == 2
    assert read.session.last_activity == START + HOUR
    assert read.participants[0].last_seen == START + HOUR


async def test_stopping_writes_what_waits(postgres_url: str) -> None:
    session = a_session()
    async with running_store(postgres_url, structs.replace(QUICK, touch_every_s=60)) as store:
        await store.create_session(session)
        store.touch(session.id, START + HOUR, {})
    assert (await read_afresh(postgres_url, session.id)).session.last_activity == START + HOUR


async def test_the_sweep_ends_expired_and_unused_sessions(store: PostgresStore) -> None:
    now, since = START + 3 * HOUR, START + 2 * HOUR
    fresh = a_session(last_activity=now)
    expired = a_session(expires_at=START + 2 * HOUR, last_activity=now)
    expired_live = a_session(expires_at=now, last_activity=now)
    unused = a_session()
    unused_live = a_session()
    ended = a_session(is_active=False)
    every = (fresh, expired, expired_live, unused, unused_live, ended)
    for session in every:
        await store.create_session(session)
    swept = await store.sweep(now, since, {unused_live.id, expired_live.id})
    assert swept == {
        expired.id: "expired", expired_live.id: "expired", unused.id: "inactive",
    }  # fmt: skip
    active = {each.id: (await load(store, each.id)).session.is_active for each in every}
    assert {key for key, value in active.items() if value} == {fresh.id, unused_live.id}
    assert await store.sweep(now, since, {unused_live.id}) == {}


async def test_activity_that_is_not_written_yet_keeps_a_session_from_the_sweep(
    postgres_url: str,
) -> None:
    async with running_store(postgres_url, structs.replace(QUICK, touch_every_s=60)) as store:
        used, unused = a_session(), a_session()
        for session in (used, unused):
            await store.create_session(session)
        store.touch(used.id, START + 2 * HOUR, {})
        store.touch(unused.id, START + HOUR, {})
        swept = await store.sweep(START + 3 * HOUR, START + 2 * HOUR, ())
    assert swept == {unused.id: "inactive"}


async def test_the_purge_deletes_what_is_over_and_expired_with_its_participants(
    store: PostgresStore, postgres_server: Server, postgres_url: str
) -> None:
    old = a_session(is_active=False, expires_at=START + HOUR)
    active = a_session(expires_at=START + HOUR)
    young = a_session(is_active=False)
    for session in (old, active, young):
        await store.create_session(session)
        await store.add_participant(a_participant(session.id))
    assert await store.purge(START + 2 * HOUR) == 1
    assert await store.load_session(old.id) is None
    assert await store.load_session(active.id) is not None
    assert await store.load_session(young.id) is not None
    count = postgres_server.execute("SELECT count(*) FROM participants", database_of(postgres_url))
    assert count == "2"


async def test_a_purge_of_more_than_a_batch_deletes_all(postgres_url: str) -> None:
    async with running_store(postgres_url, structs.replace(QUICK, batch=3)) as store:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                session = a_session(is_active=False, expires_at=START + HOUR)
                nursery.start_soon(store.create_session, session)
        assert await store.purge(START + 2 * HOUR) == 10


async def test_check_is_a_round_trip(store: PostgresStore) -> None:
    await store.check()


async def test_before_it_runs_and_after_it_was_stopped_every_call_is_unavailable(
    postgres_url: str,
) -> None:
    session = a_session()
    unopened = PostgresStore(postgres_url, QUICK)
    async with running_store(postgres_url) as stopped:
        await stopped.check()
    for store in (unopened, stopped):
        with trio.fail_after(LAST_RESORT_S):
            for call, *args in (
                (store.create_session, session),
                (store.add_participant, a_participant(session.id)),
                (store.load_session, session.id),
                (store.sweep, START, START, ()),
                (store.purge, START),
                (store.check,),
            ):
                with pytest.raises(StoreUnavailable) as caught:
                    await call(*args)
                assert caught.value.retry_after > 0, "asked again at once, it is no better"
            await store.end_session(session.id)
            assert store.statistics().pending_removals == 1


async def test_two_stores_on_one_fresh_database_migrate_it_once(postgres_server: Server) -> None:
    name = postgres_server.create_database(template=None)
    url = postgres_server.url(name)
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(read_afresh, url, uuid4())
        rows = postgres_server.execute("SELECT version FROM schema_migrations", name)
        assert sorted(rows.split()) == [str(each.version) for each in bundled()]
    finally:
        postgres_server.drop_database(name)


async def test_a_lock_is_durable(store: PostgresStore, postgres_url: str) -> None:
    session, other = a_session(), a_session()
    for each in (session, other):
        await store.create_session(each)
    for locked in (True, True, False, True):
        await store.set_locked(session.id, locked)
        assert (await read_afresh(postgres_url, session.id)).session.locked is locked
    assert not (await read_afresh(postgres_url, other.id)).session.locked
    await store.set_locked(uuid4(), True)


async def test_a_new_link_is_durable_and_a_session_begins_without_a_key(
    store: PostgresStore, postgres_url: str
) -> None:
    session, other = await created(store), await created(store)
    for key in ("a" * 24, "b" * 24):
        await store.set_link_key(session.id, key)
        assert (await read_afresh(postgres_url, session.id)).session.link_key == key
    assert (await read_afresh(postgres_url, other.id)).session.link_key == ""
    await store.set_link_key(uuid4(), "c" * 24)


async def test_a_host_is_read_back_as_a_host(store: PostgresStore, postgres_url: str) -> None:
    session = await created(store)
    people = [a_participant(session.id, role=role) for role in ("host", "participant")]
    for each in people:
        await store.add_participant(each)
    read = await read_afresh(postgres_url, session.id)
    assert {each.user_id: each.role for each in read.participants} == {
        each.user_id: each.role for each in people
    }


async def test_a_role_is_written_for_one_participant_of_one_session(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store)
    bo, cy = a_participant(session.id), a_participant(session.id)
    for each in (bo, cy):
        await store.add_participant(each)
    roles: tuple[Role, ...] = ("host", "host", "participant", "host")
    for role in roles:
        await store.set_role(session.id, bo.user_id, role)
        read = await read_afresh(postgres_url, session.id)
        assert {each.user_id: each.role for each in read.participants} == {
            bo.user_id: role,
            cy.user_id: "participant",
        }
    await store.set_role(uuid4(), bo.user_id, "participant")
    assert "host" in {
        each.role for each in (await read_afresh(postgres_url, session.id)).participants
    }


async def test_a_participant_is_found_by_a_range_of_ids(store: PostgresStore) -> None:
    session = await created(store)
    inside, outside = a_participant(session.id, role="host"), a_participant(session.id)
    for each in (inside, outside):
        await store.add_participant(each)
    (found,) = await store.find_participants(inside.id, UUID(int=inside.id.int | 0xFF))
    assert found == FoundParticipant(
        inside.id, session.id, inside.user_id, "host", session.expires_at
    )
    await store.deactivate_participant(session.id, inside.user_id)
    assert await store.find_participants(inside.id, inside.id) == ()


async def test_leaves_that_are_noted_count_at_once_and_are_written_soon(
    store: PostgresStore, postgres_url: str
) -> None:
    session = await created(store)
    people = [await joined(store, session.id) for _ in range(3)]
    store.note_leaves(session.id, [each.user_id for each in people[:2]])
    stored = await store.load_session(session.id)
    assert stored is not None
    assert [each.user_id for each in stored.participants] == [people[2].user_id]
    await until(lambda: store.statistics().pending_removals == 0)
    read = await read_afresh(postgres_url, session.id)
    assert [each.user_id for each in read.participants] == [people[2].user_id]
