"""The whole app without a screen, against a real server: what people see and press."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flet as ft
import flet_geolocator as ftg
import flet_map as ftm
import httpx
import pytest

from locshare.client import Client, Live, Position, parse_join_link
from phone.app import App
from phone.backend import VARIABLE
from phone.i18n import isolated
from tests.phone.kit import ENVIRONMENTS, NEVER, Phone, on_the_phone, phone
from tests.program import Program

pytestmark = pytest.mark.e2e
BERLIN = (52.5163, 13.3777)
DENIED = {"get_permission_status": "denied"}


@pytest.fixture(autouse=True)
def _server(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, program.http_url)


@pytest.fixture
def server(program: Program) -> str:
    return program.http_url


class Friend:
    """Somebody else in the session, on the official client."""

    def __init__(self, one: Phone, live: Live, user_id: str, task: asyncio.Task[Any]) -> None:
        self.one = one
        self.live = live
        self.user_id = user_id
        self.task = task

    async def stand(self, lat: float, lng: float) -> None:
        position = Position(lat, lng, 8.0, datetime.now(UTC))
        await self.one.app.controller._guest.run(self.live.send_position, position)

    async def leave(self) -> None:
        await self.one.app.controller._guest.run(self.live.leave)

    def sees(self, name: str) -> Any:
        assert self.live.replica is not None
        people = self.live.replica.participants.values()
        return next((each for each in people if each.display_name == name), None)


@asynccontextmanager
async def friend(one: Phone, link: str, name: str) -> AsyncIterator[Friend]:
    guest = one.app.controller._guest
    found = parse_join_link(link)

    async def join() -> Any:
        async with Client(found.url) as client:
            return await client.join(found.session_id, name, link_key=found.link_key)

    me = await guest.run(join)
    live = Live(me.websocket_url, me.websocket_token)
    task = asyncio.ensure_future(guest.run(live.run))
    try:
        await guest.run(live.has_connected.wait)
        yield Friend(one, live, me.user_id, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def create(one: Phone, name: str = "Ada", session: str = "Sunday ride") -> str:
    """Returns the join link."""
    await one.press("new")
    await one.type("name", name)
    await one.type("session_name", session)
    await one.press("create")
    await one.shows(session)
    await one.shows("1 person")
    link: str = one.state.settings.memberships[-1].join_link
    return link


def made(server: str, name: str = "Alps") -> dict[str, Any]:
    """A session that somebody else has created."""
    answer = httpx.post(f"{server}/api/sessions", json={"name": name})
    found: dict[str, Any] = answer.json()
    return found


async def asked(method: str, url: str, session: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the server answers the session's host."""
    headers = {"Authorization": f"Bearer {session['host_token']}"}
    async with httpx.AsyncClient() as http:
        found: dict[str, Any] = (await http.request(method, url, headers=headers, **more)).json()
    return found


def places(one: Phone) -> list[tuple[float, float]]:
    return [
        (round(float(each.coordinates.latitude), 4), round(float(each.coordinates.longitude), 4))
        for each in one.all(ftm.Marker)
    ]


def streaming(one: Phone) -> bool:
    return one.service(ftg.Geolocator).on_position_change is not None


def called(one: Phone, name: str) -> int:
    return sum(each == name for each, _ in one.calls)


# --- coming and going


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


# --- the location


@on_the_phone
async def test_the_reason_for_the_location_is_shown_before_the_system_asks(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server, **DENIED) as one:
        await create(one)
        await one.shows("Share where you are")
        assert one.has("also while the screen is off")
        assert called(one, "request_permission") == 0
        assert not streaming(one)
        one.answers["get_permission_status"] = "whileInUse"
        await one.press("allow")
        await one.until(lambda: streaming(one), "streaming")
        assert called(one, "request_permission") == 1
        assert ("request", {"permission": "notification"}) in one.calls
        assert not one.has("Share where you are")


@on_the_phone
async def test_who_only_watches_can_share_later(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server, **DENIED) as one:
        await create(one)
        await one.shows("Share where you are")
        await one.press("watch")
        await one.shows("they do not see you. Allow your location.")
        assert one.has("only watching")
        one.answers["get_permission_status"] = "whileInUse"
        await one.press("mend")
        await one.until(lambda: streaming(one), "streaming")


@on_the_phone
async def test_a_denied_location_may_be_asked_for_again(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server, request_permission="denied", **DENIED) as one:
        await create(one)
        await one.shows("Share where you are")
        await one.press("allow")
        await one.shows("Allow your location.")
        await one.press("mend")
        await one.until(lambda: called(one, "request_permission") == 2)
        assert not streaming(one)


