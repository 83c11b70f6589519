"""Finding, starting, joining: many at once, cancelled anywhere, with a store that fails."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
import trio

from locshare.actors import ActorRef, introspect
from locshare.actors.testing import settle
from locshare.model.reasons import CloseReason
from locshare.session import actor as actor_module
from locshare.session.commands import SessionCast
from locshare.session.errors import (
    SessionFull,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.session.features.roster import Lock
from locshare.session.limits import SessionLimits
from locshare.session.table import SessionTable
from locshare.store.port import StoredSession, StoreUnavailable
from tests.doubles import MemoryStore
from tests.session.kit import HOUR, Fault, Phone, house, position


async def test_those_who_come_at_once_share_one_load() -> None:
    async with house() as home:
        session = await home.session()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(home.manager.participants, session)
        assert home.store.calls["load_session"] == 1


async def _within(scope: trio.CancelScope, look: Callable[[], Awaitable[object]]) -> None:
    with scope:
        await look()


async def test_a_failed_load_is_shared_and_the_next_one_tries_again() -> None:
    async with house() as home:
        session = await home.session()
        home.store.away = True
        failures = []

        async def look() -> None:
            with pytest.raises(StoreUnavailable):
                await home.manager.participants(session)
            failures.append(1)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(look)
        assert len(failures) == 10
        assert home.store.calls["load_session"] == 1
        home.store.away = False
        assert await home.manager.participants(session) == ()


async def test_one_who_has_just_joined_is_found_while_an_older_read_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        read, answer = home.store.load_session, trio.Event()

        async def answered_late(session_id: UUID) -> StoredSession | None:
            stored = await read(session_id)
            await answer.wait()
            return stored

        monkeypatch.setattr(home.store, "load_session", answered_late)
        found = []

        async def look(user_id: str) -> None:
            found.append((await home.manager.participant(session, user_id)).display_name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, ada.user_id)
            await settle()
            nursery.start_soon(look, await home.join(session, "Bo"))
            await settle()
            answer.set()
        assert sorted(found) == ["Ada", "Bo"]


async def test_a_session_is_described_without_being_started() -> None:
    async with house() as home:
        session = await home.session()
        info = await home.manager.describe(session)
        assert (info.id, info.name, info.participant_count) == (session, "Amber Falcon", 0)
        assert info.is_active
        assert home.manager.statistics().live == 0
        await home.join(session)
        assert (await home.manager.describe(session)).participant_count == 1
        with pytest.raises(SessionNotFound):
            await home.manager.describe(uuid4())


async def test_a_session_without_a_name_gets_a_friendly_one() -> None:
    async with house() as home:
        record = await home.manager.create(name=None, expires_in=HOUR)
        adjective, animal = record.name.split()
        assert adjective.istitle()
        assert animal.istitle()


async def test_however_many_join_at_once_no_more_get_in_than_there_are_seats() -> None:
    async with house(SessionLimits(max_participants=7)) as home:
        session = await home.session()
        full = []

        async def join() -> None:
            try:
                await home.join(session)
            except SessionFull:
                full.append(1)

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(join)
        assert len(full) == 23
        assert len(home.store.participants[session]) == len(home.table(session).roster) == 7
        assert not home.table(session).reservations


async def test_a_join_that_cannot_be_written_gives_its_seat_back() -> None:
    async with house(SessionLimits(max_participants=1)) as home:
        session = await home.session()
        await home.wake(session)
        home.store.away = True
        with pytest.raises(StoreUnavailable):
            await home.join(session)
        home.store.away = False
        await settle()
        await home.join(session)


async def test_a_join_that_is_cancelled_happens_whole_or_not_at_all() -> None:
    """Cancelled after each number of steps that it may take."""
    happened = set()
    for steps in range(40):
        async with house(SessionLimits(max_participants=1)) as home:
            session = await home.session()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(home.join, session)
                    for _ in range(steps):
                        await trio.lowlevel.cancel_shielded_checkpoint()
                    scope.cancel()
            await settle()
            written = len(home.store.participants[session])
            known = await home.manager.participants(session)
            assert written == len(known)
            happened.add(written)
            if not written:
                await home.join(session)  # the seat is free
    assert happened == {0, 1}


async def test_a_session_deleted_from_the_database_by_hand_is_not_found() -> None:
    async with house() as home:
        session = await home.session()
        await home.wake(session)
        del home.store.participants[session]
        with pytest.raises(SessionNotFound):
            await home.join(session)


async def test_there_are_no_more_sessions_in_memory_than_allowed() -> None:
    async with house(max_sessions=2) as home:
        for _ in range(2):
            await home.someone(await home.session())
        third = await home.session()
        with pytest.raises(SessionUnavailable):
            await home.join(third)
        assert third not in home.manager.directory._tables
        first = next(iter(home.manager.directory._tables))
        await home.manager.end(first)
        await settle()
        await home.join(third)


async def test_without_the_database_live_sessions_go_on() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        home.store.away = True
        await ada.link.update(position(1))
        await settle()
        assert bo.phone.heard() == [(ada.user_id, 1)]
        await home.crash(session)
        await bo.link.update(position(2))
        await settle()
        await bo.link.leave()
        assert ada.phone.heard() == [(bo.user_id, 2)]
        with pytest.raises(StoreUnavailable):
            await home.join(session)
        await home.manager.end(session)
        await settle()
        assert ada.phone.all("session_ended") == [{"reason": "ended_by_host"}]
        home.store.away = False
        with pytest.raises(SessionOver):
            await home.join(session)  # the end is still to be written, and counts


async def test_a_session_that_is_ending_is_not_read_back_meanwhile() -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(home.manager.end, session)
            await settle()
            with pytest.raises(SessionOver):
                await home.manager.open(session, "anyone")
            assert home.store.calls["load_session"] == 1
            home.store.gate.set()
        await settle()
        assert home.manager.directory._tables == {}


async def test_who_left_before_a_restart_of_the_server_is_not_there_after_it() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.leave()
        store = home.store
    async with house() as again:
        again.store.sessions, again.store.participants = store.sessions, store.participants
        roster = await again.manager.participants(session)
        assert [p.user_id for p in roster] == [ada.user_id]
        assert not roster[0].online


# --- what a join or a leave leaves behind ---------------------------------------------------------


async def test_a_join_cancelled_while_it_is_written_happens_whole() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(_within, scope, partial(home.join, session, "Bo"))
            await settle()
            scope.cancel()
            await settle()
            home.store.gate.set()
        assert [j["display_name"] for j in ada.phone.all("participant_joined")] == ["Bo"]
        assert len(home.store.participants[session]) == len(home.table(session).roster) == 2


async def test_a_join_that_the_session_does_not_confirm_is_taken_back() -> None:
    async with house(SessionLimits(max_participants=2)) as home:
        session, (ada,) = await home.group("Ada")
        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:

            async def join() -> None:
                with pytest.raises(SessionUnavailable):
                    await home.join(session, "Bo")

            nursery.start_soon(join)
            await settle()
            await introspect.suspend(home.actor(session))
            home.store.gate.set()
        assert active_in(home.store, session) == {ada.user_id}
        await introspect.resume(home.actor(session))
        await settle()
        assert ada.phone.messages == []
        await home.join(session, "Cy")  # the seat is free


async def test_a_join_written_more_slowly_than_seats_are_kept_makes_no_session_too_large() -> None:
    async with house(SessionLimits(max_participants=1, reservation_lifetime=15)) as home:
        session = await home.session()
        await home.wake(session)
        gate = home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:

            async def join() -> None:
                with pytest.raises(SessionFull):
                    await home.join(session, "Ada")

            nursery.start_soon(join)
            await trio.sleep(16)
            home.store.gate = None
            bo = await home.join(session, "Bo")
            gate.set()
        assert active_in(home.store, session) == set(home.table(session).roster) == {bo}


async def test_a_leave_that_an_incarnation_did_before_it_died_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for crashes in (1, 2):
        with monkeypatch.context() as patch:
            async with house() as home:
                session, (ada, bo) = await home.group("Ada", "Bo")
                Fault(patch, actor_module, "deliver_events").left = crashes
                await bo.link.leave()
                await settle()
                assert active_in(home.store, session) == {ada.user_id}
                assert ada.phone.all("participant_left") == [
                    {"user_id": bo.user_id, "reason": "left"}
                ]
                assert home.table(session).local.incarnations == 1 + crashes


async def test_a_leave_that_the_session_does_not_hear_is_not_written() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await introspect.suspend(home.actor(session))
        with pytest.raises(SessionUnavailable):
            await bo.link.leave()
        await introspect.resume(home.actor(session))
        await settle()
        assert active_in(home.store, session) == {ada.user_id, bo.user_id}
        assert not bo.phone.closed


def active_in(store: MemoryStore, session: UUID) -> set[str]:
    """Who would be in the session after a restart of the server."""
    people = store.participants[session].values()
    return {each.user_id for each in people if each.is_active}


async def test_attaching_a_connection_that_has_closed_meanwhile_attaches_nothing() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        bo = await home.join(session, "Bo")
        link = await home.manager.open(session, bo)
        phone = Phone(bo)
        phone.close(CloseReason.PEER_GONE)
        await link.attach(phone)
        assert phone.messages == []
        assert ada.phone.all("participant_updated") == []
        assert bo not in home.table(session).receivers


async def test_a_session_that_ends_while_its_actor_dies_is_over_and_not_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        table, dead = home.table(session), home.actor(session)
        await home.crash(session)

        async def running_actor(_table: SessionTable) -> ActorRef[SessionCast]:
            return dead

        with monkeypatch.context() as patch:
            patch.setattr(home.manager.lifecycle, "running_actor", running_actor)
            with pytest.raises(SessionUnavailable):
                await home.manager._calls.ask(table, Lock(True))
            table.ended = "expired"
            with pytest.raises(SessionOver):
                await home.manager._calls.ask(table, Lock(True))
            table.ended = None


async def test_news_that_no_session_knows_are_logged_and_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        actor = home.actor(session)
        actor.info(["news"])
        await settle()
        assert "unexpected message of type list" in caplog.text
        await ada.link.update(position(1))
        assert home.actor(session) is actor, "it went on"


async def test_a_caller_whose_turn_comes_after_the_session_was_woken_starts_it_no_second_time() -> (
    None
):
    async with house() as home:
        session, _ = await home.group("Ada")
        table, loads = home.table(session), home.store.calls["load_session"]
        await home.manager.lifecycle._wake(session, None)
        assert home.table(session) is table
        assert home.store.calls["load_session"] == loads
        assert table.local.incarnations == 1
