"""A lost connection is no news for 15 s, and a client shows the others what it is doing."""

from typing import Any
from uuid import UUID

import pytest
import trio

from locshare.actors.testing import settle
from locshare.session.limits import SessionLimits
from locshare.session.rate_limits import PRESENCE_RATE
from tests.session.kit import HOUR, House, Someone, house, position


def heard(who: Someone, of: Someone) -> list[bool]:
    """Whether ``of`` was said to be online, each time."""
    return [
        each["online"]
        for each in who.phone.all("participant_updated")
        if each["user_id"] == of.user_id
    ]


async def seen(home: House, session: UUID, who: Someone) -> Any:
    """How a participant is shown to somebody who asks now."""
    (found,) = (p for p in await home.manager.participants(session) if p.user_id == who.user_id)
    return found


# --- the grace period -----------------------------------------------------------------------------


async def test_others_hear_of_a_lost_connection_after_15_s_and_not_before() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo.link.detach()
        await trio.sleep(14.9)
        assert heard(ada, bo) == []
        cy = await home.someone(session, "Cy")
        shown = {p["user_id"]: p["online"] for p in cy.phone.snapshot["participants"]}
        assert shown[bo.user_id], "a new snapshot says what the others see"
        assert bo.user_id not in home.table(session).online, "the server knows better"
        await trio.sleep(0.2)
        assert heard(ada, bo) == heard(cy, bo) == [False]


async def test_a_return_within_the_grace_period_is_no_event_at_all() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        before = home.table(session).seq
        for _ in range(20):
            bo.link.detach()
            await trio.sleep(14)
            bo = await home.connect(session, bo.user_id)
            assert bo.phone.snapshot["seq"] == before
        await trio.sleep(60)
        assert ada.phone.messages == []
        bo.link.detach()
        await trio.sleep(15.1)
        assert heard(ada, bo) == [False]


async def test_each_drop_begins_a_grace_period_of_its_own() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo.link.detach()
        await trio.sleep(10)
        bo = await home.connect(session, bo.user_id)
        bo.link.detach()
        await trio.sleep(14.9)
        assert heard(ada, bo) == []
        await trio.sleep(0.2)
        assert heard(ada, bo) == [False]


async def test_several_who_drop_one_after_the_other_go_offline_one_after_the_other() -> None:
    async with house() as home:
        _, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        bo.link.detach()
        await trio.sleep(5)
        cy.link.detach()
        await trio.sleep(10.1)
        assert (heard(ada, bo), heard(ada, cy)) == ([False], [])
        await trio.sleep(5)
        assert (heard(ada, bo), heard(ada, cy)) == ([False], [False])


async def test_a_crash_within_the_grace_period_neither_shortens_nor_extends_it() -> None:
    async with house() as home:
        session, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        bo.link.detach()
        cy.link.detach()
        await trio.sleep(10)
        await home.crash(session)
        await home.connect(session, cy.user_id)
        await trio.sleep(4.9)
        assert ada.phone.messages == []
        await trio.sleep(0.2)
        assert heard(ada, bo) == [False]
        await trio.sleep(20)
        assert heard(ada, cy) == []


@pytest.mark.parametrize("how", ["left", "removed"])
async def test_leaving_and_removal_within_the_grace_period_are_told_at_once_and_are_all(
    how: str,
) -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        if how == "left":
            await bo.link.leave()
            bo.link.detach()
        else:
            bo.link.detach()
            await settle()
            await home.manager.remove(session, bo.user_id)
        await settle()
        assert ada.phone.types == ["participant_left"]
        await trio.sleep(20)
        assert ada.phone.types == ["participant_left"]


async def test_the_end_of_the_session_within_the_grace_period_is_the_last_event() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo.link.detach()
        await settle()
        await home.manager.end(session)
        await trio.sleep(20)
        assert ada.phone.types == ["session_ended"]
        assert home.reports == []


async def test_the_grace_period_delays_neither_sleep_nor_the_end_by_inactivity() -> None:
    limits = SessionLimits(max_participants=5, inactive_after=600, sleep_after=1e6)
    async with house(limits) as home:
        session = await home.session(expires_in=24 * HOUR)
        ada = await home.someone(session)
        ada.link.detach()
        await trio.sleep(599)
        assert home.store.sessions[session].is_active
        await trio.sleep(2)
        assert not home.store.sessions[session].is_active


async def test_a_report_within_the_grace_period_keeps_its_sender_online() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo.link.detach()
        await trio.sleep(10)
        await home.manager.report(session, bo.user_id, position())
        await trio.sleep(119.9)
        assert heard(ada, bo) == []
        await trio.sleep(0.2)
        assert heard(ada, bo) == [False]


async def test_reports_that_stop_within_the_grace_period_do_not_shorten_it() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await home.manager.report(session, bo.user_id, position())
        await trio.sleep(115)
        bo.link.detach()
        await trio.sleep(14.9)
        assert heard(ada, bo) == []
        await trio.sleep(0.2)
        assert heard(ada, bo) == [False]


async def test_one_who_connected_for_a_moment_only_keeps_the_seat() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        bo = await home.someone(session, "Bo")
        bo.link.detach()
        await trio.sleep(300)
        assert heard(ada, bo) == [True, False]
        assert not (await seen(home, session, bo)).online


