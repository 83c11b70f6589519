"""One person's sheet: how they stand, how far, and the way to them."""

from pathlib import Path

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, called, create, friend

pytestmark = APP


@on_the_phone
async def test_it_says_how_far_and_opens_the_phones_own_map_for_the_way(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            await one.stand(*BERLIN, speed=2.0)
            await grace.stand(BERLIN[0], BERLIN[1] + 0.0047)
            await one.shows("320 m")
            await one.press(f"row-{grace.user_id}")
            await one.shows("320 m E")
            await one.shows("± 10 m")
            await one.press("directions")
            await one.until(lambda: called(one, "launch_url"), "opened")
            [opened] = [each["url"] for name, each in one.calls if name == "launch_url"]
            assert opened == "geo:52.516300,13.382400?q=52.516300,13.382400(Grace)"
