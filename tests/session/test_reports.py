"""Positions without a connection: who sends them is online while they come, and only then."""

import pytest
import trio

from locshare.actors.testing import settle
from locshare.session.errors import ParticipantNotFound, SessionFull, SessionOver
from locshare.session.limits import SessionLimits
from tests.session.kit import HOUR, house, position


async def test_a_report_is_delivered_as_a_position_over_a_connection_is() -> None:
    async with house() as home:
        session, (bo,) = await home.group("Bo")
        ada = await home.join(session, "Ada")
        await home.manager.report(session, ada, position(1))
        await settle()
        assert bo.phone.heard() == [(ada, 1)]


async def test_a_report_after_positions_that_waited_for_a_flush_is_delivered_at_once() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        cy = await home.join(session, "Cy")
        home.window = 0.25
        await trio.sleep(10.0)  # well past the first instant of the mock clock
        for lat in (1, 2, 3):  # the second waits for the flush, the third finds it set
            await ada.link.update(position(lat))
            await settle()
        await trio.sleep(1.0)
        await home.manager.report(session, cy, position(4))
        await settle()
        assert bo.phone.heard()[-1] == (cy, 4)


async def test_a_report_takes_its_sender_online_and_two_minutes_without_one_offline() -> None:
    async with house() as home:
        session, (bo,) = await home.group("Bo")
        ada = await home.join(session, "Ada")
        for _ in range(3):
            await home.manager.report(session, ada, position())
            await trio.sleep(100)
        (came,) = bo.phone.all("participant_updated")
        assert (came["user_id"], came["online"]) == (ada, True)
        await trio.sleep(19.9)
        assert len(bo.phone.all("participant_updated")) == 1
        await trio.sleep(0.2)
        _, went = bo.phone.all("participant_updated")
        assert (went["user_id"], went["online"]) == (ada, False)
        (shown,) = [
            each for each in await home.manager.participants(session) if each.user_id == ada
        ]
        assert not shown.online
        age = (home.clock() - shown.last_seen).total_seconds()
        assert age == pytest.approx(120.1, abs=0.01)


async def test_the_position_of_a_report_is_held_no_longer_than_the_retention() -> None:
    async with house() as home:
        session, _ = await home.group("Bo")
        ada = await home.join(session, "Ada")
        await home.manager.report(session, ada, position())
        await trio.sleep(29.9)
        assert set(home.table(session).positions) == {ada}
        await trio.sleep(0.2)
        assert home.table(session).positions == {}
        assert ada in home.table(session).online


async def test_a_connection_and_reports_both_count_and_neither_ends_the_other() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await home.manager.report(session, ada.user_id, position(1))
        await trio.sleep(121)
        assert not ada.phone.closed, "reports that stop close no connection"
        await home.manager.report(session, ada.user_id, position(2))
        ada.link.detach()
        await settle()
        assert bo.phone.all("participant_updated") == [], "still online by reports"
        await trio.sleep(121)
        (went,) = bo.phone.all("participant_updated")
        assert (went["user_id"], went["online"]) == (ada.user_id, False)


async def test_one_who_connects_while_reporting_stays_online_when_the_reports_stop() -> None:
    async with house() as home:
        session, (bo,) = await home.group("Bo")
        ada = await home.join(session, "Ada")
        await home.manager.report(session, ada, position())
        connected = await home.connect(session, ada)
        await trio.sleep(121)
        assert not connected.phone.closed
        assert [each["online"] for each in bo.phone.all("participant_updated")] == [True]


async def test_a_report_wakes_a_session_that_sleeps() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        ada.link.detach()
        await trio.sleep(61)
        assert session not in home.manager.directory._tables
        await home.manager.report(session, ada.user_id, position())
        assert ada.user_id in home.table(session).online


