"""A recorded way: GPX 1.1 tracks and routes, walked again. Reading is apart from moving.

Times in the file are kept (and can be sped up); where there are none, or they do not grow, an even
speed is assumed. Who has come to the end goes back the same way, so that nobody jumps.
"""

from bisect import bisect_right
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import Final, final
from xml.etree.ElementTree import ParseError

import gpxpy
import gpxpy.gpx
from msgspec import Struct

from locshare.errors import LocshareError
from locshare.simulate.geo import Place, bearing, between, distance
from locshare.simulate.movement import Fix

DEFAULT_SPEED_M_S: Final = 1.4
LARGEST_FILE: Final = 64 * 2**20


class UnusableTrack(LocshareError):
    """A file that is no GPX, or has no way of two points in it. The text says which and why."""


class TrackPoint(Struct, frozen=True, gc=False):
    """``seconds`` since the first point."""

    place: Place
    seconds: float
    altitude: float | None = None


@final
class Track:
    """The way through ``points`` (at least two, at growing times), ``speed_up`` times as fast."""

    def __init__(
        self, points: list[TrackPoint], *, speed_up: float = 1.0, start: float = 0.0
    ) -> None:
        """``start`` (0…1) is where on the way it begins."""
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
        """Seconds from one beginning at the first point to the next, as it is gone."""
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


# --- reading ----------------------------------------------------------------------------------


def read_tracks(path: Path, *, speed: float = DEFAULT_SPEED_M_S) -> list[list[TrackPoint]]:
    """Every track's segment and every route in a file that has two points or more. Ways without
    usable times are gone at ``speed`` m/s. Raises UnusableTrack.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UnusableTrack(f"{path}: larger than {LARGEST_FILE // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnusableTrack(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnusableTrack(f"{path}: not UTF-8 text") from error
    tracks = parse_tracks(text, speed=speed, name=str(path))
    if not tracks:
        raise UnusableTrack(f"{path}: no track or route with two different points")
    return tracks


def parse_tracks(text: str, *, speed: float, name: str = "GPX") -> list[list[TrackPoint]]:
    """The ways in a GPX document. Raises UnusableTrack when it is none."""
    if "<!ENTITY" in text:
        # No GPX needs entities, and nested ones grow without bound.
        raise UnusableTrack(f"{name}: entities are not allowed")
    try:
        document = gpxpy.parse(text)
    except (gpxpy.gpx.GPXException, ParseError, ValueError) as error:
        raise UnusableTrack(f"{name}: not a GPX file") from error
    ways: list[_Way] = [segment.points for track in document.tracks for segment in track.segments]
    ways += [route.points for route in document.routes]
    timed = [_timed(way, speed, name) for way in ways]
    return [points for points in timed if len(points) > 1]


_Way = list[gpxpy.gpx.GPXTrackPoint] | list[gpxpy.gpx.GPXRoutePoint]


def _timed(way: _Way, speed: float, name: str) -> list[TrackPoint]:
    if not way:
        return []  # recorders write empty segments where they found no satellite
    places = [_place(point.latitude, point.longitude, name) for point in way]
    seconds = _recorded(way)
    if seconds is None:
        seconds = [0.0]
        seconds += [distance(one, other) / speed for one, other in pairwise(places)]
        for index in range(1, len(seconds)):
            seconds[index] += seconds[index - 1]
    points: list[TrackPoint] = []
    for place, at, point in zip(places, seconds, way, strict=True):
        # Points of one moment: the first counts, or somebody would be at two places at once.
        if not points or at > points[-1].seconds:
            points.append(TrackPoint(place, at, point.elevation))
    return points


def _recorded(way: _Way) -> list[float] | None:
    """Seconds since the first point; None when a time is missing or they go backwards."""
    # GPX times are UTC, also where the recorder forgot to say so.
    times = [point.time.replace(tzinfo=point.time.tzinfo or UTC) for point in way if point.time]
    if len(times) < len(way):
        return None
    seconds = [(time - times[0]).total_seconds() for time in times]
    growing = all(one <= other for one, other in pairwise(seconds))
    return seconds if growing and seconds[-1] > 0 else None


def _place(lat: float, lng: float, name: str) -> Place:
    if not (-90 <= lat <= 90 and -180 <= lng <= 180):
        raise UnusableTrack(f"{name}: a point that is not on the earth")
    return Place(lat, lng)
