"""A crash costs the message that caused it, and nothing else."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
import trio

from locshare.actors import Registry, introspect
from locshare.actors.introspect import kill
from locshare.actors.testing import settle
from locshare.broadcast.fanout import Flush
from locshare.model.reasons import CloseReason
from locshare.session import actor as actor_module
from locshare.session import delivery
from locshare.session.actor import SessionActor
from locshare.session.commands import Update
from locshare.session.directory.directory import SESSIONS
from locshare.session.errors import SessionOver, SessionUnavailable
from locshare.session.limits import SessionLimits
from locshare.session.manager import SessionManager
from locshare.session.rules import SessionRules
from locshare.session.table import SessionTable
from locshare.session.views import SessionViews
from locshare.supervisor import DynamicSupervisorRef, SupervisorRef
from tests.doubles import MemoryStore
from tests.session.kit import HOUR, Fault, House, Phone, Someone, house, position


async def test_connections_positions_and_roster_are_there_after_a_crash() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(1))
        await settle()
        await home.crash(session)
        await bo.link.update(position(2))
        await settle()
        assert ada.phone.heard() == [(bo.user_id, 2)]
        assert not ada.phone.closed
        assert not bo.phone.closed
        assert bo.phone.types == ["location_update"], "no client is sent anything about it"
        late = (await home.someone(session, "Cy")).phone.snapshot
        assert {p["user_id"] for p in late["positions"]} == {ada.user_id, bo.user_id}
        assert [p["online"] for p in late["participants"]] == [True, True, True]
        assert home.manager.statistics().restarts == 1


async def test_a_new_incarnation_keeps_the_epoch_and_goes_on_counting() -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        before = (await home.someone(session, "Bo")).phone.snapshot
        await home.crash(session)
        after = (await home.someone(session, "Cy")).phone.snapshot
        assert before["epoch"] == after["epoch"]
        assert before["seq"] < after["seq"]


async def test_the_message_that_crashed_it_is_dropped_and_those_behind_it_are_handled_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        _, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        fault = Fault(monkeypatch, SessionRules, "move")
        fault.when = lambda _state, _user, where, _clock: where.lat == 13
        fault.left = 1
        home.window = 0.0
        for lat in (11, 13, 17):
            await ada.link.update(position(lat))
            await bo.link.update(position(lat + 1))
        await settle()
        assert dict(cy.phone.heard()) == {ada.user_id: 17, bo.user_id: 18}
        lats = [lat for user, lat in cy.phone.heard() if user == ada.user_id]
        assert 13 not in lats
        assert lats == sorted(lats)


async def test_what_had_moved_and_was_not_yet_flushed_is_flushed_by_the_next_incarnation() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        home.window = 0.25
        await ada.link.update(position(1))
        await settle()
        await ada.link.update(position(2))
        await settle()
        await home.crash(session)
        await trio.sleep(0.3)
        assert [lat for _, lat in bo.phone.heard()] == [1, 2]


async def test_a_position_that_cannot_be_encoded_crashes_one_flush_and_not_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        fault = Fault(monkeypatch, delivery, "encode_flush")
        fault.left = 1
        await ada.link.update(position(1))
        await settle()
        await ada.link.update(position(2))
        await settle()
        assert [lat for _, lat in bo.phone.heard()] == [2]
        assert home.table(session).local.incarnations == 2


class Trap(Phone):
    """A receiver that raises, against its contract, as often as it was set to."""

    traps = 0

    def send_event(self, frame: bytes) -> None:
        self._spring()
        super().send_event(frame)

    def send_positions(self, flush: Flush) -> None:
        self._spring()
        super().send_positions(flush)

    def close(self, reason: CloseReason) -> None:
        self._spring()
        super().close(reason)

    def _spring(self) -> None:
        if self.traps:
            self.traps -= 1
            raise RuntimeError


@asynccontextmanager
async def trapped() -> AsyncIterator[tuple[House, UUID, list[Someone], Trap]]:
    """Ada, Bo and Cy, of whom Bo is in the middle and has the trap."""
    async with house() as home:
        session = await home.session()
        ada = await home.someone(session, "Ada")
        bo = await home.manager.open(session, await home.join(session, "Bo"))
        trap = Trap(bo._user_id)
        await bo.attach(trap)
        cy = await home.someone(session, "Cy")
        await settle()
        for phone in (ada.phone, trap, cy.phone):
            phone.messages.clear()
        yield home, session, [ada, cy], trap


async def test_a_crash_in_the_middle_of_a_flush_leaves_nobody_with_an_old_position() -> None:
    async with trapped() as (home, session, (ada, cy), trap):
        trap.traps = 1
        await ada.link.update(position(1))
        await settle()
        assert home.table(session).local.incarnations == 2
        assert trap.heard() == cy.phone.heard() == [(ada.user_id, 1)]


async def test_after_a_crash_in_a_flush_only_those_not_yet_told_are_told() -> None:
    async with trapped() as (home, session, (ada, cy), trap):
        trap.traps = 1
        ada.phone.flushes = cy.phone.flushes = 0
        await cy.link.update(position(1))
        await settle()
        assert home.table(session).local.incarnations == 2
        assert trap.heard() == ada.phone.heard() == [(cy.user_id, 1)]
        assert ada.phone.flushes == 1, "she was told before the crash"


async def test_an_event_whose_delivery_a_crash_interrupts_reaches_everyone_once() -> None:
    async with trapped() as (home, session, (ada, cy), trap):
        trap.traps = 1
        di = await home.join(session, "Di")
        assert home.table(session).local.incarnations == 2
        for phone in (ada.phone, trap, cy.phone):
            assert [j["user_id"] for j in phone.all("participant_joined")] == [di]


@pytest.mark.parametrize("what", ["flush", "event"])
async def test_a_delivery_that_crashes_is_resumed_once_and_then_dropped(what: str) -> None:
    async with trapped() as (home, session, (ada, cy), trap):
        trap.traps = 2
        if what == "flush":
            await ada.link.update(position(1))
        else:
            await home.join(session, "Di")
        await settle()
        assert home.table(session).local.incarnations == 3
        await cy.link.update(position(5))
        await settle()
        assert trap.heard()[-1] == ada.phone.heard()[-1] == (cy.user_id, 5)


async def test_an_event_that_was_decided_is_delivered_by_the_next_incarnation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The crash is between deciding and delivering."""
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        fault = Fault(monkeypatch, actor_module, "deliver_events")
        fault.left = 1
        bo = await home.join(session, "Bo")
        assert [j["user_id"] for j in ada.phone.all("participant_joined")] == [bo]
        assert home.table(session).local.incarnations == 2


