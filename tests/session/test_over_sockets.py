"""What phones see of a session over real sockets, by the real clock."""

from tests.session.served import serving


async def test_two_clients_see_each_other_and_not_themselves() -> None:
    async with serving() as served:
        session = await served.home.session()
        async with served.client(session, "Ada") as ada, served.client(session, "Bo") as bo:
            assert (await ada.next())["data"]["display_name"] == "Bo"
            assert (await ada.next())["data"]["online"] is True
            for lat in range(3):
                await ada.move(lat)
                await bo.move(10 + lat)
                seen = [await each.next() for each in (ada, bo)]
                assert [m["type"] for m in seen] == ["location_update", "location_update"]
                assert [m["data"]["lat"] for m in seen] == [10 + lat, lat]
                assert [m["data"]["user_id"] for m in seen] == [bo.user_id, ada.user_id]


async def test_a_newer_connection_closes_the_older_with_4409_and_nobody_else_notices() -> None:
    async with serving() as served:
        session = await served.home.session()
        async with served.client(session, "Ada") as ada, served.client(session, "Bo") as older:
            assert (await ada.until("participant_updated"))["online"] is True
            async with served.connection(session, older.user_id) as newer:
                assert await older.close_code() == 4409
                await newer.move(1)
                assert (await ada.next())["type"] == "location_update"
                await ada.move(2)
                assert (await newer.until("location_update"))["lat"] == 2


async def test_when_the_host_ends_it_phones_hear_why_and_are_closed_with_4410() -> None:
    async with serving() as served:
        session = await served.home.session()
        async with served.client(session, "Ada") as ada, served.client(session, "Bo") as bo:
            await served.home.manager.end(session)
            for each in (ada, bo):
                assert await each.until("session_ended") == {"reason": "ended_by_host"}
                assert await each.close_code() == 4410
            assert await served.refusal(session, ada.user_id) == 410


async def test_who_is_removed_is_closed_with_4403_and_refused_from_then_on() -> None:
    async with serving() as served:
        session = await served.home.session()
        async with served.client(session, "Ada") as ada, served.client(session, "Bo") as bo:
            await served.home.manager.remove(session, bo.user_id)
            assert await bo.close_code() == 4403
            left = {"user_id": bo.user_id, "reason": "removed"}
            assert await ada.until("participant_left") == left
            assert await served.refusal(session, bo.user_id) == 403


async def test_a_participant_who_leaves_is_closed_with_1000_after_the_others_know() -> None:
    async with serving() as served:
        session = await served.home.session()
        async with served.client(session, "Ada") as ada, served.client(session, "Bo") as bo:
            await bo.send("leave")
            assert await bo.close_code() == 1000
            left = {"user_id": bo.user_id, "reason": "left"}
            assert await ada.until("participant_left") == left


async def test_whose_socket_is_gone_is_offline_and_comes_back_with_the_same_token() -> None:
    async with serving() as served:
        session = await served.home.session()
        async with served.client(session, "Ada") as ada:
            async with served.client(session, "Bo") as bo:
                assert (await ada.until("participant_updated"))["online"] is True
                await bo.move(1)
                await ada.until("location_update")
            assert (await ada.until("participant_updated"))["online"] is False
            async with served.connection(session, bo.user_id):
                assert (await ada.until("participant_updated"))["online"] is True