async def test_last_seen_is_the_last_sign_of_life_and_not_the_end_of_the_grace_period() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.update(position())
        await settle()
        at = home.clock()
        bo.link.detach()
        await trio.sleep(15.1)
        ((told),) = ada.phone.all("participant_updated")
        assert abs(((await seen(home, session, bo)).last_seen - at).total_seconds()) < 0.01
        assert told["last_seen"][:19] == at.isoformat()[:19]


async def test_one_who_falls_asleep_and_comes_back_within_the_grace_period_is_online() -> None:
    async with house(max_sessions=1) as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        for each in (ada, bo):
            each.link.detach()
        await settle()
        await home.manager.lifecycle.put_to_sleep(home.table(session))
        ada = await home.connect(session, ada.user_id)
        shown = {p["user_id"]: p["online"] for p in ada.phone.snapshot["participants"]}
        assert shown == {ada.user_id: True, bo.user_id: False}, "what was in memory is gone"
        await home.connect(session, bo.user_id)
        assert heard(ada, bo) == [True]


# --- states ---------------------------------------------------------------------------------------


def states(who: Someone, of: Someone) -> list[str]:
    """The states of ``of`` that were sent, each time."""
    return [
        each.get("state", "active")
        for each in who.phone.all("participant_updated")
        if each["user_id"] == of.user_id
    ]


async def test_a_state_is_shown_to_the_others_and_in_snapshots() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.set_state("hidden")
        await settle()
        assert states(ada, bo) == ["hidden"]
        assert heard(ada, bo) == [True]
        assert bo.phone.messages == [], "nobody is sent their own"
        cy = await home.someone(session, "Cy")
        shown = {p["user_id"]: p.get("state") for p in cy.phone.snapshot["participants"]}
        assert shown == {ada.user_id: None, bo.user_id: "hidden", cy.user_id: None}
        await bo.link.set_state("active")
        await settle()
        assert states(ada, bo)[1:] == states(cy, bo) == ["active"]
        assert "state" not in cy.phone.all("participant_updated")[0], "absent is active"


async def test_saying_the_same_state_again_is_no_news() -> None:
    async with house() as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        for state in ("active", "paused", "paused"):
            await bo.link.set_state(state)
        await settle()
        assert states(ada, bo) == ["paused"]


async def test_a_state_ends_with_its_connection() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.set_state("hidden")
        bo.link.detach()
        await trio.sleep(10)
        assert (await seen(home, session, bo)).state == "hidden", "no news within the grace period"
        bo = await home.connect(session, bo.user_id)
        assert states(ada, bo) == ["hidden", "active"], "a new connection begins active"
        await bo.link.set_state("paused")
        bo.link.detach()
        await trio.sleep(15.1)
        assert states(ada, bo) == ["hidden", "active", "paused", "active"]
        assert heard(ada, bo)[-1] is False


async def test_a_state_of_a_connection_that_was_replaced_is_ignored() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        newer = await home.connect(session, bo.user_id)
        await bo.link.set_state("hidden")
        await settle()
        assert states(ada, bo) == []
        await newer.link.set_state("paused")
        await settle()
        assert states(ada, bo) == ["paused"]


async def test_a_state_survives_a_crash_of_the_session() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.set_state("hidden")
        await settle()
        await home.crash(session)
        cy = await home.someone(session, "Cy")
        shown = {p["user_id"]: p.get("state") for p in cy.phone.snapshot["participants"]}
        assert shown[bo.user_id] == "hidden"
        assert states(ada, bo) == ["hidden"]


async def test_states_are_rate_limited_with_the_rest_of_presence_and_the_newest_is_last() -> None:
    async with house() as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        for _ in range(100):
            for state in ("hidden", "active", "paused"):
                await bo.link.set_state(state)
            await trio.sleep(0.1)
        assert len(states(ada, bo)) <= PRESENCE_RATE.burst + 10 * PRESENCE_RATE.per_second + 1
        await trio.sleep(2.1)
        assert states(ada, bo)[-1] == "paused"


async def test_one_who_is_online_by_reports_is_active() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.set_state("hidden")
        await home.manager.report(session, bo.user_id, position())
        bo.link.detach()
        await trio.sleep(15.1)
        assert states(ada, bo) == ["hidden", "active"]
        assert heard(ada, bo) == [True, True]


# --- a state from the beginning -------------------------------------------------------------------


async def test_a_connection_may_begin_in_its_state_so_that_a_return_in_it_is_no_event() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.set_state("paused")
        for _ in range(5):
            await trio.sleep(30.0)
            before = home.table(session).seq
            bo.link.detach()
            await trio.sleep(5.0)
            bo = await home.connect(session, bo.user_id, state="paused")
            assert bo.phone.snapshot["seq"] == before
            own = {p["user_id"]: p.get("state") for p in bo.phone.snapshot["participants"]}
            assert own == {ada.user_id: None, bo.user_id: "paused"}
        assert [each.get("state") for each in ada.phone.all("participant_updated")] == ["paused"]


async def test_a_new_connection_that_names_no_state_is_active() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await bo.link.set_state("hidden")
        await settle()
        bo = await home.connect(session, bo.user_id)
        states = [each.get("state") for each in ada.phone.all("participant_updated")]
        assert states == ["hidden", None]
