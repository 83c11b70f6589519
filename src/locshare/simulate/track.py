"""A recorded track, replayed. Pure.

Recorded times are kept, and can be sped up. From the end the track leads back to the start, so that
nothing jumps. :mod:`locshare.simulate.gpx` reads tracks from files.
"""

from bisect import bisect_right
from typing import final

from msgspec import Struct

from locshare.simulate.geo import Place, bearing, between, distance
from locshare.simulate.movement import Fix


class TrackPoint(Struct, frozen=True, gc=False):
    """``seconds`` since the first point."""

    place: Place
    seconds: float
    altitude: float | None = None


@final
class Track:
    """A journey through ``points`` (two or more, increasing times), sped up ``speed_up`` times."""

    def __init__(
        self, points: list[TrackPoint], *, speed_up: float = 1.0, start: float = 0.0
    ) -> None:
        """``start`` (0…1): the fraction of the track at which the journey begins."""
        self._points = points
        self._seconds = [point.seconds for point in points]
        self._speed_up = speed_up
        self._start = start * self.duration

    @property
    def duration(self) -> float:
        """Seconds from the first point to the last, as recorded."""
        return self._seconds[-1]

    @property
    def round_trip(self) -> float:
        """Seconds for the track and back, as replayed."""
        return 2 * self.duration / self._speed_up

    def at(self, seconds: float) -> Fix:
        """See :meth:`locshare.simulate.movement.Journey.at`."""
        there_and_back = 2 * self.duration
        moment = (self._start + seconds * self._speed_up) % there_and_back
        back = moment > self.duration
        if back:
            moment = there_and_back - moment
        index = min(bisect_right(self._seconds, moment), len(self._points) - 1)
        one, other = self._points[index - 1], self._points[index]
        span = other.seconds - one.seconds
        fraction = (moment - one.seconds) / span
        way = distance(one.place, other.place)
        heading = bearing(one.place, other.place) if way else None
        if back and heading is not None:
            heading = (heading + 180) % 360
        return Fix(
            between(one.place, other.place, fraction),
            way / span * self._speed_up,
            heading,
            _altitude(one, other, fraction),
        )


def _altitude(one: TrackPoint, other: TrackPoint, fraction: float) -> float | None:
    if one.altitude is None or other.altitude is None:
        return one.altitude if other.altitude is None else other.altitude
    return one.altitude + (other.altitude - one.altitude) * fraction
