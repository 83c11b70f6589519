"""What the screens show: plain values that never change. Pure. Times are seconds of the wall clock
of this device (``at``), ages are computed when they are shown.
"""

from dataclasses import dataclass
from typing import Final, Literal

from locshare.client import PresenceState

FRESH_S: Final = 20.0
"""Up to this age a position is live; then it fades."""
MOST_NAME: Final = 100
"""Characters of a person's name, as this project's server allows; another one may send more."""
MOST_SESSION_NAME: Final = 255
STALE_S: Final = 30.0
"""From this age on it is not live: it is shown in grey, with its age in words."""

LinkState = Literal["connecting", "live", "waiting"]
Permission = Literal["unknown", "granted", "denied", "denied_forever", "off"]
"""``off``: the device's location service is switched off."""
Screen = Literal["home", "join", "live", "end", "settings", "server"]
Sheet = Literal[
    "", "menu", "invite", "map_type", "explain", "person",
    "leave", "end", "remove", "step_down", "new_link",
]  # fmt: skip
Follow = Literal["everyone", "me", "person", "free"]


@dataclass(frozen=True)
class Place:
    lat: float
    lng: float
    at: float
    """When the fix was taken."""
    accuracy: float | None = None
    speed: float | None = None
    battery: float | None = None


@dataclass(frozen=True)
class Person:
    user_id: str
    name: str
    color: str
    online: bool
    last_seen: float
    state: PresenceState = "active"
    is_host: bool = False
    is_me: bool = False
    place: Place | None = None


@dataclass(frozen=True)
class Link:
    """``retry_at``: when the next attempt to connect begins, while ``waiting``."""

    state: LinkState = "connecting"
    retry_at: float = 0.0


@dataclass(frozen=True)
class Group:
    """A session that this device is in. ``people`` is in the order of the list."""

    session_id: str
    name: str
    expires_at: float
    people: tuple[Person, ...] = ()
    locked: bool = False
    is_host: bool = False
    can_host: bool = False
    """Whether the server has a host's means at all."""
    paused: bool = False
    watching: bool = False
    link: Link = Link()

    @property
    def me(self) -> Person | None:
        return next((each for each in self.people if each.is_me), None)

    def person(self, user_id: str) -> Person | None:
        return next((each for each in self.people if each.user_id == user_id), None)


@dataclass(frozen=True)
class End:
    """Why a session is over for this device: a key of the words, and what to offer."""

    session_id: str
    title: str
    text: str
    link: str = ""
    """With which it can be joined again; empty when it cannot."""


@dataclass(frozen=True)
class Invitation:
    """A session that may be joined."""

    link: str
    session_id: str
    name: str
    expires_at: float
    count: int
    locked: bool = False
    is_host: bool = False
    link_key: str | None = None


def one_line(text: str, most: int) -> str:
    """``text`` of somebody else, at most so long, in one line."""
    text = " ".join(text[: most * 4].split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def freshness(age_s: float) -> Literal["live", "fading", "old"]:
    """What a position of this age is worth."""
    return "live" if age_s < FRESH_S else "fading" if age_s < STALE_S else "old"
