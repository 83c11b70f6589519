"""Where the map's camera goes, so that a group is in view: flet-map 1.0.5 cannot fit a live map to
bounds, so the centre and the zoom are computed here. Pure. Web Mercator, tiles of 256 pixels.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from locshare.model.distance import metres_between

MAX_ZOOM: Final = 17.0
MIN_ZOOM: Final = 2.0
_TILE: Final = 256.0
_MOST_LATITUDE: Final = 85.0
NEAR_M: Final = 3_000.0
"""Within this everyone is shown, whatever the shape of the group."""
RATIO: Final = 8.0
"""The group takes at least about an eighth of the map."""


class Point(NamedTuple):
    lat: float
    lng: float


class Camera(NamedTuple):
    lat: float
    lng: float
    zoom: float


class Insets(NamedTuple):
    """Pixels at the edges of the map that something covers, with room for the markers."""

    left: float = 44.0
    top: float = 150.0
    right: float = 76.0
    bottom: float = 330.0


INSETS: Final = Insets()


def fit(points: Sequence[Point], width: float, height: float, insets: Insets = INSETS) -> Camera:
    """The camera of a map of ``width`` by ``height`` pixels on which all ``points`` lie inside the
    insets. A group on both sides of the date line is shown across it. Raises ValueError for none.
    """
    if not points:
        raise ValueError("nobody to show")
    eastings = _eastings([each.lng for each in points])
    northings = [_northing(each.lat) for each in points]
    west, east = min(eastings), max(eastings)
    south, north = min(northings), max(northings)
    free_width = max(width - insets.left - insets.right, 48.0)
    free_height = max(height - insets.top - insets.bottom, 48.0)
    zoom = min(_zoom(east - west, free_width), _zoom(north - south, free_height), MAX_ZOOM)
    zoom = max(zoom, MIN_ZOOM)
    # The middle of what is free is not the middle of the map.
    pixel = 2 * math.pi / (_TILE * 2**zoom)
    x = (west + east) / 2 + (insets.right - insets.left) / 2 * pixel
    y = (south + north) / 2 - (insets.bottom - insets.top) / 2 * pixel
    latitude = math.degrees(2 * math.atan(math.exp(y)) - math.pi / 2)
    latitude = max(-_MOST_LATITUDE, min(_MOST_LATITUDE, latitude))
    return Camera(latitude, (math.degrees(x) + 180) % 360 - 180, zoom)


def group_of(points: Sequence[Point]) -> list[Point]:
    """``points`` without the few that are so far away that the others would become a dot."""
    if len(points) < 3:
        return list(points)

    def far(one: Point) -> list[float]:
        return sorted(metres_between(*one, *other) for other in points)

    middle = min(points, key=lambda each: far(each)[len(points) // 2])
    limit = max(NEAR_M, far(middle)[(len(points) - 1) // 2] * RATIO)
    return [each for each in points if metres_between(*middle, *each) <= limit]


def _eastings(longitudes: Sequence[float]) -> list[float]:
    """In radians, from the east end of the widest gap on: the shortest arc that has them all."""
    around = 2 * math.pi
    found = sorted(math.radians(each) % around for each in longitudes)
    nexts = [*found[1:], found[0] + around]
    gap = max(range(len(found)), key=lambda at: nexts[at] - found[at])
    return [*found[gap + 1 :], *(each + around for each in found[: gap + 1])]


def _northing(latitude: float) -> float:
    latitude = max(-_MOST_LATITUDE, min(_MOST_LATITUDE, latitude))
    return math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))


def _zoom(span: float, pixels: float) -> float:
    return MAX_ZOOM if span <= 0 else math.log2(pixels * 2 * math.pi / (_TILE * span))
