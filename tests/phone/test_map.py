"""The map's camera, and the avatars on it."""

from pathlib import Path
from typing import Any

import pytest

from phone.view import Place
from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, called, create, friend, places

pytestmark = APP


@on_the_phone
async def test_a_finger_on_the_map_ends_following_and_buttons_begin_it(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.until(lambda: called(one, "move_to"), "in view")
        moved = moved_to(50.0, 10.0, finger=True)
        await one.event(one.by_key("map"), "position_change", moved)
        assert one.state.follow == "free"
        before = called(one, "move_to")
        await one.stand(52.52, 13.4)
        await one.until(lambda: places(one) == [(52.52, 13.4)])
        assert called(one, "move_to") == before
        await one.press("me")
        await one.until(lambda: called(one, "move_to") > before, "centred")
        *_, moved = [given for name, given in one.calls if name == "move_to"]
        assert abs(moved["destination"]["longitude"] - 13.4) < 0.01
        await one.press("everyone")
        assert one.state.follow == "everyone"


@on_the_phone
async def test_the_map_itself_moving_ends_no_following(server: str, tmp_path: Path) -> None:
    """The app's own move of the camera is told as well, without a gesture."""
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.event(one.by_key("map"), "position_change", moved_to(50.0, 10.0, finger=False))
        assert one.state.follow == "everyone"
        await one.event(one.by_key("map"), "position_change", moved_to(50.0, 10.0, finger=True))
        assert one.state.follow == "free"


@on_the_phone
async def test_who_does_not_move_is_not_drawn_anew_when_others_do(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their markers and rows are the same objects, which Flet does not compare, and a second
    renders the map once: what a move costs is theirs who move (bench.solo.phone).
    """
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        async with friend(one, link, "Grace") as grace, friend(one, link, "Alan") as alan:
            await grace.stand(52.52, 13.4)
            await alan.stand(52.53, 13.4)
            await one.until(lambda: len(places(one)) == 3, "on the map")
            await one.until(lambda: one.state.notice == "", "nothing more to say")
            await one.quiet()
            keys = [f"marker-{grace.user_id}", f"accuracy-{grace.user_id}", f"row-{grace.user_id}"]
            kept = [one.by_key(each) for each in keys]
            face = one.by_key(f"marker-{alan.user_id}").content
            looked: list[float] = []

            def look(age_s: float) -> str:
                looked.append(age_s)
                return "live"

            monkeypatch.setattr("phone.screens.map_pane.freshness", look)
            one.app.controller._publisher.hidden()
            one.app.controller._participations[one.state.active].feed._places[alan.user_id] = Place(
                52.54, 13.4, one.state.now
            )
            one.app.controller._publish()
            await one.until(lambda: (52.54, 13.4) in places(one), "moved")
            await one.quiet()
            assert all(one.by_key(key) is each for key, each in zip(keys, kept, strict=True))
            assert one.by_key(f"marker-{alan.user_id}").content is face
            assert len(looked) == 3


def moved_to(lat: float, lng: float, *, finger: bool) -> dict[str, Any]:
    """What Flutter's map tells of a move."""
    camera = {
        "center": {"latitude": lat, "longitude": lng}, "zoom": 8.0, "min_zoom": 2.0,
        "max_zoom": 18.0, "rotation": 0.0,
    }  # fmt: skip
    return {"coordinates": camera["center"], "camera": camera, "has_gesture": finger}
