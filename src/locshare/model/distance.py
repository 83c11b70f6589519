"""How far apart two positions are. Pure."""

import math
from typing import Final

from locshare.model.position import Position

_METRES_PER_DEGREE: Final = 111_195.0
"""Of latitude, on a sphere with the mean radius of the earth."""


def metres(one: Position, other: Position) -> float:
    """The distance, on a plane: right to a percent up to some tens of kilometres, and far beyond
    those it is only far.
    """
    return metres_between(one.lat, one.lng, other.lat, other.lng)


def metres_between(lat: float, lng: float, other_lat: float, other_lng: float) -> float:
    """:func:`metres` of two places in degrees."""
    north = lat - other_lat
    east = (lng - other_lng + 180.0) % 360.0 - 180.0
    east *= math.cos(math.radians((lat + other_lat) / 2))
    return math.hypot(north, east) * _METRES_PER_DEGREE
