"""The process: what is made once, however often Flet asks for a page."""

import os
from pathlib import Path
from typing import final

import flet as ft
from msgspec import structs

from phone.backend import VARIABLE, Environments, read_environments
from phone.controller import Controller
from phone.screens.root import Root
from phone.screens.theme import DARK, LIGHT
from phone.settings import SettingsFile, folder
from phone.state import AppState
from phone.trio_guest import TrioGuest

CHOSEN = "given"
"""The name of an environment that the process was given."""


@final
class App:
    """``environments`` is the file with the servers; ``storage`` is where settings are kept."""

    def __init__(self, environments: Path, storage: Path | None = None) -> None:
        self.state = AppState(_chosen(read_environments(environments)))
        file = SettingsFile(storage or folder())
        self.controller = Controller(self.state, file, TrioGuest())

    async def main(self, page: ft.Page) -> None:
        """Show the app on ``page``. Runs again when the system has destroyed the last page and not
        the process.
        """
        page.title = "locshare"
        page.padding = 0
        page.spacing = 0
        page.theme, page.dark_theme = LIGHT, DARK
        view = page.views[0]
        view.padding = 0
        view.can_pop = False
        view.on_confirm_pop = self._back
        page.render(Root, self.state, self.controller)
        await self.controller.attach(page)

    async def _back(self, event: ft.Event[ft.View]) -> None:
        """The phone's back button: out of what is open, and in the end out of the app."""
        await event.control.confirm_pop(not self.controller.back())


def _chosen(environments: Environments) -> Environments:
    wish = os.environ.get(VARIABLE, "")
    if not wish:
        return environments
    named = {**environments.named, CHOSEN: environments.choose(wish)}
    return structs.replace(environments, default=CHOSEN, named=named)
