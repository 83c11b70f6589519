"""How somebody stands, in words: what is known of them, and what it is worth. Pure. The rules and
the words are the web client's (web/src/core/standing.ts, web/src/views/people.tsx).
"""

import math
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from phone.i18n import Units, Words
from phone.view import STALE_S, Permission, Person, Place

NEAR_M: Final = 10.0
"""Nearer than that two people are in one place."""
_RADIUS_M: Final = 6_371_008.8


class Standing(NamedTuple):
    """``age_s``: of the position; of whoever is offline, since they were last seen."""

    kind: Literal["live", "no_position", "here", "paused", "hidden", "offline"]
    age_s: float | None = None


def standing(each: Person, now: float, *, is_live: bool) -> Standing:
    """``is_live``: whether this device's connection is. Without it nobody else can be called
    live.
    """
    age_s = None if each.place is None else max(now - each.place.at, 0.0)
    if not each.online:
        return Standing("offline", max(now - each.last_seen, 0.0))
    if each.state == "paused":
        return Standing("paused", age_s)
    is_fresh = age_s is not None and age_s < STALE_S
    if each.state == "hidden" and not is_fresh:
        return Standing("hidden", age_s)
    if age_s is None:
        return Standing("no_position")
    return Standing("live" if is_fresh and is_live else "here", age_s)


def standing_text(each: Person, now: float, words: Words, *, is_live: bool, far: str = "") -> str:
    """What is said of somebody else. ``far`` is how far their last place is from here, where it is
    to be said.
    """
    found = standing(each, now, is_live=is_live)
    if far and each.place is not None and found.kind != "live":
        # The age of the fix: somebody may have been there for longer than their place is known.
        ago = words.ago(max(now - each.place.at, 0.0))
        seen = words("person.last_seen", ago=ago, distance=far)
        if found.kind in ("here", "no_position"):
            return seen
        kind = "offline.now" if found.kind == "offline" else found.kind
        return f"{words(f'person.{kind}')} · {seen}"
    if found.age_s is None:
        return words(f"person.{found.kind}")
    ago = words.ago(found.age_s)
    if found.kind in ("live", "offline", "here"):
        return words(f"person.{found.kind}", ago=ago)
    return f"{words(f'person.{found.kind}')} · {words('person.here', ago=ago)}"


class Sharing(NamedTuple):
    """What this device does with its position."""

    permission: Permission
    paused: bool
    watching: bool
    searching: bool
    blurred: bool
    cut: bool = False
    """There is no connection: nothing is shared, whatever the device knows."""


def my_standing_text(me: Person, now: float, words: Words, sharing: Sharing) -> str:
    """What is said of the person themselves."""
    if sharing.paused:
        return words("person.paused_me")
    if sharing.watching or sharing.permission != "granted":
        return words("person.not_shared")
    if sharing.cut:
        return words("person.cut")
    age_s = None if me.place is None else now - me.place.at
    if age_s is None or (sharing.searching and age_s > STALE_S):
        return words("person.searching")
    if age_s >= STALE_S:
        return words("person.mine_old", ago=words.ago(age_s))
    return words("person.blurred" if sharing.blurred else "person.sharing")


class Way(NamedTuple):
    """From one place to another: along the great circle, and where one sets out to (0 to 360)."""

    metres: float
    bearing: float


def way(here: Place, there: Place) -> Way:
    """How far ``there`` is, and in which direction."""
    lat1, lat2 = math.radians(here.lat), math.radians(there.lat)
    d_lat, d_lng = lat2 - lat1, math.radians(there.lng - here.lng)
    half = math.sin(d_lat / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(d_lng / 2) ** 2
    east = math.sin(d_lng) * math.cos(lat2)
    north = math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(d_lng)
    return Way(
        2 * _RADIUS_M * math.asin(math.sqrt(min(half, 1.0))),
        math.degrees(math.atan2(east, north)) % 360,
    )


def way_text(found: Way, words: Words, units: Units) -> tuple[str, str]:
    """The distance, and the point of the compass; the latter is empty for who is here."""
    far = words.distance(found.metres, units)
    return far, "" if found.metres < NEAR_M else words.compass(found.bearing)


def directions_link(place: Place, name: str, platform: str) -> str:
    """Where a device shows the way to a place: its own maps, or a map on the web.

    As web/src/core/directions.ts.
    """
    at = f"{place.lat:.6f},{place.lng:.6f}"
    if platform == "android":
        label = quote(name, safe="!*'()")
        return f"geo:{at}?q={at}({label})"
    if platform == "ios":
        return f"https://maps.apple.com/?daddr={at}"
    return f"https://www.openstreetmap.org/directions?to={quote(at, safe='')}"
