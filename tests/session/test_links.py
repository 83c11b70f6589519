"""A host replaces the join link: who has the one of before is refused, and nobody else notices."""

from uuid import uuid4

import pytest
import trio

from locshare.actors.testing import settle
from locshare.session.errors import LinkReplaced, SessionNotFound, SessionOver
from locshare.store.port import StoreUnavailable
from tests.session.kit import house, position


async def test_a_new_link_keeps_out_who_has_the_one_of_before_and_nobody_who_is_in() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        late = await home.join(session, "Late")
        await settle()
        first = (await home.manager.replace_link(session)).link_key
        told = {"locked": False, "link_key": first}
        assert ada.phone.all("session_updated") == bo.phone.all("session_updated") == [told]
        with pytest.raises(LinkReplaced):
            await home.join(session, "Cy")
        await home.join(session, "Cy", link_key=first)
        second = (await home.manager.replace_link(session)).link_key
        assert second != first
        with pytest.raises(LinkReplaced):
            await home.join(session, "Di", link_key=first)
        await home.join(session, "Host", "host")

        # Who is in moves, goes away and comes back, with the token alone.
        await bo.link.update(position(5))
        await settle()
        assert (bo.user_id, 5) in ada.phone.heard()
        bo.link.detach()
        resume = f"{bo.epoch}.{bo.phone.events[0][0] - 1}"
        again = await home.connect(session, bo.user_id, resume)
        assert again.phone.snapshot["session"]["link_key"] == second
        missed = again.phone.snapshot["missed"]
        keys = [each["data"]["link_key"] for each in missed if each["type"] == "session_updated"]
        assert keys == [first, second]
        await home.connect(session, late)


async def test_until_it_is_replaced_a_link_needs_no_key_and_nothing_shows_one() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        again = await home.connect(session, ada.user_id)
        assert "link_key" not in again.phone.snapshot["session"]
        await home.manager.set_locked(session, True)
        await home.manager.set_locked(session, False)
        assert again.phone.all("session_updated") == [{"locked": True}, {"locked": False}]
        await home.join(session, "Bo", link_key="what a messenger left on the link")


async def test_who_lost_an_unused_seat_takes_it_again_with_the_token_after_a_new_link() -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        late = await home.join(session, "Late")
        await trio.sleep(121)
        await home.manager.replace_link(session)
        someone = await home.connect(session, late)
        assert len(someone.phone.snapshot["participants"]) == 2


async def test_a_new_link_holds_over_crashes_sleep_and_restarts() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        key = (await home.manager.replace_link(session)).link_key
        await home.crash(session)
        with pytest.raises(LinkReplaced):
            await home.join(session, "Cy")
        ada.link.detach()
        await trio.sleep(61)
        assert (await home.manager.describe(session)).link_key == key
        with pytest.raises(LinkReplaced):
            await home.join(session, "Cy")
        store = home.store
    async with house() as again:
        again.store.sessions, again.store.participants = store.sessions, store.participants
        with pytest.raises(LinkReplaced):
            await again.join(session, "Cy")
        someone = await again.connect(session, ada.user_id)
        assert someone.phone.snapshot["session"]["link_key"] == key
        await again.join(session, "Cy", link_key=key)


async def test_of_two_new_links_at_once_the_one_that_is_told_last_is_the_one_that_is_kept() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.store.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(home.manager.replace_link, session)
            await settle()
            home.store.gate.set()
        told = [each["link_key"] for each in ada.phone.all("session_updated")]
        assert len(set(told)) == 3
        assert home.store.sessions[session].link_key == told[-1]


async def test_a_new_link_that_cannot_be_written_is_none() -> None:
    async with house() as home:
        session, (ada,) = await home.group("Ada")
        home.store.away = True
        with pytest.raises(StoreUnavailable):
            await home.manager.replace_link(session)
        home.store.away = False
        assert ada.phone.messages == []
        await home.join(session, "Bo")


async def test_a_session_that_has_ended_gets_no_new_link() -> None:
    async with house() as home:
        session, _ = await home.group("Ada")
        await home.manager.end(session)
        with pytest.raises(SessionOver):
            await home.manager.replace_link(session)
        with pytest.raises(SessionNotFound):
            await home.manager.replace_link(uuid4())
