"""A session crashes under traffic, over real sockets: nobody's connection notices."""

from tests.session.served import serving


async def test_both_sockets_stay_open_and_every_later_update_arrives() -> None:
    async with serving() as served:
        home = served.home
        session, other = await home.session(), await home.session()
        async with (
            served.client(session, "Ada") as ada,
            served.client(session, "Bo") as bo,
            served.client(other, "Cy") as cy,
            served.client(other, "Di") as di,
        ):
            untouched = home.actor(other)
            await ada.until("participant_joined")
            for round_ in range(3):
                before = home.actor(session)
                before.cast("a message that no session knows")
                await ada.move(10 + round_)
                await bo.move(20 + round_)
                assert (await bo.until("location_update"))["lat"] == 10 + round_
                assert (await ada.until("location_update"))["lat"] == 20 + round_
                assert not before.alive
            await cy.move(30)
            assert (await di.until("location_update"))["lat"] == 30
            assert home.actor(other) is untouched, "no other session was restarted"
            assert home.manager.statistics().restarts == 3
            async with served.client(session, "Late") as late:
                assert (await ada.until("participant_joined"))["user_id"] == late.user_id


async def test_when_it_keeps_crashing_its_sockets_are_closed_with_the_reason() -> None:
    async with serving() as served:
        home = served.home
        session = await home.session()
        async with served.client(session, "Ada") as ada:
            for _ in range(4):
                await home.crash(session)
            assert await ada.until("session_ended") == {"reason": "internal_error"}
            assert await ada.close_code() == 4410
