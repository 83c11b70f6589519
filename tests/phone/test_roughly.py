"""Sharing roughly: what leaves the device is the middle of a cell, and never the exact place."""

from pathlib import Path
from typing import Any

from tests.phone.kit import Phone, on_the_phone, phone
from tests.phone.people import APP, BERLIN, Friend, create, friend

pytestmark = APP
MIDDLE = (52.515, 13.384763)


def seen(grace: Friend) -> set[tuple[float, float]]:
    """Where the others see everybody."""
    replica: Any = grace.live.replica
    return {(round(each.lat, 6), round(each.lng, 6)) for each in replica.positions.values()}


async def switch(one: Phone, *, on: bool) -> None:
    """In the settings, and back."""
    if one.state.screen == "live":
        await one.press("menu")
    await one.press("settings")
    control = one.by_key("blurred")
    one.session.apply_patch(control._i, {"value": on})
    await one.event(control, "change", on)
    await one.press("back")


@on_the_phone
async def test_the_others_see_a_cell_at_once_and_the_place_again_when_it_is_switched_off(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            await one.stand(*BERLIN)
            await one.until(lambda: seen(grace) == {BERLIN}, "the place")
            await switch(one, on=True)
            # No other fix came: what the device has given is shared anew.
            await one.until(lambda: seen(grace) == {MIDDLE}, "the cell")
            await one.shows("sharing roughly where you are")
            assert one.state.group.me.place.lat == BERLIN[0]
            await switch(one, on=False)
            await one.until(lambda: seen(grace) == {BERLIN}, "the place again")


@on_the_phone
async def test_no_exact_place_is_sent_while_it_is_on(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await switch(one, on=True)
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            replica: Any = grace.live.replica
            for step in range(4):
                # Else two that come in one millisecond, and say the same place, look like one.
                replica.positions.clear()
                one.app.controller._tracker.send_again()  # however soon it comes
                await one.stand(BERLIN[0] + step * 0.0005, BERLIN[1], speed=5.0, heading=90.0)
                await one.until(lambda: seen(grace), "a position")
                assert seen(grace) == {MIDDLE}
                [position] = replica.positions.values()
                assert position.accuracy == 800
                assert (position.speed, position.heading) == (None, None)
