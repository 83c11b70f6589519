"""With the screen off, or another app before it: sharing goes on, drawing does not."""

import asyncio
import time
from pathlib import Path
from typing import Any

import flet_geolocator as ftg
import pytest

from locshare.client import Position
from phone.app import App
from tests.phone.kit import ENVIRONMENTS, NEVER, Phone, fix, on_the_phone, phone
from tests.phone.people import (
    APP,
    BERLIN,
    asked,
    called,
    create,
    friend,
    made,
    places,
    streaming,
)

pytestmark = APP


@on_the_phone
async def test_nothing_is_rendered_while_hidden_and_sharing_goes_on(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phone.rate.HIDDEN_PACE_S", 0.5)
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
    """A device that does not answer is not repeated: the others see its position age."""
    monkeypatch.setattr("phone.rate.RENEW_S", 0.3)
    monkeypatch.setattr("phone.tracker.ASK_WITHIN_S", 0.1)
    async with phone(tmp_path, server, get_current_position=NEVER) as one:
        await create(one)
        await one.stand(*BERLIN)
        given: list[Position] = []
        mine: Any = one.app.controller._participations[one.state.active]
        mine.give = given.append
        await one.until(lambda: called(one, "get_current_position") >= 2, "asked")
        assert given == []
        one.answers["get_current_position"] = fix(*BERLIN)
        await one.until(lambda: given, "sent again")
        assert (given[0].lat, given[0].lng) == BERLIN


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


@on_the_phone
async def test_a_session_that_ends_in_the_background_stops_everything_and_is_said_later(
    server: str, tmp_path: Path
) -> None:
    session = made(server)
    async with phone(tmp_path, server) as one:
        await one.type("link", session["join_link"])
        await one.press("open")
        await one.type("name", "Grace")
        await one.press("join")
        await one.shows("1 person")
        await one.lifecycle("inactive", "hide", "pause")
        await asked("DELETE", f"{server}/api/sessions/{session['session_id']}", session)
        await one.until(lambda: not streaming(one), "the notification gone")
        assert one.app.controller._participations == {}
        assert one.state.settings.memberships == ()
        await one.lifecycle("show", "resume")
        await one.shows("This session has ended")


@on_the_phone
async def test_two_pages_at_once_are_one_app(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
    app = App(ENVIRONMENTS, tmp_path)
    pages = [Phone(app), Phone(app)]
    try:
        await asyncio.gather(*(each.start() for each in pages))
        await pages[1].shows("1 person")
        assert len(app.controller._participations) == 1
        assert [each.crashes for each in pages] == [[], []]
    finally:
        await app.controller.close()


@on_the_phone
async def test_a_clock_that_is_set_changes_no_age_and_no_end(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            await grace.stand(52.6, 13.6)
            await one.until(lambda: (52.6, 13.6) in places(one), "on the map")
            left = one.state.group.expires_at - one.state.now
            set_to = time.time() + 7200
            monkeypatch.setattr("phone.clock.time", lambda: set_to)
            one.app.controller._publisher.now()
            await one.until(lambda: one.state.now, "published")
            assert abs(one.state.group.expires_at - one.state.now - left) < 60
            age_s = one.state.now - one.state.group.person(grace.user_id).place.at
            assert -5 < age_s < 60
