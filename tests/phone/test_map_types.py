"""The map's types: those that the session's server offers, and whose they are, in sight."""

from pathlib import Path

import flet_map as ftm
import pytest

from phone.backend import VARIABLE
from phone.maps import plain_text
from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, create
from tests.postgres import Server
from tests.program import data_directory, running_program

pytestmark = APP
TILES = "https://tiles.example/{z}/{x}/{y}.png"
PICTURES = "https://pictures.example/{z}/{x}/{y}.jpg"


@on_the_phone
async def test_without_tiles_there_are_the_plain_grounds(server: str, tmp_path: Path) -> None:
    async with phone(tmp_path, server) as one:
        await create(one)
        await one.press("layers")
        assert [each.value for each in one.by_key("map_choice").segments] == [
            "auto", "light", "dark",
        ]  # fmt: skip
        assert one.all(ftm.TileLayer) == []


def test_what_the_server_offers_is_chosen_from_and_its_source_is_named(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_the_phone
    async def look(address: str) -> None:
        async with phone(tmp_path, address) as one:
            await create(one)
            await one.shows("© Surveyors & friends")
            assert [each.url_template for each in one.all(ftm.TileLayer)] == [TILES]
            await one.press("layers")
            await one.press("map_choice-satellite")
            await one.until(
                lambda: [each.url_template for each in one.all(ftm.TileLayer)] == [PICTURES],
                "the satellite's pictures",
            )
            await one.press("map_choice-plain")
            await one.until(lambda: not one.all(ftm.TileLayer), "the plain ground")
            assert not one.has("Surveyors")

    with (
        postgres_server.database() as database,
        data_directory() as folder,
        running_program(
            {
                "LOCSHARE_DATA_DIR": str(folder),
                "LOCSHARE_DATABASE_URL": database,
                "LOCSHARE_TILE_URL": TILES,
                "LOCSHARE_TILE_ATTRIBUTION": "© Surveyors & friends",
                "LOCSHARE_MAP_DARK_URL": "https://dark.example/{z}/{x}/{y}.png",
                "LOCSHARE_MAP_SATELLITE_URL": PICTURES,
            }
        ) as program,
    ):
        monkeypatch.setenv(VARIABLE, program.http_url)
        look(program.http_url)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ('<a href="https://a.example">&copy; OpenStreetMap</a> contributors',
         "© OpenStreetMap contributors"),
        ("plain  text\n", "plain text"),
        ("a < b & c", "a < b & c"),
        ("", ""),
    ],
)  # fmt: skip
def test_an_attribution_is_read_as_text(given: str, text: str) -> None:
    assert plain_text(given) == text
    assert len(plain_text("<" * 100_000)) <= 500
