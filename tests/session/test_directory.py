"""Who owns a session is asked in one place, for reads, starts and writes alike."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import trio

from locshare.actors import Registry
from locshare.actors.testing import settle
from locshare.session.directory.directory import THIS_PROCESS, Owner, SessionDirectory
from locshare.session.directory.owned_store import OwnedStore
from locshare.session.errors import SessionElsewhere, SessionUnavailable
from locshare.session.manager import SessionManager
from locshare.session.table import SessionTable
from locshare.store.port import ParticipantRecord, SessionRecord, StoredSession
from tests.doubles import MemoryStore
from tests.session.kit import HOUR, START, house
from tests.store import kit

ELSEWHERE = Owner("node-2")


class Leases:
    """Every session is here, but for those that moved."""

    def __init__(self) -> None:
        self.moved: set[UUID] = set()

    def owner_of(self, session_id: UUID) -> Owner:
        return ELSEWHERE if session_id in self.moved else THIS_PROCESS


def a_session() -> SessionRecord:
    return kit.a_session(created_at=START, expires_at=START + HOUR, last_activity=START)


def a_participant(session: SessionRecord) -> ParticipantRecord:
    return kit.a_participant(session.id, user_id="ada")


def test_a_directory_keeps_one_table_per_session_and_forgets_only_that_one() -> None:
    directory = SessionDirectory(Registry())
    stored = StoredSession(a_session(), ())
    older, newer = SessionTable(stored, 0.0), SessionTable(stored, 1.0)
    directory.add(older)
    directory.add(newer)
    directory.remove(older)
    assert directory.find(stored.session.id) is newer
    assert directory.holds(newer)
    assert not directory.holds(older)
    assert directory.tables() == (newer,)
    assert [*directory.ids()] == [stored.session.id]
    directory.remove(newer)
    assert directory.find(stored.session.id) is None


def test_while_one_process_runs_all_sessions_it_owns_each() -> None:
    directory = SessionDirectory(Registry())
    assert directory.owner_of(uuid4()) == THIS_PROCESS
    assert directory.owns(uuid4())
    directory.check_owned(uuid4())


def test_a_session_of_another_process_is_not_found_here_even_with_a_table() -> None:
    leases = Leases()
    directory = SessionDirectory(Registry(), leases.owner_of)
    table = SessionTable(StoredSession(a_session(), ()), 0.0)
    directory.add(table)
    leases.moved.add(table.session.id)
    with pytest.raises(SessionElsewhere) as raised:
        directory.find(table.session.id)
    assert raised.value.owner == "node-2"
    assert isinstance(raised.value, SessionUnavailable), "a client may try again"


async def test_writes_for_a_session_of_another_process_never_reach_the_store() -> None:
    leases, inner, session = Leases(), MemoryStore(), a_session()
    store = OwnedStore(inner, SessionDirectory(Registry(), leases.owner_of))
    await store.create_session(session)
    await store.add_participant(a_participant(session))
    calls = dict(inner.calls)
    leases.moved.add(session.id)
    writes: list[Callable[[], Awaitable[None]]] = [
        lambda: store.create_session(session),
        lambda: store.add_participant(a_participant(session)),
        lambda: store.deactivate_participant(session.id, "ada"),
        lambda: store.set_locked(session.id, True),
        lambda: store.end_session(session.id),
    ]
    for write in writes:
        with pytest.raises(SessionElsewhere):
            await write()
    store.touch(session.id, START, {})
    store.note_leaves(session.id, ["ada"])
    assert inner.calls == calls
    assert not inner.touches
    assert not inner.late_leaves
    assert (await store.load_session(session.id)) is not None, "anybody may read the rows"


async def test_writes_for_a_session_of_this_process_reach_the_store() -> None:
    inner, session = MemoryStore(), a_session()
    store = OwnedStore(inner, SessionDirectory(Registry()))
    await store.create_session(session)
    await store.add_participant(a_participant(session))
    await store.set_locked(session.id, True)
    store.touch(session.id, START, {"ada": START})
    assert inner.touches == [(session.id, START, {"ada": START})]
    await store.deactivate_participant(session.id, "ada")
    store.note_leaves(session.id, ["ada"])
    await store.end_session(session.id)
    assert not inner.sessions[session.id].is_active
    assert inner.sessions[session.id].locked
    await store.check()
    assert await store.purge(START + 3 * HOUR) == 1
    assert await store.sweep(START, START, ()) == {}


async def test_the_manager_neither_reads_starts_nor_writes_a_session_of_another_process() -> None:
    leases, store = Leases(), MemoryStore()
    manager = SessionManager(store, Registry(), now=lambda: START, owner_of=leases.owner_of)
    session = (await manager.create(name=None, expires_in=HOUR)).id
    before = dict(store.calls)
    leases.moved.add(session)
    questions: list[Callable[[], Awaitable[object]]] = [
        lambda: manager.describe(session),
        lambda: manager.participants(session),
        lambda: manager.authorise(session, "ada"),
        lambda: manager.join(session, display_name="Ada", avatar_color="", role="participant"),
        lambda: manager.open(session, "ada"),
        lambda: manager.remove(session, "ada"),
        lambda: manager.set_locked(session, True),
        lambda: manager.end(session),
    ]
    for question in questions:
        with pytest.raises(SessionElsewhere):
            await question()
    assert store.calls == before


async def test_a_session_that_moved_away_while_it_ended_is_released_and_not_written() -> None:
    async with house() as home:
        leases = Leases()
        home.manager.directory._owner_of = leases.owner_of
        session, (ada,) = await home.group("Ada")
        table = home.table(session)
        home.clock.set_by(timedelta(hours=2).total_seconds())
        leases.moved.add(session)
        await trio.sleep(61)
        await settle()
        assert table.ended == "expired"
        assert ada.phone.closed
        assert not home.manager.directory.holds(table)
        assert home.store.calls.get("end_session", 0) == 0
        assert not [report for report in home.reports if report.kind == "crash"]