async def test_an_event_that_cannot_be_encoded_is_dropped_and_the_others_are_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        fault = Fault(monkeypatch, delivery, "encode_frame")
        fault.left = 1
        fault.when = lambda event, _dialect: "bad" in str(event)
        await home.join(session, "bad")
        await home.join(session, "good")
        names = [j["display_name"] for j in ada.phone.all("participant_joined")]
        assert names == ["good"]
        assert not bo.phone.closed


async def test_a_departure_in_the_gap_between_two_incarnations_is_noted() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        ref = home.actor(session)
        ref.cast("crash")
        ref.monitor(lambda _down: bo.link.detach())  # in the exit path: nobody is there
        await ref.wait_exit()
        await trio.sleep(15.1)
        assert [u["online"] for u in ada.phone.all("participant_updated")] == [False]
        assert bo.user_id not in home.table(session).receivers


async def test_attaching_while_it_crashes_gives_exactly_one_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for owner, place in ((SessionViews, "snapshot"), (SessionRules, "connect")):
        with monkeypatch.context() as patch:
            async with house() as home:
                session, (ada,) = await home.group("Ada")
                fault = Fault(patch, owner, place)
                fault.left = 1
                bo = await home.someone(session, "Bo")
                assert bo.phone.types == ["session_state"]
                assert len(ada.phone.all("participant_updated")) == 1
                assert home.table(session).local.incarnations == 2


async def test_a_crash_right_after_the_snapshot_was_sent_sends_no_second_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        bo = await home.join(session, "Bo")
        fault = Fault(monkeypatch, actor_module, "deliver_events")
        fault.left = 1
        connected = await home.connect(session, bo)
        assert connected.phone.types == ["session_state"]
        assert len(ada.phone.all("participant_updated")) == 1


async def test_an_attach_that_crashes_it_every_time_is_given_up_before_the_session_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        bo = await home.join(session, "Bo")
        link = await home.manager.open(session, bo)
        fault = Fault(monkeypatch, SessionRules, "connect")
        fault.left = 100
        with pytest.raises(SessionUnavailable):
            await link.attach(Phone(bo))
        assert not ada.phone.closed
        fault.left = 0
        link.detach()
        assert (await home.connect(session, bo)).phone.types == ["session_state"]


async def test_a_join_during_a_crash_happens_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("reserve", "join"):
        with monkeypatch.context() as patch:
            async with house() as home:
                session, (ada,) = await home.group("Ada")
                Fault(patch, SessionRules, place).left = 1
                bo = await home.join(session, "Bo")
                assert [j["user_id"] for j in ada.phone.all("participant_joined")] == [bo]
                assert len(home.table(session).roster) == 2
                assert not home.table(session).reservations


