"""Without a network, and with a server that restarts."""

from pathlib import Path

import flet as ft

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, create, friend, places
from tests.program import Program

pytestmark = APP


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


@on_the_phone
async def test_the_app_is_back_after_a_restart_of_the_server_and_shows_where_everybody_was(
    server: str, program: Program, tmp_path: Path
) -> None:
    """Of the fixes of that time the newest is sent."""
    async with phone(tmp_path, server) as one:
        link = await create(one)
        await one.stand(*BERLIN)
        await one.until(lambda: places(one) == [BERLIN])
        program.stop()
        try:
            await one.shows("Connection lost")
            assert places(one) == [BERLIN]
            for step in range(40):
                one.app.controller._tracker.send_again()
                await one.stand(52.52 + step * 0.001, 13.4)
        finally:
            program.start()
        await one.until(lambda: one.state.group.link.state == "live", "back")
        await one.until(lambda: not one.has("Connection lost"))
        assert one.has("1 person")
        async with friend(one, link, "Grace") as grace:
            ada = grace.sees("Ada").user_id
            found = grace.live.replica
            assert found is not None
            await one.until(lambda: ada in found.positions, "seen by others")
            assert round(found.positions[ada].lat, 3) == 52.559