@pytest.mark.parametrize(
    ("answers", "says", "opens"),
    [
        (
            {"get_permission_status": "deniedForever"},
            "Allow this app the location",
            "open_app_settings",
        ),
        ({"is_location_service_enabled": False}, "is switched off", "open_location_settings"),
    ],
)
@on_the_phone
async def test_where_only_the_settings_help_they_are_opened_and_a_return_is_noticed(
    server: str, tmp_path: Path, answers: dict[str, Any], says: str, opens: str
) -> None:
    async with phone(tmp_path, server, **answers) as one:
        await create(one)
        await one.shows(says)
        assert called(one, "request_permission") == 0
        await one.press("mend")
        await one.until(lambda: called(one, opens) == 1)
        one.answers["get_permission_status"] = "whileInUse"
        one.answers["is_location_service_enabled"] = True
        await one.lifecycle("inactive", "hide", "show", "resume")
        await one.until(lambda: streaming(one), "streaming")


@on_the_phone
async def test_pausing_hides_this_device_and_resuming_shows_it(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        async with friend(one, link, "Grace") as grace:
            await one.until(lambda: grace.sees("Ada").state == "active")
            await one.press("pause")
            await one.shows("paused: nobody sees where you are")
            await one.until(lambda: grace.sees("Ada").state == "paused", "paused for others")
            assert not streaming(one)
            await one.press("pause")
            await one.until(lambda: grace.sees("Ada").state == "active", "active for others")
            assert streaming(one)


# --- foreground and background


@on_the_phone
async def test_nothing_is_rendered_while_hidden_and_sharing_goes_on(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        async with friend(one, link, "Grace") as grace:
            await one.shows("2 people")
            await one.lifecycle("inactive", "hide", "pause")
            await one.until(lambda: grace.sees("Ada").state == "hidden", "hidden for others")
            assert streaming(one)
            await one.quiet()
            before = one.renders
            mine = one.app.controller._participations[one.state.active]
            one.app.controller._tracker.send_again()
            await one.stand(52.5, 13.3)
            ada = grace.sees("Ada").user_id
            replica = grace.live.replica
            assert replica is not None
            await one.until(lambda: ada in replica.positions and replica.positions[ada].lat == 52.5)
            await grace.stand(52.6, 13.6)
            await one.until(lambda: len(mine.feed._places) == 1, "received")
            assert one.renders == before
            await one.lifecycle("show", "resume")
            await one.until(lambda: (52.6, 13.6) in places(one), "brought up to date")
            assert (52.5, 13.3) in places(one)


@on_the_phone
async def test_the_rate_for_the_background_is_set_while_the_app_may_still_start_a_service(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        geolocator = one.service(ftg.Geolocator)
        sent = one.packed(geolocator.configuration)
        assert sent["interval_duration"] == {"seconds": 2}
        assert sent["foreground_notification_title"] == "Sharing your location"
        await one.lifecycle("inactive")
        assert one.packed(geolocator.configuration)["interval_duration"] == {"seconds": 5}
        await one.lifecycle("hide", "pause")
        one.answers["get_battery_level"] = 10
        await one.app.controller._read_battery()
        assert one.packed(geolocator.configuration)["interval_duration"] == {"seconds": 5}
        await one.lifecycle("show", "resume")
        await one.until(
            lambda: one.packed(geolocator.configuration)["interval_duration"] == {"seconds": 15}
        )


@on_the_phone
async def test_on_a_low_battery_less_is_asked_and_it_is_said(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server, get_battery_level=15, platform="ios") as one:
        await create(one)
        await one.shows("Low battery")
        await one.until(
            lambda: one.packed(one.service(ftg.Geolocator).configuration)["accuracy"] == "medium"
        )
        await one.app.controller.set_saving("off")
        await one.until(lambda: not one.has("Low battery"))
        assert one.packed(one.service(ftg.Geolocator).configuration)["accuracy"] == "high"


@on_the_phone
async def test_who_stands_still_is_sent_again_only_after_the_device_was_asked(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phone.rate.RENEW_S", 0.5)
    async with phone(tmp_path, server, get_current_position=NEVER) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.until(lambda: called(one, "get_current_position") >= 1, "asked")
        sent = one.app.controller._tracker._reports._sent
        assert sent is not None
        assert sent.lat == BERLIN[0]


@on_the_phone
async def test_a_new_page_in_a_living_process_goes_on_where_the_last_one_was(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.event(one.page, "disconnect")
        again = Phone(one.app)
        await again.start()
        await again.shows("Sunday ride")
        assert streaming(again)
        assert not streaming(one)
        await again.until(lambda: places(again) == [BERLIN], "on the map")
        await again.stand(52.52, 13.4)
        await again.until(lambda: places(again) == [(52.52, 13.4)], "moved")
        assert again.crashes == []


@on_the_phone
async def test_a_new_process_is_the_same_person_in_the_same_sessions(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        user_id = one.state.group.me.user_id
    async with phone(tmp_path, server) as again:
        await again.shows("Sunday ride")
        await again.shows("1 person")
        assert again.state.group.me.user_id == user_id
        assert again.state.settings.name == "Ada"


# --- the network


@on_the_phone
async def test_without_a_network_it_says_so_and_the_map_stays(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        connectivity = one.service(ft.Connectivity)
        await one.event(connectivity, "change", {"connectivity": ["none"]})
        await one.shows("You are offline")
        await one.until(lambda: places(one) == [BERLIN])
        await one.event(connectivity, "change", {"connectivity": ["mobile"]})
        await one.until(lambda: not one.has("You are offline"))


# --- several sessions, settings, languages


@on_the_phone
async def test_several_sessions_run_at_once_and_are_switched(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        first = await create(one, session="First")
        await one.press("menu")
        await one.press("new")
        await create(one, session="Second")
        async with friend(one, first, "Grace") as grace:
            await one.stand(*BERLIN)
            replica = grace.live.replica
            assert replica is not None
            await one.until(lambda: len(replica.positions) == 1, "sharing in both")
            await one.press("menu")
            await one.press(f"session-{parse_join_link(first).session_id}")
            await one.shows("2 people")
            await one.press("menu")
            await one.press("leave")
            await one.press("yes")
            await one.shows("You have left")
        assert streaming(one)
        await one.press("home")
        await one.shows("Go back into")
        await one.press(f"back-{one.state.groups[0].session_id}")
        await one.shows("Second")


@on_the_phone
async def test_the_app_speaks_the_phones_language_or_the_one_that_is_chosen(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server, language="de") as one:
        await one.shows("Seht einander auf der Karte")
        await one.press("settings")
        await one.shows("Sprache")
        await one.choose("language", "en")
        await one.shows("Language")
        await one.press("back")
        await one.shows("See each other on a map")
    async with phone(tmp_path, server, language="de") as again:
        await again.shows("See each other on a map")


@on_the_phone
async def test_the_hidden_screen_chooses_the_server(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await one.press("settings")
        for _ in range(7):
            await one.press("version")
        await one.shows("For whoever runs or tests a server")
        await one.press("environment-local")
        assert one.by_key("url").value == "http://127.0.0.1:8080"
        await one.type("url", "no server")
        await one.press("save")
        await one.shows("is not like https://")
        await one.choose("dialect", "phoenix")
        await one.type("url", "https://other.example")
        await one.type("topic", "session:{session_id}")
        await one.press("save")
        await one.shows("Settings")
        assert one.state.backend.topic == "session:{session_id}"
        await one.press("back")
        await one.shows("on other.example")
    assert App(ENVIRONMENTS, tmp_path).state.backend.url == server


@on_the_phone
async def test_the_back_button_leaves_what_is_open_and_then_the_app(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        view = one.page.views[0]
        await one.press("menu")
        await one.event(view, "confirm_pop")
        assert one.state.sheet == ""
        await one.event(view, "confirm_pop")
        assert one.state.screen == "home"
        await one.event(view, "confirm_pop")
        assert [args["should_pop"] for name, args in one.calls if name == "confirm_pop"] == [
            False, False, True,
        ]  # fmt: skip


# --- the host


@on_the_phone
async def test_a_host_locks_passes_the_role_on_removes_and_ends(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace, friend(one, link, "Mallory") as mallory:
            await one.shows("3 people")
            await one.press("menu")
            await one.press("lock")
            await one.until(lambda: "locked" in " ".join(one.texts), "locked")
            await one.until(lambda: grace.live.replica and grace.live.replica.session.locked)
            await one.press(f"row-{grace.user_id}")
            await one.press("make_host")
            await one.until(lambda: grace.sees("Grace").role == "host", "a host")
            await one.press(f"row-{mallory.user_id}")
            await one.press("remove")
            assert one.by_key("ban").label == "Keep them out"
            await one.press("yes")
            await one.shows("2 people")
            await one.press("menu")
            await one.press("new_link")
            await one.press("yes")
            await one.until(lambda: one.state.notice == "The host has made a new link")
            await one.press("invite")
            await one.until(lambda: called(one, "share_text") or called(one, "set"), "shared")
            await one.press("menu")
            await one.press("step_down")
            await one.press("yes")
            await one.until(lambda: not one.state.group.is_host, "no host")
            await one.press("menu")
            assert not one.has("As the host")


@on_the_phone
async def test_a_host_ends_the_session_for_everyone(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            await one.press("menu")
            await one.press("end")
            await one.press("yes")
            await one.shows("This session has ended")
            await asyncio.wait([grace.task])


@on_the_phone
async def test_a_finger_on_the_map_ends_following_and_buttons_begin_it(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.until(lambda: called(one, "move_to"), "in view")
        camera = {
            "center": {"latitude": 50.0, "longitude": 10.0}, "zoom": 8.0, "min_zoom": 2.0,
            "max_zoom": 18.0, "rotation": 0.0,
        }  # fmt: skip
        moved = {"coordinates": camera["center"], "camera": camera, "has_gesture": True}
        await one.event(one.by_key("map"), "position_change", moved)
        assert one.state.follow == "free"
        before = called(one, "move_to")
        await one.stand(52.52, 13.4)
        await one.until(lambda: places(one) == [(52.52, 13.4)])
        assert called(one, "move_to") == before
        await one.press("me")
        await one.until(lambda: called(one, "move_to") > before, "centred")
        destination = one.calls[-1][1]["destination"] if one.calls[-1][0] == "move_to" else None
        assert destination is None or abs(destination["longitude"] - 13.4) < 0.01
        await one.press("everyone")
        assert one.state.follow == "everyone"
