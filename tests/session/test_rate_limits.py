"""Who comes and goes all the time is not heard of all the time, and in the end everybody knows."""

import pytest
import trio

from locshare.actors.testing import settle
from locshare.api.errors import problem_for
from locshare.http.problems import ProblemCode
from locshare.session.errors import TooManyJoins
from locshare.session.limits import SessionLimits
from locshare.session.rate_limits import NEVER_SEEN, PRESENCE_RATE
from tests.session.kit import House, Someone, house

NO_GRACE = SessionLimits(max_participants=5, offline_grace=0)
"""Each loss of a connection is news."""


async def flap(home: House, who: Someone, times: int, pause: float) -> Someone:
    """Lose the connection and come back, again and again; online in the end."""
    (session,) = home.manager.directory._tables
    for _ in range(times):
        who.link.detach()
        await settle()
        who = await home.connect(session, who.user_id)
        await trio.sleep(pause)
    return who


def presence_sent(who: Someone, whom: Someone) -> list[bool]:
    """What ``whom`` heard of ``who``: online or not, in order."""
    updates = whom.phone.all("participant_updated")
    return [update["online"] for update in updates if update["user_id"] == who.user_id]


async def test_presence_of_a_phone_that_reconnects_in_a_loop_is_rate_limited() -> None:
    async with house(NO_GRACE) as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        await flap(home, bo, 200, 0.1)  # 400 events in 20 s
        sent = len(presence_sent(bo, ada))
        assert sent <= PRESENCE_RATE.burst + 20 * PRESENCE_RATE.per_second + 1


@pytest.mark.parametrize("online", [True, False])
async def test_the_last_presence_is_sent_in_the_end(online: bool) -> None:
    async with house(NO_GRACE) as home:
        _, (ada, bo) = await home.group("Ada", "Bo")
        bo = await flap(home, bo, 20, 0.0)
        if not online:
            bo.link.detach()
            await settle()
        await trio.sleep(2 / PRESENCE_RATE.per_second)
        assert presence_sent(bo, ada)[-1] is online


async def test_who_comes_meanwhile_sees_what_the_others_see_and_then_the_truth() -> None:
    async with house(NO_GRACE) as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo = await flap(home, bo, 20, 0.0)
        bo.link.detach()
        await settle()
        cy = await home.someone(session, "Cy")
        shown = {p["user_id"]: p["online"] for p in cy.phone.snapshot["participants"]}
        assert shown[bo.user_id] is presence_sent(bo, ada)[-1]
        assert cy.phone.snapshot["seq"] > 0
        await trio.sleep(2 / PRESENCE_RATE.per_second)
        assert [shown[bo.user_id], *presence_sent(bo, cy)][-1] is False


async def test_a_phone_that_reconnects_is_served_last() -> None:
    """The order of delivery is that of connecting: reconnecting does not move to the front."""
    async with house() as home:
        session, (ada, bo, cy) = await home.group("Ada", "Bo", "Cy")
        await home.connect(session, ada.user_id)
        order = [ada.user_id, bo.user_id, cy.user_id]
        assert list(home.table(session).receivers) == [*order[1:], order[0]]
        assert list(home.table(session).roster) == order


async def test_a_delayed_presence_survives_a_crash() -> None:
    async with house(NO_GRACE) as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        bo = await flap(home, bo, 20, 0.0)
        bo.link.detach()
        await settle()
        await home.crash(session)
        await trio.sleep(2 / PRESENCE_RATE.per_second)
        assert presence_sent(bo, ada)[-1] is False


async def test_a_group_may_join_at_once_but_not_be_replaced_all_the_time() -> None:
    async with house(SessionLimits(max_participants=5)) as home:
        session, (ada,) = await home.group("Ada")
        joined = 5 + 10 - 1
        for _ in range(joined):
            await home.manager.remove(session, await home.join(session))
        with pytest.raises(TooManyJoins) as refused:
            await home.join(session)
        assert refused.value.retry_after >= 1
        assert len(ada.phone.messages) == 2 * joined
        assert not home.table(session).reservations, "the seat is free again"
        await trio.sleep(refused.value.retry_after)
        await home.join(session)


async def test_trying_to_join_a_full_session_spends_nothing() -> None:
    async with house(SessionLimits(max_participants=2)) as home:
        session, (_ada, bo) = await home.group("Ada", "Bo")
        for _ in range(100):
            with pytest.raises(Exception, match="full"):
                await home.join(session)
        await bo.link.leave()
        await home.join(session)


def test_the_api_says_when_to_try_again() -> None:
    problem = problem_for(TooManyJoins(2.3))
    assert problem is not None
    assert (problem.code, problem.headers["Retry-After"]) == (ProblemCode.UNAVAILABLE, "3")


def test_presence_is_sent_six_times_at_once_and_then_every_two_seconds() -> None:
    presence = NEVER_SEEN
    for number in range(6):
        after = presence.announce(number % 2 == 0, "active", 100.0)
        assert after is not None
        presence = after
    assert presence.announce(True, "active", 101.9) is None
    assert presence.ready_at() == pytest.approx(102.0, abs=0.01)
    assert presence.announce(True, "active", 102.0) is not None
