"""What counts as activity, when it is noted, and what goes on after a crash."""

from datetime import timedelta

import trio

from locshare.actors.testing import settle
from locshare.session.limits import SessionLimits
from tests.session.kit import HOUR, house, position


async def test_no_position_is_held_longer_than_the_retention_across_a_crash_either() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await ada.link.update(position(1))
        await trio.sleep(10)
        await bo.link.update(position(2))
        await settle()
        await home.crash(session)
        await trio.sleep(19.9)
        assert set(home.table(session).positions) == {ada.user_id, bo.user_id}
        await trio.sleep(0.2)
        assert set(home.table(session).positions) == {bo.user_id}
        await trio.sleep(10)
        assert home.table(session).positions == {}


async def test_a_session_past_its_expiry_is_not_active_although_nobody_has_noted_it() -> None:
    async with house(reaper=False) as home:
        session = await home.session()
        assert (await home.manager.describe(session)).is_active
        left = home.store.sessions[session].expires_at - home.clock()
        await trio.sleep(left.total_seconds() - 0.001)
        assert (await home.manager.describe(session)).is_active
        await trio.sleep(0.002)
        assert home.store.sessions[session].is_active
        assert not (await home.manager.describe(session)).is_active


async def test_the_end_is_written_when_the_host_is_answered() -> None:
    async with house(reaper=False) as home:
        session, _ = await home.group("Ada")
        await home.manager.end(session)
        assert not home.store.sessions[session].is_active
        assert home.store.calls["end_session"] == 1


async def test_activity_is_noted_from_the_moment_that_somebody_connects() -> None:
    async with house(SessionLimits(max_participants=5, sleep_after=10_000)) as home:
        session = await home.session()
        user = await home.join(session)
        await trio.sleep(100)  # the timer has run out, and nobody was there
        ada = await home.connect(session, user)
        home.store.touches.clear()
        await trio.sleep(29.9)
        assert home.store.touches == []
        await trio.sleep(0.2)
        ((touched, active, seen),) = home.store.touches
        assert (touched, set(seen)) == (session, {ada.user_id})
        assert home.clock() - active < timedelta(seconds=0.2)


async def test_activity_is_noted_also_of_those_who_stayed_through_a_crash() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await home.crash(session)
        home.store.touches.clear()
        await trio.sleep(30.1)
        assert ada.user_id in {user for _, _, seen in home.store.touches for user in seen}


async def test_a_join_counts_as_activity() -> None:
    async with house(SessionLimits(max_participants=5, inactive_after=600)) as home:
        session = await home.session(expires_in=24 * HOUR)
        await home.join(session, "Ada")
        for name in ("Bo", "Cy"):
            await trio.sleep(500)
            assert home.store.sessions[session].is_active
            await home.join(session, name)
        await trio.sleep(500)
        assert home.store.sessions[session].is_active
        await trio.sleep(200)
        assert not home.store.sessions[session].is_active


async def test_who_was_heard_of_is_noted_with_the_time_of_the_newest_position() -> None:
    async with house() as home:
        _, (ada, _bo) = await home.group("Ada", "Bo")
        await trio.sleep(29)
        home.store.touches.clear()
        await ada.link.update(position())
        await settle()
        heard = home.clock()
        await trio.sleep(2)
        (_, active, seen) = home.store.touches[0]
        assert abs((seen[ada.user_id] - heard).total_seconds()) < 0.001
        assert active > heard


async def test_stopping_notes_the_last_activity() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        await trio.sleep(5)
        await ada.link.update(position())
        await settle()
        home.store.touches.clear()
    (touched,) = home.store.touches
    assert touched[0] == session
    assert set(touched[2]) == {ada.user_id}


async def test_activity_is_noted_now_and_then_while_somebody_is_connected() -> None:
    async with house() as home:
        _, (ada,) = await home.group("Ada")
        home.store.touches.clear()
        for _ in range(60):
            await ada.link.update(position())
            await trio.sleep(2)
        assert 3 <= len(home.store.touches) <= 5
        ada.link.detach()
        await trio.sleep(31)
        home.store.touches.clear()
        await trio.sleep(1000)
        assert home.store.touches == []
