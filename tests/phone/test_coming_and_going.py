"""How this device comes into a session, who else is in it, and how it ends."""

import asyncio
from pathlib import Path

import flet_map as ftm
import pytest
from msgspec import structs

from locshare.client import Live, NotConnected
from phone.i18n import isolated
from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, asked, called, create, friend, made, places, streaming

pytestmark = APP


@on_the_phone
async def test_who_creates_a_session_is_on_its_map_and_shares(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await one.shows("See each other on a map")
        await create(one)
        await one.stand(*BERLIN)
        await one.shows("sharing your position")
        await one.until(lambda: places(one) == [BERLIN])
        await one.until(lambda: called(one, "move_to"), "in view")
        assert one.has("Host")


@on_the_phone
async def test_a_link_opens_the_app_and_joins(server: str, tmp_path: Path) -> None:
    link = made(server)["join_link"]
    route = link.replace("http://", "locshare://join/http/")
    async with phone(tmp_path, server, route=route) as one:
        await one.shows("Alps")
        assert one.has("Nobody is here yet.")
        await one.press("join")
        await one.shows("Say who you are")
        await one.type("name", "Grace")
        await one.press("join")
        await one.shows("1 person")
        assert one.state.settings.name == "Grace"


@on_the_phone
async def test_others_are_seen_to_come_to_move_and_to_leave(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        async with friend(one, link, "Grace") as grace:
            await one.shows("2 people")
            await one.until(lambda: one.state.notice == isolated("Grace") + " joined")
            await grace.stand(52.52, 13.4)
            await one.until(lambda: (52.52, 13.4) in places(one), "on the map")
            await one.shows("live")
            await one.until(lambda: len(one.all(ftm.CircleMarker)) == 2, "accuracy")
            await grace.stand(52.53, 13.41)
            await one.until(lambda: (52.53, 13.41) in places(one), "moved")
            await one.press(f"row-{grace.user_id}")
            await one.shows("Distance")
            assert one.has("km")
            await one.press("follow")
            await one.until(lambda: one.state.follow == "person")
            await grace.leave()
            await one.shows("1 person")
            assert places(one) == [BERLIN]


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("hello", "There is no session in this link"),
        ("https://127.0.0.1:1/join/0b8e0000-0000-4000-8000-000000000001", "cannot be reached"),
        ("0b8e0000-0000-4000-8000-000000000001", "There is no such session"),
    ],
)
@on_the_phone
async def test_a_link_that_leads_nowhere_is_explained(
    server: str, tmp_path: Path, link: str, says: str
) -> None:
    async with phone(tmp_path, server) as one:
        await one.type("link", link)
        await one.press("open")
        await one.shows(says)


@on_the_phone
async def test_a_locked_session_and_a_replaced_link_are_explained(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        session = made(server)
        url = f"{server}/api/sessions/{session['session_id']}"
        await asked("PATCH", url, session, json={"locked": True})
        await one.type("link", session["join_link"])
        await one.press("open")
        await one.shows("The host has locked it")
        await one.type("name", "Grace")
        await one.press("join")
        await one.shows("The host has locked the session")
        await asked("PATCH", url, session, json={"locked": False})
        new = (await asked("POST", f"{url}/link", session))["join_link"]
        await one.press("join")
        await one.shows("This link no longer works")
        await one.press("back")
        await one.type("link", new)
        await one.press("open")
        await one.press("join")
        await one.shows("1 person")


@on_the_phone
async def test_leaving_is_asked_back_and_stops_everything(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        async with friend(one, link, "Grace") as grace:
            await one.press("menu")
            await one.press("leave")
            await one.shows("Leave the session?")
            await one.press("no")
            assert not one.has("Leave the session?")
            await one.press("menu")
            await one.press("leave")
            await one.press("yes")
            await one.shows("You have left")
            await one.until(lambda: grace.sees("Ada") is None, "gone for others")
        assert not streaming(one)
        assert one.state.settings.memberships == ()
        await one.press("again")
        await one.shows("Sunday ride")


@on_the_phone
async def test_the_end_of_the_session_stops_everything(server: str, tmp_path: Path) -> None:
    session = made(server)
    async with phone(tmp_path, server) as one:
        await one.type("link", session["join_link"])
        await one.press("open")
        await one.type("name", "Grace")
        await one.press("join")
        await one.shows("1 person")
        assert streaming(one)
        await asked("DELETE", f"{server}/api/sessions/{session['session_id']}", session)
        await one.shows("This session has ended")
        assert one.has("The host has ended it.")
        assert not streaming(one)
        assert one.state.settings.memberships == ()
        assert one.app.controller._participations == {}


@on_the_phone
async def test_a_session_that_is_open_elsewhere_is_taken_back_as_the_same_person(
    server: str, tmp_path: Path
) -> None:
    """A phone that was set up from this one's backup has its token."""
    async with phone(tmp_path, server) as one:
        await create(one)
        mine = one.state.settings.memberships[-1]
        other = Live(mine.websocket_url, mine.token)
        task = asyncio.ensure_future(one.app.controller._guest.run(other.run))
        await one.shows("Open somewhere else")
        await one.press("again")
        await one.shows("1 person")
        assert isinstance(await task, NotConnected), "it is the other one's turn to be replaced"
        assert one.state.settings.memberships == (mine,)


@on_the_phone
async def test_a_second_press_before_the_first_has_shown_joins_once(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server, route=made(server)["join_link"]) as one:
        await one.type("name", "Grace")
        join = one.app.controller.entrance.join
        await asyncio.gather(join("Grace", "#0F766E"), join("Grace", "#0F766E"))
        await one.shows("1 person")


@on_the_phone
async def test_who_has_a_clock_that_is_fast_comes_back_as_the_same_person(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        mine = one.state.settings.memberships[-1]
        # What a join by such a clock has kept.
        one.app.controller.keep(structs.replace(mine, expires_at=mine.expires_at - 86_400))
        await one.until(
            lambda: abs(one.state.settings.memberships[-1].expires_at - mine.expires_at) < 60
        )
    async with phone(tmp_path, server) as one:
        await one.shows("1 person")
        assert one.state.settings.memberships[-1].user_id == mine.user_id
