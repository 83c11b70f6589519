"""Which ground the map has: what the session's server offers, and what the user chose. Pure.

flet-map draws raster tiles only. A server that has vector maps alone leaves a plain ground, with a
grid whose lines are a round distance apart.
"""

import html
import math
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from phone.settings import MapChoice

MOST_MAPS: Final = 8
_LONGEST_ATTRIBUTION: Final = 500
_RASTER: Final = (".png", ".jpg", ".jpeg", ".webp")
_STEPS_M: Final = (10, 20, 50, 100, 200, 500)
_MOST_REACH: Final = 85.0
_METRES_PER_DEGREE: Final = 111_195.0


class MapSource(Struct, frozen=True):
    """``url`` has ``{z}``, ``{x}`` and ``{y}``; ``attribution`` is plain text."""

    name: str
    url: str
    attribution: str = ""


class _Offer(Struct, frozen=True):
    name: str = ""
    kind: str = ""
    url: str = ""
    attribution: str = ""


class _Config(Struct, frozen=True):
    maps: tuple[_Offer, ...] = ()


class _TileJson(Struct, frozen=True):
    tiles: tuple[str, ...] = ()
    attribution: str = ""


def raster_maps(config: bytes, server: str) -> tuple[list[MapSource], list[tuple[str, str]]]:
    """The maps in a server's ``config.json``, and name and address of each TileJSON that may turn
    out to be one. Raises msgspec.DecodeError.
    """
    found: list[MapSource] = []
    to_ask: list[tuple[str, str]] = []
    for each in msgspec.json.decode(config, type=_Config).maps[:MOST_MAPS]:
        url = urljoin(f"{server.rstrip('/')}/", each.url)
        if urlsplit(url).scheme not in ("http", "https"):
            continue
        if each.kind == "raster" and _is_template(url):
            found.append(MapSource(each.name, url, plain_text(each.attribution)))
        elif each.kind == "tilejson" and each.name != "world":
            to_ask.append((each.name, url))
    return found, to_ask


def raster_of(name: str, tile_json: bytes, address: str) -> MapSource | None:
    """The map of a TileJSON whose tiles are pictures; None for another. Raises
    msgspec.DecodeError.
    """
    found = msgspec.json.decode(tile_json, type=_TileJson)
    for each in found.tiles[:1]:
        url = urljoin(address, each)
        if _is_template(url) and urlsplit(url).path.lower().endswith(_RASTER):
            return MapSource(name, url, plain_text(found.attribution))
    return None


def plain_text(attribution: str) -> str:
    """An attribution as people read it: providers write it with links and entities of HTML."""
    text = html.unescape(re.sub(r"<[^<>]*>", "", attribution[:_LONGEST_ATTRIBUTION]))
    return " ".join(text.split())


def choices(sources: Sequence[MapSource]) -> tuple[MapChoice, ...]:
    """The map types to choose from."""
    names = {each.name for each in sources}
    found: list[MapChoice] = ["auto"]
    if "standard" in names:
        found.append("light")
    if "dark" in names:
        found.append("dark")
    if "terrain" in names:
        found.append("terrain")
    if "satellite" in names:
        found.append("satellite")
    return (*found, "plain") if len(found) > 1 else ("auto", "light", "dark")


def choose(choice: MapChoice, sources: Sequence[MapSource], *, dark: bool) -> MapSource | None:
    """What to draw; None is the plain ground. A type that is not offered is ``auto``."""
    named = {each.name: each for each in sources}
    if choice == "plain":
        return None
    if choice in ("terrain", "satellite") and choice in named:
        return named[choice]
    if choice == "dark" or (choice != "light" and dark):
        return named.get("dark") or named.get("standard")
    return named.get("standard") or named.get("dark")


def is_dark(choice: MapChoice, *, dark: bool) -> bool:
    """Whether the ground under the markers is dark."""
    return choice in ("dark", "satellite") or (choice in ("auto", "plain") and dark)


def grid_step_m(zoom: float, latitude: float, pixels: float = 90.0) -> float:
    """The distance between two lines of the grid: a round one, about ``pixels`` on the screen."""
    metres_per_pixel = 156_543.03 * math.cos(math.radians(latitude)) / 2**zoom
    wanted = max(metres_per_pixel * pixels, 10.0)
    size = 10.0 ** max(math.floor(math.log10(wanted / 10)), 0)
    return next((step * size for step in _STEPS_M if step * size >= wanted * 0.7), 500 * size)


def grid(
    lat: float, lng: float, step_m: float, lines: int = 14
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Lines around a place, as pairs of places; the same ones wherever in a cell the place is."""
    step_lat = step_m / _METRES_PER_DEGREE
    row = round(lat / step_lat)
    # The cells of a row are as wide as they are high at its latitude.
    shrink = max(math.cos(math.radians(row * step_lat)), 0.05)
    step_lng = step_lat / shrink
    column = round(lng / step_lng)
    south, north = (max(-85.0, min(85.0, (row + side * lines) * step_lat)) for side in (-1, 1))
    # A line of more than half the world would be drawn the other way round it.
    reach = min(lines * step_lng, _MOST_REACH)
    west, east = column * step_lng - reach, column * step_lng + reach
    found = []
    for number in range(-lines, lines + 1):
        latitude = (row + number) * step_lat
        longitude = (column + number) * step_lng
        if -85 < latitude < 85:
            found.append(((latitude, west), (latitude, east)))
        found.append(((south, longitude), (north, longitude)))
    return found


def _is_template(url: str) -> bool:
    return all(part in url for part in ("{z}", "{x}", "{y}"))
