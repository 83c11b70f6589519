"""The permission for the location, in every state that a phone has."""

from pathlib import Path
from typing import Any

import flet_geolocator as ftg
import pytest

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, DENIED, called, create, friend, places, streaming

pytestmark = APP


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


@on_the_phone
async def test_a_permission_taken_away_while_sharing_ends_sharing_and_is_said(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.shows("sharing your position")
        one.answers["get_permission_status"] = "denied"
        await one.event(one.service(ftg.Geolocator), "error", "User denied permissions")
        await one.shows("they do not see you")
        assert not streaming(one)
        one.answers["get_permission_status"] = "whileInUse"
        await one.press("mend")
        await one.until(lambda: streaming(one), "streaming")


@on_the_phone
async def test_a_location_that_is_switched_off_while_sharing_is_said_and_comes_back_by_itself(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.shows("sharing your position")
        one.answers["is_location_service_enabled"] = False
        await one.event(one.service(ftg.Geolocator), "error", "The location service is disabled")
        await one.shows("is switched off")
        assert streaming(one), "the background could not start it again"
        one.answers["is_location_service_enabled"] = True
        await one.stand(52.52, 13.4)
        await one.until(lambda: not one.has("is switched off"), "on again")
        await one.until(lambda: (52.52, 13.4) in places(one), "moved")
