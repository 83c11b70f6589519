"""What the people in a session see, and when."""

from typing import Any
from uuid import UUID

import pytest
import trio

from locshare.actors.testing import settle
from locshare.model.reasons import CloseReason
from locshare.session import actor as actor_module
from locshare.session import pacing
from locshare.session.errors import (
    ParticipantNotFound,
    SessionOver,
)
from tests.session.kit import HOUR, House, house, position

# --- snapshot and updates -------------------------------------------------------------------------


async def test_the_snapshot_comes_first_and_exactly_once() -> None:
    async with house() as home:
        session = await home.session()
        ada = await home.someone(session, "Ada")
        await ada.link.update(position(1))
        bo = await home.someone(session, "Bo")
        await ada.link.update(position(2))
        await settle()
        assert bo.phone.types == ["session_state", "location_update"]
        snapshot = bo.phone.snapshot
        assert snapshot["session"]["name"] == "Amber Falcon"
        assert snapshot["you"] == {"user_id": bo.user_id, "role": "participant"}
        assert [p["display_name"] for p in snapshot["participants"]] == ["Ada", "Bo"]
        assert all(p["online"] for p in snapshot["participants"])
        assert all(p["is_active"] for p in snapshot["participants"])
        assert [(p["user_id"], p["lat"]) for p in snapshot["positions"]] == [(ada.user_id, 1)]


async def test_a_position_goes_to_all_others_and_not_back() -> None:
    async with house() as home:
        _, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        await ada.link.update(position(1))
        await settle()
        assert ada.phone.messages == []
        assert bo.phone.heard() == cy.phone.heard() == [(ada.user_id, 1)]


async def test_a_quiet_session_is_flushed_at_once() -> None:
    async with house() as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        before = trio.current_time()
        for lat in range(3):
            await ada.link.update(position(lat))
            await settle()
        assert [lat for _, lat in bo.phone.heard()] == [0, 1, 2]
        assert trio.current_time() == before


async def test_within_the_flush_window_updates_are_joined_and_the_newest_wins() -> None:
    async with house() as home:
        _, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        home.window = 0.25
        await ada.link.update(position(1))
        await settle()
        assert cy.phone.heard() == [(ada.user_id, 1)], "the window is between flushes"
        await ada.link.update(position(2))
        await bo.link.update(position(3))
        await ada.link.update(position(4))
        await settle()
        assert cy.phone.flushes == 1
        await trio.sleep(0.26)
        assert cy.phone.flushes == 2
        assert dict(cy.phone.heard()[1:]) == {ada.user_id: 4, bo.user_id: 3}
        assert bo.phone.heard() == [(ada.user_id, 1), (ada.user_id, 4)]


async def test_a_session_says_how_much_it_delivers_when_it_asks_for_its_window() -> None:
    """Four people who send five times a second are sixty deliveries per second."""
    async with house() as home:
        _, people = await home.group("Ada", "Bo", "Cy", "Di")
        home.window = 0.15
        bo = people[1].phone
        for worth, joined in ((70.0, False), (50.0, True)):
            home.worth = worth
            for lat in range(100):
                for each in people:
                    await each.link.update(position(lat))
                    await trio.sleep(0.05)
            seen, bo.flushes = bo.flushes, 0
            assert (seen < 200) is joined, f"{seen} flushes of 300 updates of others"


async def test_a_position_older_than_the_retention_is_in_no_snapshot() -> None:
    async with house() as home:
        session, (ada, _bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(1))
        await trio.sleep(29.9)
        assert len((await home.someone(session, "Cy")).phone.snapshot["positions"]) == 1
        await trio.sleep(0.2)
        assert (await home.someone(session, "Di")).phone.snapshot["positions"] == []


async def test_no_position_is_held_longer_than_the_retention_even_if_nobody_asks() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(1))
        await trio.sleep(20)
        await bo.link.update(position(2))
        await trio.sleep(10.01)
        assert list(home.table(session).positions) == [bo.user_id]
        await trio.sleep(20)
        assert home.table(session).positions == {}


async def test_a_participant_who_left_can_report_nothing_more() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.leave()
        await ada.link.update(position(1))
        await settle()
        assert bo.phone.heard() == []
        assert home.table(session).positions == {}


# --- coming and going -----------------------------------------------------------------------------


async def test_everyone_else_hears_who_joined_came_online_went_offline_and_left() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        bo = await home.someone(session, "Bo")
        bo.link.detach()
        await trio.sleep(15.1)
        bo = await home.connect(session, bo.user_id)
        await bo.link.leave()
        assert ada.phone.types == [
            "participant_joined",
            "participant_updated",
            "participant_updated",
            "participant_updated",
            "participant_left",
        ]
        assert [u["online"] for u in ada.phone.all("participant_updated")] == [True, False, True]
        assert ada.phone.all("participant_left") == [{"user_id": bo.user_id, "reason": "left"}]
        assert bo.phone.types == ["session_state"]


async def test_a_newer_connection_replaces_the_older_and_nobody_sees_it() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        newer = await home.connect(session, bo.user_id)
        await settle()
        assert bo.phone.reason is CloseReason.REPLACED
        assert not newer.phone.closed
        bo.link.detach()  # the older one's task ends now
        await settle()
        assert ada.phone.messages == []
        await ada.link.update(position(1))
        await settle()
        assert newer.phone.heard() == [(ada.user_id, 1)]


async def test_who_is_removed_is_disconnected_and_cannot_come_back() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await home.manager.remove(session, bo.user_id)
        assert bo.phone.reason is CloseReason.FORBIDDEN
        assert ada.phone.all("participant_left") == [{"user_id": bo.user_id, "reason": "removed"}]
        with pytest.raises(ParticipantNotFound):
            await home.manager.open(session, bo.user_id)
        with pytest.raises(ParticipantNotFound):
            await home.manager.remove(session, bo.user_id)
        assert bo.user_id not in home.store.participants[session]