async def test_a_session_does_not_sleep_while_reports_count_and_sleeps_after() -> None:
    async with house() as home:
        session = await home.session()
        ada = await home.join(session)
        await home.manager.report(session, ada, position())
        await trio.sleep(119)
        assert home.manager.statistics().online == 1
        await trio.sleep(62 + 1)
        assert session not in home.manager.directory._tables


async def test_reports_keep_a_session_from_ending_by_inactivity() -> None:
    limits = SessionLimits(max_participants=5, inactive_after=600)
    async with house(limits) as home:
        session = await home.session(expires_in=24 * HOUR)
        ada = await home.join(session)
        for _ in range(20):
            await home.manager.report(session, ada, position())
            await trio.sleep(100)
        assert home.store.sessions[session].is_active
        await trio.sleep(600)
        assert home.store.sessions[session].is_active, "offline for less than ten minutes"
        await trio.sleep(100)
        assert not home.store.sessions[session].is_active


async def test_one_who_reports_keeps_the_seat_and_is_noted_for_the_store() -> None:
    async with house() as home:
        session = await home.session()
        ada = await home.join(session)
        await home.manager.report(session, ada, position())
        await trio.sleep(31)
        assert ada in {user for _, _, seen in home.store.touches for user in seen}
        for _ in range(3):
            await home.manager.report(session, ada, position())
            await trio.sleep(60)
        assert [each.user_id for each in await home.manager.participants(session)] == [ada]


async def test_a_crash_of_the_session_changes_nothing_for_those_who_are_online_by_reports() -> None:
    async with house() as home:
        session, (bo,) = await home.group("Bo")
        ada = await home.join(session, "Ada")
        await home.manager.report(session, ada, position())
        await trio.sleep(60)
        await home.crash(session)
        assert ada in home.table(session).online
        await trio.sleep(59)
        assert [each["online"] for each in bo.phone.all("participant_updated")] == [True]
        await trio.sleep(2)
        assert [each["online"] for each in bo.phone.all("participant_updated")] == [True, False]


async def test_a_report_of_somebody_who_is_not_in_the_session_is_refused() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await home.manager.remove(session, ada.user_id)
        with pytest.raises(ParticipantNotFound):
            await home.manager.report(session, ada.user_id, position())
        await settle()
        assert bo.phone.heard() == []
        assert ada.user_id not in home.table(session).online


async def test_a_report_to_a_session_that_has_ended_is_refused() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await home.manager.end(session)
        with pytest.raises(SessionOver):
            await home.manager.report(session, ada.user_id, position())


async def test_a_report_takes_a_lost_seat_again_if_there_is_one() -> None:
    async with house(SessionLimits(max_participants=2, host_seats=0)) as home:
        session = await home.session()
        bo = await home.someone(session, "Bo")
        ada = await home.join(session, "Ada")
        await trio.sleep(121)
        assert ada in home.table(session).lapsed
        await home.manager.report(session, ada, position(3))
        await settle()
        assert bo.phone.heard() == [(ada, 3)]
        with pytest.raises(SessionFull):
            await home.join(session, "Cy")


async def test_one_without_a_connection_may_ask_where_the_others_are() -> None:
    async with house() as home:
        session, (bo, cy) = await home.group("Bo", "Cy")
        ada = await home.join(session, "Ada")
        await home.manager.report(session, ada, position())
        await bo.link.update(position(2))
        await settle()
        first, second = await home.manager.others(session, ada)
        assert (first.user_id, first.display_name) == (bo.user_id, "Bo")
        assert first.position is not None
        assert first.position.lat == 2
        assert first.taken == home.clock()
        assert (second.user_id, second.position) == (cy.user_id, None)
        await trio.sleep(30.1)
        assert {each.position for each in await home.manager.others(session, ada)} == {None}


async def test_one_who_is_not_in_the_session_is_shown_nobody() -> None:
    async with house() as home:
        session, (ada, _) = await home.group("Ada", "Bo")
        await home.manager.remove(session, ada.user_id)
        with pytest.raises(ParticipantNotFound):
            await home.manager.others(session, ada.user_id)
