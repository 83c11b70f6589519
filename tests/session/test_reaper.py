"""Sessions that are over: what callers are told, and what the reaper does about them."""

from datetime import timedelta
from uuid import UUID

import pytest
import trio
from msgspec import structs

from locshare.actors import Ref
from locshare.actors.testing import settle
from locshare.session.directory.directory import SESSIONS
from locshare.session.errors import SessionOver
from locshare.supervisor import ChildSpec, DynamicSupervisorRef
from tests.doubles import MemoryStore
from tests.session.kit import HOUR, Fault, House, house


async def test_a_session_that_is_over_says_why_before_its_end_is_written() -> None:
    async with house(reaper=False) as home:
        hour, day = await home.session(), await home.session(expires_in=24 * HOUR)
        await trio.sleep(3601)
        for session, reason in ((hour, "expired"), (day, "inactive")):
            with pytest.raises(SessionOver) as over:
                await home.manager.open(session, "anyone")
            assert over.value.reason == reason
            assert not (await home.manager.describe(session)).is_active
            assert home.store.sessions[session].is_active


async def test_a_session_that_ends_while_it_is_started_leaves_nothing_behind() -> None:
    """The clock reaches its expiry after each number of steps that a start may take."""
    outcomes: set[str | None] = set()
    for steps in range(25):
        async with house() as home:
            session = await home.session()

            async def look(home: House = home, session: UUID = session) -> None:
                try:
                    await home.wake(session)
                except SessionOver as over:
                    outcomes.add(over.reason)
                else:
                    outcomes.add("started")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                home.clock.set_by(+3600)
            await trio.sleep(61)
            sessions = home.names.lookup(SESSIONS)
            assert isinstance(sessions, DynamicSupervisorRef)
            assert sessions.count_children().specs == 0
            assert home.manager.directory._tables == {}
    assert outcomes == {"started", "expired"}


async def test_a_session_that_is_over_before_its_starter_goes_on_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session = await home.session()
        start_child = DynamicSupervisorRef.start_child

        async def start_late(sessions: DynamicSupervisorRef, spec: ChildSpec) -> Ref:
            home.clock.set_by(+3600)  # later than its expiry was looked at
            ref = await start_child(sessions, spec)
            await settle()  # it ends, and is reaped
            assert not home.store.sessions[session].is_active
            return ref

        monkeypatch.setattr(DynamicSupervisorRef, "start_child", start_late)
        with pytest.raises(SessionOver):
            await home.wake(session)
        await settle()
        sessions = home.names.lookup(SESSIONS)
        assert isinstance(sessions, DynamicSupervisorRef)
        assert sessions.count_children().specs == 0
        assert home.manager.directory._tables == {}


async def test_what_ended_while_nobody_looked_is_ended_in_the_database() -> None:
    async with house() as home:
        session = await home.session()
        await trio.sleep(3600 + 61)
        assert not home.store.sessions[session].is_active


async def test_rows_of_ended_sessions_are_deleted_after_a_day() -> None:
    async with house() as home:
        session = await home.session()
        await trio.sleep(3600 + 24 * 3600 - 5)
        assert session in home.store.sessions
        await trio.sleep(120)
        assert session not in home.store.sessions


async def test_a_session_is_not_inactive_because_the_server_was_off() -> None:
    async with house() as home:
        session = await home.session(expires_in=24 * HOUR)
        store = home.store
    async with house() as again:
        again.store.sessions, again.store.participants = store.sessions, store.participants
        for record in list(store.sessions.values()):
            old = again.clock() - 5 * HOUR
            store.sessions[record.id] = structs.replace(record, last_activity=old)
        await trio.sleep(120)
        assert store.sessions[session].is_active
        assert await again.manager.participants(session) == ()
        await trio.sleep(3700)
        assert not store.sessions[session].is_active


async def test_a_database_that_is_away_puts_the_reaper_s_work_off() -> None:
    async with house() as home:
        session = await home.session()
        home.store.away = True
        await trio.sleep(2 * 3600)
        home.store.away = False
        await trio.sleep(61)
        assert not home.store.sessions[session].is_active


async def test_what_ended_just_before_the_stop_is_still_written() -> None:
    async with house(reaper=True) as home:
        session = await home.session(expires_in=timedelta(seconds=30))
        await home.someone(session)
        gate = home.store.gate = trio.Event()
        await trio.sleep(31)
        assert home.store.sessions[session].is_active
        gate.set()
    assert not home.store.sessions[session].is_active


async def test_a_reaper_that_crashes_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("end_session", "sweep", "purge"):
        with monkeypatch.context() as patch:
            async with house() as home:
                session = await home.session(expires_in=timedelta(seconds=100))
                other = await home.session(expires_in=timedelta(seconds=100))
                await home.someone(session)
                fault = Fault(patch, MemoryStore, place)
                fault.left = 1
                await trio.sleep(121)
                assert fault.left == 0
                assert [report.child_id for report in home.reports] == ["reaper"]
                assert not home.store.sessions[session].is_active
                assert not home.store.sessions[other].is_active
                assert home.manager.directory._tables == {}


async def test_what_the_stop_of_the_reaper_interrupts_is_written_in_the_second_it_has() -> None:
    async with house(reaper=False) as home:
        session = await home.session(expires_in=timedelta(seconds=30))
        await home.someone(session)
        home.store.gate = trio.Event()

        async def open_the_gate_later() -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(31.5)
                assert home.store.gate is not None
                home.store.gate.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(home.manager.reaper.run)
            nursery.start_soon(open_the_gate_later)
            await trio.sleep(31)
            nursery.cancel_scope.cancel()
        assert not home.store.sessions[session].is_active
