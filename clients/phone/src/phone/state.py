"""Everything that the screens show. Only the controller writes it; a component that reads it is
rendered again when it changes.
"""

from dataclasses import dataclass, field

import flet as ft

from phone.backend import Backend, Environments
from phone.i18n import Units, Words, units_of, words_in
from phone.maps import MapSource
from phone.settings import Settings
from phone.view import End, Follow, Group, Invitation, Permission, Screen, Sheet


@ft.observable
@dataclass
class AppState:
    """The values are frozen: a change is another value, and one render."""

    environments: Environments
    settings: Settings = field(default_factory=Settings)
    locale: str = "en"
    """The device's, such as ``de-AT``."""
    words: Words = field(default_factory=lambda: words_in("en"))
    screen: Screen = "home"
    sheet: Sheet = ""
    busy: bool = False
    problem: str = ""
    """Why the last thing that was tried did not work, in words."""
    notice: str = ""
    """Something to read once; it goes by itself."""
    link: str = ""
    """What the field for a link holds."""
    invitation: Invitation | None = None
    groups: tuple[Group, ...] = ()
    """The sessions that this device is in, the oldest first."""
    active: str = ""
    """The id of the one on the screen."""
    end: End | None = None
    permission: Permission = "unknown"
    searching: bool = False
    """The device has not given a position yet, or gives none any more."""
    saving: bool = False
    offline: bool = False
    follow: Follow = "everyone"
    selected: str = ""
    """Whose sheet is open, or whom the map follows."""
    list_is_long: bool = False
    qr: str = ""
    """The join link as a picture (SVG), for the sheet that is open."""
    maps: tuple[MapSource, ...] = ()
    dark: bool = False
    now: float = 0.0
    """When this was published; ages are counted to it."""

    @property
    def group(self) -> Group | None:
        """The session on the screen."""
        return next((each for each in self.groups if each.session_id == self.active), None)

    @property
    def units(self) -> Units:
        """Of lengths and speeds."""
        return self.settings.units or units_of(self.locale)

    @property
    def backend(self) -> Backend:
        """The server on which sessions are created."""
        return self.settings.backend or self.environments.named[self.environments.default]
