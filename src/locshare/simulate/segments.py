"""Segments of a route: straights, arcs and waits, each with acceleration and braking. Pure.

On a flat map: x metres east, y metres north, headings in radians clockwise from north. A segment
starts at the point and speed at which the one before it ended, so a chain of segments has no jumps.
"""

from math import cos, pi, sin, sqrt
from typing import Final

from msgspec import Struct

_STILL: Final = 1e-9


class Point(Struct, frozen=True, gc=False):
    """Position, heading, and speed in m/s."""

    x: float
    y: float
    heading: float
    speed: float


class Segment(Struct, frozen=True, gc=False):
    """``length`` metres from ``start``, straight or turning right by ``curve`` radians per metre.
    The speed rises from ``start.speed`` towards ``top`` and falls to ``last``, by ``gain`` and
    ``loss`` m/s². A segment without length is a wait of ``wait`` seconds.
    """

    start: Point
    length: float = 0.0
    curve: float = 0.0
    top: float = 0.0
    last: float = 0.0
    gain: float = 1.0
    loss: float = 1.0
    wait: float = 0.0

    def duration(self) -> float:
        """Seconds."""
        if not self.length:
            return self.wait
        rise, level, fall, peak = self._phases()
        return _spent(rise, self.start.speed, peak) + level / peak + _spent(fall, peak, self.last)

    def at(self, seconds: float) -> Point:
        """The point after ``seconds``, which are from 0 to :meth:`duration`."""
        if not self.length:
            return Point(self.start.x, self.start.y, self.start.heading, 0.0)
        rise, level, fall, peak = self._phases()
        rising = _spent(rise, self.start.speed, peak)
        cruising = level / peak
        if seconds < rising:
            speed = self.start.speed + (peak - self.start.speed) * seconds / rising
            way = (self.start.speed + speed) / 2 * seconds
        elif seconds < rising + cruising:
            speed = peak
            way = rise + peak * (seconds - rising)
        else:
            falling = _spent(fall, peak, self.last)
            gone = min(seconds - rising - cruising, falling)
            speed = peak + (self.last - peak) * (gone / falling if falling else 1.0)
            way = rise + level + (peak + speed) / 2 * gone
        return self._after(way, speed)

    def end(self) -> Point:
        """The start of the next segment."""
        if not self.length:
            return self.at(0.0)
        return self._after(self.length, self.last)

    def _after(self, way: float, speed: float) -> Point:
        heading = self.start.heading + self.curve * way
        if not self.curve:
            east, north = sin(heading) * way, cos(heading) * way
        else:
            east = (cos(self.start.heading) - cos(heading)) / self.curve
            north = (sin(heading) - sin(self.start.heading)) / self.curve
        return Point(self.start.x + east, self.start.y + north, heading % (2 * pi), speed)

    def _phases(self) -> tuple[float, float, float, float]:
        """Metres of rising, level and falling speed, and the peak speed."""
        first, last = self.start.speed, self.last
        peak = max(self.top, first, last, _STILL)
        rise = (peak**2 - first**2) / (2 * self.gain)
        fall = (peak**2 - last**2) / (2 * self.loss)
        if rise + fall > self.length:
            # Too short for the top speed: the peak is where the two curves meet.
            square = self.length + first**2 / (2 * self.gain) + last**2 / (2 * self.loss)
            peak = sqrt(square * 2 * self.gain * self.loss / (self.gain + self.loss))
            peak = max(peak, first, last)
            # Too short even for that: the change is steeper than asked for.
            rise = min((peak**2 - first**2) / (2 * self.gain), self.length)
            fall = max(0.0, self.length - rise)
        return rise, max(0.0, self.length - rise - fall), fall, peak


def _spent(way: float, first: float, last: float) -> float:
    """Seconds for ``way`` metres at a speed that changes evenly from ``first`` to ``last``."""
    return 2 * way / (first + last) if first + last > _STILL else 0.0
