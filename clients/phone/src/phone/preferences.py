"""What a person may choose, and the hidden choice of the server."""

from typing import Any, Final, Protocol, final

from msgspec import structs

from phone.backend import parse_backend
from phone.devices import Devices
from phone.i18n import words_in
from phone.settings import Settings
from phone.state import AppState
from phone.view import Screen

TAPS_TO_SERVER: Final = 7
"""On the version, for the hidden screen."""


class Owner(Protocol):
    """What a choice has effects on."""

    @property
    def devices(self) -> Devices | None:
        """Those of the page; None before there is one."""
        ...

    def remember(self, settings: Settings) -> None:
        """Keep the settings."""
        ...

    def go(self, screen: Screen) -> None:
        """Show another screen."""
        ...

    def notify(self, text: str) -> None:
        """Show ``text`` for some seconds."""
        ...

    def share_anew(self) -> None:
        """What was shared is withdrawn, and the newest position is shared as it now should be."""
        ...

    async def keep_awake(self) -> None:
        """Keep the screen on, or no longer."""
        ...


@final
class Preferences:
    """Values come from controls whose options are those of the settings."""

    def __init__(self, state: AppState, owner: Owner) -> None:
        self._state = state
        self._owner = owner
        self._taps = 0

    def _set(self, **values: Any) -> None:
        self._owner.remember(structs.replace(self._state.settings, **values))

    def set_language(self, language: str) -> None:
        """``auto`` is the device's."""
        self._set(language=language)
        if language == "auto":
            self._state.words = words_in(self._state.locale)

    def set_scheme(self, scheme: str) -> None:
        """Light or dark; ``auto`` is the device's."""
        self._set(scheme=scheme)
        self.apply_scheme()

    def apply_scheme(self) -> None:
        """Show the page as it is chosen, or as the device is."""
        if self._owner.devices is not None:
            self._state.dark = self._owner.devices.show_as(self._state.settings.scheme)

    def set_units(self, units: str) -> None:
        """``metric`` or ``imperial``."""
        self._set(units=units)

    def set_map(self, choice: str) -> None:
        """Choose a map type."""
        self._set(map_choice=choice)

    def set_blurred(self, *, on: bool) -> None:
        """Share roughly where this device is, or exactly."""
        self._set(blurred=on)
        self._owner.share_anew()

    async def set_awake(self, *, on: bool) -> None:
        """Keep the screen on while the map is shown."""
        self._set(keep_awake=on)
        await self._owner.keep_awake()

    def tap_version(self) -> None:
        """After some taps the hidden screen opens."""
        self._taps += 1
        if self._taps >= TAPS_TO_SERVER:
            self._taps = 0
            self._owner.go("server")

    def set_backend(self, url: str, dialect: str, socket: str, topic: str) -> None:
        """Create sessions on another server from now on."""
        state = self._state
        try:
            backend = parse_backend(url, dialect, socket, topic)
        except ValueError as error:
            state.problem = str(error)
            return
        environments = state.environments
        is_default = backend == environments.named[environments.default]
        self._set(backend=None if is_default else backend)
        state.problem = ""
        self._owner.go("settings")
        self._owner.notify(state.words("notice.saved"))
