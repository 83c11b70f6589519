"""A fix as another program reports it, in our units, before it is checked. Pure.

Apps write "unknown" in many ways: -1, NaN, 0 for an accuracy. In an optional field whatever is out
of range is unknown: an app in a pocket cannot repair it, and would send the same report again for
ever. A wrong latitude or longitude is refused.
"""

import math
from datetime import datetime

from msgspec import Struct

from locshare.ingest.report import InvalidReport
from locshare.model.position import Position

KNOT: float = 1852 / 3600
"""In metres per second."""
KMH: float = 1 / 3.6
"""In metres per second."""


class ForeignFix(Struct, frozen=True):
    """Units are those of :class:`~locshare.model.position.Position`; nothing is in range yet."""

    lat: float | None = None
    lng: float | None = None
    timestamp: datetime | None = None
    accuracy: float | None = None
    altitude: float | None = None
    speed: float | None = None
    heading: float | None = None
    battery: float | None = None

    def position(self, now: datetime) -> Position | None:
        """The position of a report that arrived at ``now``; None if the report has no place. Raises
        InvalidReport.
        """
        if self.lat is None and self.lng is None:
            return None
        return Position(
            _required("lat", self.lat, 90.0),
            _required("lon", self.lng, 180.0),
            _known(self.accuracy, math.ulp(0.0), 100_000.0),
            self.timestamp or now,
            _known(self.altitude, -12_000.0, 100_000.0),
            _known(self.speed, 0.0, 1_000.0),
            _heading(self.heading),
            _known(self.battery, 0.0, 100.0),
        )


def _required(field: str, value: float | None, limit: float) -> float:
    if value is None:
        raise InvalidReport(field, "Required")
    if not -limit <= value <= limit:
        raise InvalidReport(field, f"Expected a number from -{limit:g} to {limit:g}")
    return value


def _known(value: float | None, least: float, most: float) -> float | None:
    return value if value is not None and least <= value <= most else None


def _heading(value: float | None) -> float | None:
    known = _known(value, 0.0, 360.0)
    return None if known is None else known % 360.0
