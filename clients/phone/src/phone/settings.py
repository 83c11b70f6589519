"""What the app remembers on this device: one small JSON file in the app's own folder, which other
apps cannot read and an uninstallation deletes.

Tokens are in it, until their session ends: who comes back is the same person.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final, Literal, final

import msgspec
from msgspec import Struct, structs

from phone.backend import Backend
from phone.i18n import Units

MOST_SESSIONS: Final = 5
"""At once. More would cost the battery, and nobody needs them."""
FILE: Final = "locshare.json"
_LARGEST: Final = 262_144
COLORS: Final = (
    "#C62828", "#C2410C", "#B45309", "#2E7D32", "#0F766E", "#1D4ED8", "#7C3AED", "#BE185D",
)  # fmt: skip
"""Of the avatars; white is readable on each."""
COLOR_NAMES: Final = ("red", "orange", "amber", "green", "teal", "blue", "violet", "pink")

SavingWish = Literal["auto", "on", "off"]
MapChoice = Literal["auto", "light", "dark", "terrain", "satellite", "plain"]
Language = Literal["auto", "en", "de"]
Scheme = Literal["auto", "light", "dark"]


class Membership(Struct, frozen=True, omit_defaults=True):
    """This device's place in one session."""

    session_id: str
    name: str
    backend: Backend
    join_link: str
    user_id: str
    token: str
    websocket_url: str
    expires_at: float
    host_token: str = ""
    host_key: str = ""
    """Of the host's link: with it the same person is the host on another device."""
    paused: bool = False
    watching: bool = False
    """Has joined to see the others, and not to be seen."""

    @property
    def shares(self) -> bool:
        """Whether this device's position goes into the session."""
        return not self.paused and not self.watching


class Settings(Struct, frozen=True, omit_defaults=True):
    name: str = ""
    color: str = COLORS[4]
    language: Language = "auto"
    map_choice: MapChoice = "auto"
    saving: SavingWish = "auto"
    keep_awake: bool = False
    scheme: Scheme = "auto"
    units: Units | None = None
    """None: those of the device's region."""
    blurred: bool = False
    """Share roughly: see :mod:`phone.blur`."""
    backend: Backend | None = None
    """None: the default of the build."""
    device_key: str = ""
    explained: bool = False
    """The reason for the location permission was shown, and the system was asked."""
    memberships: tuple[Membership, ...] = ()

    def membership(self, session_id: str) -> Membership | None:
        return next((each for each in self.memberships if each.session_id == session_id), None)

    def with_membership(self, found: Membership) -> "Settings":
        """With ``found`` as the newest; the oldest give way beyond :data:`MOST_SESSIONS`."""
        others = tuple(each for each in self.memberships if each.session_id != found.session_id)
        return structs.replace(self, memberships=(*others, found)[-MOST_SESSIONS:])

    def without_membership(self, session_id: str) -> "Settings":
        kept = tuple(each for each in self.memberships if each.session_id != session_id)
        return structs.replace(self, memberships=kept)

    def still_running(self, now: float) -> "Settings":
        """Without the sessions whose time is up."""
        kept = tuple(each for each in self.memberships if each.expires_at > now)
        return structs.replace(self, memberships=kept)


@final
class SettingsFile:
    """Reads and writes the settings. A few kilobytes, so it blocks."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> Settings:
        """The settings; the defaults where there is no file, or none that can be understood."""
        found = Settings()
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeError):
            if self.path.stat().st_size <= _LARGEST:
                found = msgspec.json.decode(self.path.read_bytes(), type=Settings)
        if not found.device_key:
            found = structs.replace(found, device_key=secrets.token_urlsafe(24))
        return found

    def write(self, settings: Settings) -> bool:
        """Whole or not at all. False where the device has no room: then it is forgotten with the
        process.
        """
        part = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(settings))
            part.replace(self.path)
        except OSError:
            return False
        return True


def folder() -> Path:
    """Where the app may keep its file: what the system gives it, else the user's own folder."""
    given = os.environ.get("FLET_APP_STORAGE_DATA")
    return Path(given) if given else Path.home() / ".local" / "share" / "locshare-phone"