async def test_a_join_that_an_incarnation_did_before_it_died_has_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        fault = Fault(monkeypatch, actor_module, "deliver_events")
        fault.left = 2
        crashes = iter((True, False, True))  # not the delivery of the incarnation between
        fault.when = lambda *_args: next(crashes, False)
        bo = await home.join(session, "Bo")
        await settle()
        assert [j["user_id"] for j in ada.phone.all("participant_joined")] == [bo]
        assert home.table(session).local.incarnations == 3
        assert home.store.participants[session][bo].is_active


async def test_a_crash_in_the_middle_of_the_end_is_finished_by_the_next_incarnation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        Fault(monkeypatch, actor_module, "deliver_end").left = 1
        await home.manager.end(session)
        await settle()
        for each in (ada, bo):
            assert each.phone.all("session_ended") == [{"reason": "ended_by_host"}]
            assert each.phone.reason is CloseReason.SESSION_ENDED
        assert home.manager.statistics().live == 0


async def test_a_crash_while_the_end_closes_connections_leaves_no_other_one_open() -> None:
    async with trapped() as (home, session, people, trap):
        trap.send_event = Phone.send_event.__get__(trap)  # type: ignore[method-assign]
        trap.traps = 1
        await home.manager.end(session)
        await settle()
        assert trap.traps == 0
        assert [each.phone.reason for each in people] == [CloseReason.SESSION_ENDED] * 2
        assert home.manager.statistics().ended["ended_by_host"] == 1


async def test_a_session_that_keeps_crashing_ends_and_no_other_notices() -> None:
    async with house() as home:
        session, (ada, _bo) = await home.group("Ada", "Bo")
        _, (cy, di) = await home.group("Cy", "Di")
        for _ in range(4):
            await home.crash(session)
        assert ada.phone.all("session_ended") == [{"reason": "internal_error"}]
        assert ada.phone.reason is CloseReason.SESSION_ENDED
        with pytest.raises(SessionOver) as over:
            await ada.link.update(position())
        assert over.value.reason == "internal_error"
        assert not home.store.sessions[session].is_active
        await cy.link.update(position(1))
        await settle()
        assert di.phone.messages == [
            {
                "type": "location_update",
                "data": {
                    "user_id": cy.user_id, "lat": 1, "lng": 13.4, "accuracy": 5,
                    "timestamp": "2026-03-01T12:00:00Z",
                },
            }
        ]  # fmt: skip
        assert home.manager.statistics().ended["internal_error"] == 1


async def test_crashes_that_are_rare_are_borne_for_ever() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        for _ in range(20):
            await home.crash(session)
            await trio.sleep(2)
        assert not ada.phone.closed
        assert home.table(session).local.incarnations == 21


async def test_when_the_supervisor_of_all_sessions_dies_each_is_there_again() -> None:
    async with house() as home:
        moving, (ada, bo) = await home.group("Ada", "Bo")
        quiet, (cy,) = await home.group("Cy")
        await ada.link.update(position(1))
        await settle()
        sessions = home.names.lookup(SESSIONS)
        assert isinstance(sessions, DynamicSupervisorRef)
        kill(sessions)
        await sessions.wait_exit()
        await bo.link.update(position(2))
        await settle()
        assert ada.phone.heard() == [(bo.user_id, 2)]
        assert not ada.phone.closed
        assert home.names.lookup(quiet) is not None, "although nobody asked for it"
        assert not cy.phone.closed
        assert set(home.table(moving).receivers) == {ada.user_id, bo.user_id}


async def test_a_full_mailbox_makes_the_sender_wait_and_a_cancelled_wait_took_nothing() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        actor = home.actor(session)
        await ada.link.update(position())  # the first one looks for the actor
        await settle()
        for lat in range(1024):  # no checkpoint between these: the actor takes none of them out
            await ada.link.update(position(lat % 90))
        with trio.CancelScope() as scope:
            scope.cancel()
            await ada.link.update(position(-1))
        assert scope.cancelled_caught
        assert not actor._mailbox.senders
        await ada.link.update(position(-2))  # waits for the actor, then goes in
        await settle()
        lats = [lat for _, lat in bo.phone.heard()]
        assert lats[-1] == -2
        assert -1 not in lats


async def test_an_update_waits_for_the_next_incarnation() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        ref = home.actor(session)
        ref.cast("crash")
        await ref.wait_exit()
        await ada.link.update(position(1))
        await settle()
        assert bo.phone.heard() == [(ada.user_id, 1)]


