"""Geometry on a spherical earth: errors of at most 0.5 %, consistent with itself. Pure.

Degrees, metres; bearings clockwise from true north, 0 up to but not 360.
"""

from math import asin, atan2, cos, degrees, hypot, radians, sin, sqrt
from typing import Final

from msgspec import Struct

EARTH_RADIUS_M: Final = 6_371_008.8
"""The mean radius of WGS 84."""


class Place(Struct, frozen=True, gc=False):
    """A point: ``lat`` -90…90, ``lng`` -180…180."""

    lat: float
    lng: float


class Plane(Struct, frozen=True):
    """A flat map around ``origin``: x metres east, y metres north. Errors stay below 0.1 % within
    10 km of an origin between 70° south and 70° north.
    """

    origin: Place

    def place(self, x: float, y: float) -> Place:
        """The place at ``x``, ``y``."""
        lat = self.origin.lat + degrees(y / EARTH_RADIUS_M)
        # The parallel half-way: with that of the origin, the error grows twice as fast.
        shrink = cos(radians((lat + self.origin.lat) / 2))
        return Place(lat, wrapped(self.origin.lng + degrees(x / (EARTH_RADIUS_M * shrink))))


def wrapped(lng: float) -> float:
    """``lng`` normalised to -180…180."""
    return lng if -180 <= lng <= 180 else (lng + 180) % 360 - 180


def distance(a: Place, b: Place) -> float:
    """Metres along the great circle; exact for small distances too (haversine)."""
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    half = sin((lat_b - lat_a) / 2) ** 2
    half += cos(lat_a) * cos(lat_b) * sin(radians(b.lng - a.lng) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(half)))


def bearing(a: Place, b: Place) -> float:
    """The initial bearing of the great circle from ``a`` to ``b``."""
    lat_a, lat_b, turn = radians(a.lat), radians(b.lat), radians(b.lng - a.lng)
    east = sin(turn) * cos(lat_b)
    north = cos(lat_a) * sin(lat_b) - sin(lat_a) * cos(lat_b) * cos(turn)
    # Twice: the first turns a tiny negative number into 360.
    return degrees(atan2(east, north)) % 360 % 360


def between(a: Place, b: Place, fraction: float) -> Place:
    """The place ``fraction`` (0…1) of the way along the great circle from ``a`` to ``b``."""
    angle = distance(a, b) / EARTH_RADIUS_M
    if angle < 1e-9:  # 6 mm; the formula below would divide by 0
        return a
    share_a = sin((1 - fraction) * angle) / sin(angle)
    share_b = sin(fraction * angle) / sin(angle)
    x, y, z = (
        share_a * one + share_b * other for one, other in zip(_vector(a), _vector(b), strict=True)
    )
    return Place(degrees(atan2(z, hypot(x, y))), degrees(atan2(y, x)))


def _vector(place: Place) -> tuple[float, float, float]:
    lat, lng = radians(place.lat), radians(place.lng)
    return cos(lat) * cos(lng), cos(lat) * sin(lng), sin(lat)
