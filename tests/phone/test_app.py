"""The whole app without a screen, against a real server."""

from pathlib import Path
from typing import Any

import flet_geolocator as ftg
import flet_map as ftm
import pytest

from tests.phone.kit import on_the_phone, phone
from tests.program import Program

pytestmark = pytest.mark.e2e


async def create(one: Any, name: str = "Ada", session: str = "Sunday ride") -> None:
    await one.press("new")
    await one.type("name", name)
    await one.type("session_name", session)
    await one.press("create")
    await one.shows("1 person")


@on_the_phone
async def test_who_creates_a_session_is_on_its_map_and_shares(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phone(tmp_path, program.http_url, monkeypatch) as one:
        await one.shows("See each other on a map")
        await create(one)
        assert one.has("Sunday ride")
        await one.stand(52.5163, 13.3777)
        await one.shows("sharing your position")
        await one.until(lambda: len(one.all(ftm.Marker)) == 1, "on the map")
        assert one.service(ftg.Geolocator).configuration is not None
        await one.until(lambda: any(name == "move_to" for name, _ in one.calls), "in view")
