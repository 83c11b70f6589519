"""Only watching: in the session, on nobody's map, and nothing asked of the device."""

from pathlib import Path
from typing import Any

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, called, friend, made, streaming

pytestmark = APP


@on_the_phone
async def test_who_only_watches_is_asked_for_nothing_until_they_share(
    server: str, tmp_path: Path
) -> None:
    link = made(server)["join_link"]
    async with phone(tmp_path, server, route=link, get_permission_status="denied") as one:
        await one.type("name", "Ada")
        await one.press("watch")
        await one.shows("1 person")
        await one.shows("only watching")
        assert not one.state.sheet
        assert called(one, "request_permission") == 0
        async with friend(one, link, "Grace") as grace:
            await grace.stand(*BERLIN)
            await one.shows("live")
            assert not streaming(one)
            await one.press("pause")  # which says "Share" now
            await one.shows("Share where you are")
            one.answers["get_permission_status"] = "whileInUse"
            await one.press("allow")
            await one.until(lambda: streaming(one), "asked where it is")
            await one.stand(52.52, 13.38)
            await one.shows("sharing your position")
            replica: Any = grace.live.replica
            await one.until(lambda: replica.positions, "seen by the others")


@on_the_phone
async def test_it_is_remembered_over_a_restart_of_the_app(server: str, tmp_path: Path) -> None:
    link = made(server)["join_link"]
    async with phone(tmp_path, server, route=link) as one:
        await one.type("name", "Ada")
        await one.press("watch")
        await one.shows("only watching")
    async with phone(tmp_path, server) as one:
        await one.shows("only watching")
        assert not streaming(one)
