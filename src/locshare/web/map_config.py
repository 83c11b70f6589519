"""The maps that a page may show, from the settings: ``/config.json``, and the origins that the
pages' policy lets it reach. Pure.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from locshare.config.settings import Settings


class MapType(Struct, frozen=True, omit_defaults=True):
    """``kind`` says what is at ``url``: a TileJSON of vector or raster tiles, a MapLibre style, or
    a template of raster tiles.
    """

    name: Literal["standard", "dark", "terrain", "satellite", "world"]
    kind: Literal["tilejson", "style", "raster"]
    url: str
    attribution: str = ""


class PageConfig(Struct, frozen=True):
    """``/config.json``. The first map is the one to begin with; without any there are no tiles."""

    maps: tuple[MapType, ...]


NO_MAPS: Final = PageConfig(())

WORLD: Final = Path(__file__).parent / "world.pmtiles"
"""Countries, coasts and their names, made by web/basemap; missing where tippecanoe does not run."""


def page_config(settings: Settings, *, has_world: bool = False) -> PageConfig:
    """The map file first; the addresses of this server are relative to the page's root. ``world``
    is the last: the ground beneath the others, or instead of them.
    """
    attribution = settings.tile_attribution or ""
    found = [MapType("standard", "tilejson", "tiles.json")] if settings.map_file else []
    if settings.map_style_url:
        found.append(MapType("standard", "style", settings.map_style_url, attribution))
    if settings.tile_url:
        found.append(MapType("standard", "raster", settings.tile_url, attribution))
    if settings.map_dark_url:
        found.append(MapType("dark", "raster", settings.map_dark_url, attribution))
    if settings.map_terrain_url:
        found.append(MapType("terrain", "raster", settings.map_terrain_url, attribution))
    if settings.map_satellite_url:
        found.append(MapType("satellite", "raster", settings.map_satellite_url, attribution))
    if has_world:
        found.append(MapType("world", "tilejson", "world.json"))
    return PageConfig(tuple(found))


def map_urls(settings: Settings) -> Iterator[str]:
    """Every address from which a page may load parts of a map, but this server's own."""
    for each in page_config(settings).maps:
        if each.url.startswith(("http://", "https://")):
            yield each.url
    yield from settings.map_origins
