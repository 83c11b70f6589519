"""A position as those send it who show where they are only roughly: the middle of a cell of about
1 km. Pure, and done on the device: the exact place never leaves it. The web client does the same
(web/src/core/blur.ts), so that a person who uses both stands at one point.

The cells are fixed on the globe. A place that moves within one gives the same point always, so that
nobody can average the true place out of many. Speed, heading and altitude would tell of the place
inside the cell, and are left out.
"""

import math
from typing import Final

from locshare.client import Position

_CELL_DEGREES: Final = 0.01  # 1.1 km from south to north
RADIUS_M: Final = 800.0


def blurred(position: Position) -> Position:
    """The middle of the cell that ``position`` lies in."""
    lat = _middle(position.lat, _CELL_DEGREES, 90.0)
    # As wide as high: fewer cells round the world towards the poles.
    cells = math.floor(360 / _CELL_DEGREES * math.cos(math.radians(lat)))
    return Position(
        lat,
        _middle(position.lng, 360 / max(1, cells), 180.0),
        max(RADIUS_M, position.accuracy or 0.0),
        position.timestamp,
        battery=position.battery,
        age_ms=position.age_ms,
    )


def _middle(value: float, step: float, most: float) -> float:
    found = (math.floor(value / step) + 0.5) * step
    return round(max(-most, min(most, found)), 6)
