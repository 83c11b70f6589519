"""Without a network, and with a server that restarts."""

from pathlib import Path

import flet as ft

from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, create, places
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
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.stand(*BERLIN)
        await one.until(lambda: places(one) == [BERLIN])
        program.stop()
        try:
            await one.shows("Connection lost")
            assert places(one) == [BERLIN]
        finally:
            program.start()
        await one.until(lambda: one.state.group.link.state == "live", "back")
        await one.until(lambda: not one.has("Connection lost"))
        assert one.has("1 person")
