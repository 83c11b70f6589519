"""Units and appearance: as the device is, until somebody chooses; and kept."""

from pathlib import Path

import flet as ft

from phone.settings import SettingsFile
from tests.phone.kit import on_the_phone, phone
from tests.phone.people import APP, BERLIN, create, friend

pytestmark = APP


@on_the_phone
async def test_units_are_those_of_the_region_until_others_are_chosen(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        link = await create(one)
        async with friend(one, link, "Grace") as grace:
            await one.stand(*BERLIN)
            await grace.stand(BERLIN[0] + 0.009, BERLIN[1])
            await one.shows("1.0 km")
            american = ft.Locale("en", "US")
            await one.event(one.page, "locale_change", {"locales": [american]})
            one.app.controller._publisher.now()
            await one.shows("0.6 mi")
            await one.press("menu")
            await one.press("settings")
            await one.choose("units", "metric")
            await one.press("back")
            await one.shows("1.0 km")
    assert SettingsFile(tmp_path).read().units == "metric"


@on_the_phone
async def test_the_appearance_is_the_devices_until_another_is_chosen(
    server: str, tmp_path: Path
) -> None:
    async with phone(tmp_path, server) as one:
        await one.press("settings")
        assert (one.page.theme_mode, one.state.dark) == (ft.ThemeMode.SYSTEM, False)
        await one.choose("scheme", "dark")
        assert (one.page.theme_mode, one.state.dark) == (ft.ThemeMode.DARK, True)
    async with phone(tmp_path, server) as one:
        assert (one.page.theme_mode, one.state.dark) == (ft.ThemeMode.DARK, True)
        await one.press("settings")
        await one.choose("scheme", "auto")
        assert (one.page.theme_mode, one.state.dark) == (ft.ThemeMode.SYSTEM, False)
