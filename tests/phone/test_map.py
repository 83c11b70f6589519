"""The map's camera, and the avatars on it."""

from pathlib import Path

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, called, create, places

pytestmark = APP


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
