"""The component that everything hangs from."""

import flet as ft

from phone.controller import Controller
from phone.screens.end import Ended
from phone.screens.home import Home
from phone.screens.join import Join
from phone.screens.kept import once
from phone.screens.live import LiveScreen
from phone.screens.settings import ServerScreen, SettingsScreen
from phone.state import AppState

_LiveScreen = once(LiveScreen)


@ft.component
def Root(state: AppState, control: Controller) -> ft.Control:  # noqa: N802 - a component
    """The screen that ``state`` names."""
    ft.use_state(state)
    match state.screen:
        case "live" if state.group is not None:
            return _LiveScreen(state, control)
        case "join":
            return Join(state, control)
        case "end":
            return Ended(state, control)
        case "settings":
            return SettingsScreen(state, control)
        case "server":
            return ServerScreen(state, control)
    return Home(state, control)