async def test_someone_removed_between_opening_and_attaching_is_refused() -> None:
    async with house() as home:
        session, (_ada,) = await home.group("Ada")
        bo = await home.join(session, "Bo")
        link = await home.manager.open(session, bo)
        await home.manager.remove(session, bo)
        with pytest.raises(ParticipantNotFound):
            await link.attach((await home.someone(session, "Cy")).phone.__class__(bo))


async def test_leaving_twice_is_leaving_once() -> None:
    async with house() as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.leave()
        await bo.link.leave()
        assert len(ada.phone.all("participant_left")) == 1


async def test_last_seen_is_when_a_participant_was_last_heard_of() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await trio.sleep(10)
        await ada.link.update(position())
        heard = home.clock()
        await trio.sleep(50)
        bo.link.detach()
        await trio.sleep(15.1)
        seen = {p.user_id: p for p in await home.manager.participants(session)}
        assert abs((seen[ada.user_id].last_seen - heard).total_seconds()) < 0.001
        assert seen[ada.user_id].online
        assert not seen[bo.user_id].online
        (offline,) = ada.phone.all("participant_updated")
        assert offline["last_seen"] < heard.isoformat()


# --- departures -----------------------------------------------------------------------------------


async def test_a_departure_is_noted_even_if_the_mailbox_is_full() -> None:
    async with house() as home:
        session, (_, bo) = await home.group("Ada", "Bo")
        actor = home.actor(session)
        await bo.link.update(position())  # the first one looks for the actor
        await settle()
        capacity = 1024
        for lat in range(capacity):  # no checkpoint between these
            await bo.link.update(position(lat % 90))
        assert actor._mailbox.capacity == len(actor._mailbox.queue) == capacity
        bo.link.detach()
        await settle()
        assert bo.user_id not in home.table(session).receivers


async def test_of_many_who_depart_at_once_the_first_message_is_about_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as home:
        session, people = await home.group("Ada", "Bo", "Cy", "Di")
        asked: list[float] = []
        ask = pacing.ask_senders

        def noted(*arguments: Any, **options: Any) -> Any:
            asked.append(trio.current_time())
            return ask(*arguments, **options)

        monkeypatch.setattr(actor_module, "ask_senders", noted)
        for each in people:  # no checkpoint between these
            each.link.detach()
        await settle()
        assert home.table(session).receivers == {}
        assert len(asked) == 1


async def test_detaching_before_attaching_or_twice_does_nothing() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        link = await home.manager.open(session, ada.user_id)
        link.detach()
        ada.link.detach()
        ada.link.detach()
        await settle()
        assert home.table(session).receivers == {}


# --- the end --------------------------------------------------------------------------------------


async def test_when_the_host_ends_a_session_everyone_is_sent_the_end_and_closed() -> None:
    async with house() as home:
        session, people = await home.group("Ada", "Bo")
        await home.manager.end(session)
        for each in people:
            assert each.phone.messages[-1] == {
                "type": "session_ended",
                "data": {"reason": "ended_by_host", "seq": 5},
            }
            assert each.phone.reason is CloseReason.SESSION_ENDED
        await assert_over(home, session)
        assert not home.store.sessions[session].is_active
        with pytest.raises(SessionOver):
            await people[0].link.update(position())


async def test_it_ends_at_its_expiry() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        left = home.store.sessions[session].expires_at - home.clock()
        await trio.sleep(left.total_seconds() - 0.1)
        assert not ada.phone.closed
        await trio.sleep(0.2)
        assert ada.phone.all("session_ended") == [{"reason": "expired"}]
        await assert_over(home, session)


async def test_the_expiry_follows_the_wall_clock_when_that_is_set() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.clock.set_by(-1800)
        await trio.sleep(3700)
        assert not ada.phone.closed
        home.clock.set_by(+1800)
        await trio.sleep(61)
        assert ada.phone.all("session_ended") == [{"reason": "expired"}]
        await assert_over(home, session)


async def test_it_ends_when_nobody_was_connected_for_an_hour() -> None:
    async with house() as home:
        session = await home.session(expires_in=24 * HOUR)
        ada = await home.someone(session)
        await trio.sleep(2 * 3600)
        assert not ada.phone.closed, "somebody is connected"
        ada.link.detach()
        await trio.sleep(3599)
        again = await home.connect(session, ada.user_id)
        again.link.detach()
        await trio.sleep(3599)
        assert home.store.sessions[session].is_active
        await trio.sleep(2)
        await assert_over(home, session)
        assert home.manager.statistics().ended["inactive"] == 1


@pytest.mark.parametrize("removed", [False, True])
async def test_the_hour_begins_when_the_last_who_is_connected_leaves_for_good(
    removed: bool,
) -> None:
    async with house() as home:
        session = await home.session(expires_in=24 * HOUR)
        await home.join(session, "Bo")
        ada = await home.someone(session)
        await trio.sleep(2 * 3600)
        if removed:
            await home.manager.remove(session, ada.user_id)
        else:
            await ada.link.leave()
        ada.link.detach()
        await trio.sleep(3598)
        assert home.store.sessions[session].is_active
        await trio.sleep(63)
        await assert_over(home, session)


async def assert_over(home: House, session: UUID) -> None:
    await settle()
    for ask in (home.manager.participants, home.manager.end, home.join):
        with pytest.raises(SessionOver):
            await ask(session)
    assert (await home.manager.describe(session)).is_active is False