async def test_reports_name_the_session_by_eight_characters_and_quote_no_position() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.actor(session).cast(Update(ada.user_id, "not a position"))  # type: ignore[arg-type]  # the fault
        await settle()
        (report,) = [report for report in home.reports if report.kind == "crash"]
        assert report.supervisor == str(session)[:8]
        assert str(session) not in str(report)
        assert "not a position" not in str(report)


async def test_an_ended_session_leaves_nothing_behind() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await ada.link.update(position())
        await home.manager.end(session)
        await settle()
        del ada
        gc.collect()
        tables = [each for each in gc.get_objects() if isinstance(each, SessionTable)]
        assert [table for table in tables if table.session.id == session] == []
        assert home.names.lookup(session) is None
        assert home.manager.directory._tables == {}
        sessions = home.names.lookup(SESSIONS)
        assert isinstance(sessions, DynamicSupervisorRef)
        assert sessions.count_children().specs == 0


async def test_an_actor_that_hangs_makes_callers_give_up_and_not_wait_for_ever() -> None:
    async with house(SessionLimits(call_timeout=5)) as home:
        session, (ada,) = await home.group("Ada")
        await introspect.suspend(home.actor(session))
        before = trio.current_time()
        with pytest.raises(SessionUnavailable):
            await home.join(session, "Bo")
        assert trio.current_time() - before == pytest.approx(5)
        await introspect.resume(home.actor(session))
        await home.join(session, "Cy")
        assert not ada.phone.closed


async def test_who_comes_while_the_supervisor_of_all_sessions_dies_waits_for_the_next_one() -> None:
    """An update after each number of steps that the death and the restart may take."""
    for steps in range(25):
        async with house() as home:
            _, (ada, bo) = await home.group("Ada", "Bo")
            sessions = home.names.lookup(SESSIONS)
            assert isinstance(sessions, DynamicSupervisorRef)
            kill(sessions)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            await ada.link.update(position(1))
            await ada.link.update(position(2))
            await settle()
            assert bo.phone.heard()[-1] == (ada.user_id, 2)
            assert not ada.phone.closed


async def test_a_session_whose_first_incarnation_cannot_begin_is_reported_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session = await home.session()
        Fault(monkeypatch, SessionActor, "init").left = 1
        with pytest.raises(SessionUnavailable):
            await home.wake(session)
        assert home.manager.directory._tables == {}
        (report,) = home.reports
        assert (report.kind, report.supervisor) == ("start_failed", str(session)[:8])
        assert (report.child_id, str(report.reason)) == ("session", "crash: RuntimeError")
        await home.someone(session)


async def test_a_session_that_is_not_restarted_makes_callers_give_up() -> None:
    async with house(SessionLimits(call_timeout=5)) as home:
        session, (ada,) = await home.group("Ada")
        supervisor = home.table(session).local.supervisor
        assert isinstance(supervisor, SupervisorRef)
        await introspect.suspend(supervisor)
        await home.crash(session)
        before = trio.current_time()
        with pytest.raises(SessionUnavailable):
            await ada.link.update(position())
        assert trio.current_time() - before == pytest.approx(5)
        await introspect.resume(supervisor)
        await ada.link.update(position())


async def test_without_a_supervisor_of_sessions_callers_give_up() -> None:
    store = MemoryStore()
    manager = SessionManager(store, Registry(), SessionLimits(call_timeout=5))
    session = await manager.create(name=None, expires_in=HOUR)
    before = trio.current_time()
    with pytest.raises(SessionUnavailable):
        await manager.end(session.id)
    assert trio.current_time() - before == pytest.approx(5)


async def test_inspection_shows_counts_and_no_position_and_changes_nothing() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(12.345))
        await settle()
        state = await introspect.get_state(home.actor(session))
        assert isinstance(state, dict)
        assert (state["participants"], state["online"], state["positions"]) == (2, 2, 1)
        assert "12.345" not in str(state)
        assert bo.user_id not in str(state)
        with pytest.raises(TypeError):
            await introspect.replace_state(home.actor(session), lambda _: None)
        assert home.table(session).local.incarnations == 1


async def test_when_the_clock_is_set_forward_it_expires_within_a_minute() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await home.crash(session)
        home.clock.set_by(+3600)
        await trio.sleep(60.1)
        assert ada.phone.all("session_ended") == [{"reason": "expired"}]


async def test_a_crash_long_after_an_event_tells_it_to_nobody_who_came_since() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await home.join(session, "Bo")
        cy = await home.someone(session, "Cy")
        before = len(ada.phone.messages)
        await home.crash(session)
        assert cy.phone.types == ["session_state"]
        assert len(ada.phone.messages) == before
