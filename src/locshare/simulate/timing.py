"""Turns recorded times into increasing seconds since the first point. Pure.

Recorders date the first points 1970 or 2000 before they find a satellite, leave out times, and jump
back when their clock is set. Times that agree with each other are kept; those of the other points
are interpolated by distance.
"""

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec import Struct

from locshare.simulate.geo import Place, distance
from locshare.simulate.track import TrackPoint

DEFAULT_SPEED_M_S: Final = 1.4
"""A walk."""
LONGEST_PAUSE: Final = timedelta(days=30)
"""Between two points of one recording. A longer one means that a clock was wrong."""


class Recorded(Struct, frozen=True):
    """A point as in the file."""

    place: Place
    dated: bool = False
    """Whether the point has a time, usable or not."""
    moment: datetime | None = None
    """That time, in UTC; None when it is missing or cannot be read."""
    altitude: float | None = None


def assign_times(way: list[Recorded], speed: float) -> tuple[list[TrackPoint], int]:
    """The points of ``way`` at increasing times, and the number of times that are estimated: all,
    when no two recorded times agree; none, when there are no times. Both run at ``speed`` m/s.
    """
    if not way:
        return [], 0  # recorders write empty segments while they find no satellite
    steps = [distance(one.place, other.place) for one, other in pairwise(way)]
    kept = _kept(way)
    if kept is None:
        seconds = _even(steps, speed)
        estimated = len(way) if any(each.dated for each in way) else 0
    else:
        seconds, estimated = _filled(kept, steps, speed), len(way) - len(kept)
    points: list[TrackPoint] = []
    for each, at in zip(way, seconds, strict=True):
        # Of several points at one time the first counts.
        if not points or at > points[-1].seconds:
            points.append(TrackPoint(each.place, at, each.altitude))
    return points, estimated


def _even(steps: list[float], speed: float) -> list[float]:
    seconds = [0.0]
    for step in steps:
        seconds.append(seconds[-1] + step / speed)
    return seconds


def _kept(way: list[Recorded]) -> dict[int, float] | None:
    """The times that agree, in seconds by index of the point; None when they are unusable."""
    timed = [(index, each.moment) for index, each in enumerate(way) if each.moment is not None]
    if not timed:
        return None
    first, last = _longest_period([moment for _, moment in timed])
    near = [(index, moment - first) for index, moment in timed if first <= moment <= last]
    # Of two times that disagree, the one that makes the recording longer is wrong.
    growing = min(_longest_growing(near), _longest_growing_from_the_end(near), key=_span)
    # Mostly decreasing times: recorded in reverse, or not recorded at all.
    if 2 * len(growing) < len(timed) or growing[0][1] == growing[-1][1]:
        return None
    return {index: (after - growing[0][1]).total_seconds() for index, after in growing}


def _longest_period(moments: list[datetime]) -> tuple[datetime, datetime]:
    """Bounds of the period with the most moments and no pause above LONGEST_PAUSE; of two, the
    later.
    """
    moments = sorted(moments)
    cuts = [0, *(i for i in range(1, len(moments)) if moments[i] - moments[i - 1] > LONGEST_PAUSE)]
    sizes = [(end - start, start) for start, end in pairwise([*cuts, len(moments)])]
    size, start = max(sizes)
    return moments[start], moments[start + size - 1]


_Timed = list[tuple[int, timedelta]]


def _span(timed: _Timed) -> timedelta:
    return timed[-1][1] - timed[0][1]


def _longest_growing_from_the_end(timed: _Timed) -> _Timed:
    """Of several longest subsequences, one that begins late; :func:`_longest_growing` gives one
    that ends early.
    """
    mirrored = [(index, -after) for index, after in reversed(timed)]
    return [(index, -after) for index, after in reversed(_longest_growing(mirrored))]


def _longest_growing(timed: _Timed) -> _Timed:
    """The longest non-decreasing subsequence of ``timed`` (patience sorting); not empty."""
    ends: list[timedelta] = []  # ends[n]: the earliest time that a part of n + 1 can end with
    at: list[int] = []  # where that is in timed
    before: list[int] = []
    for position, (_, after) in enumerate(timed):
        length = bisect_right(ends, after)
        before.append(at[length - 1] if length else -1)
        if length == len(ends):
            ends.append(after)
            at.append(position)
        else:
            ends[length], at[length] = after, position
    found = []
    position = at[-1]
    while position >= 0:
        found.append(timed[position])
        position = before[position]
    return found[::-1]


def _filled(kept: dict[int, float], steps: list[float], speed: float) -> list[float]:
    """A time for each point: between kept times by distance, outside them at ``speed``."""
    indices = sorted(kept)
    seconds = [kept.get(index, 0.0) for index in range(len(steps) + 1)]
    for index in range(indices[0] - 1, -1, -1):
        seconds[index] = seconds[index + 1] - steps[index] / speed
    for index in range(indices[-1] + 1, len(seconds)):
        seconds[index] = seconds[index - 1] + steps[index - 1] / speed
    for one, other in pairwise(indices):
        way, span = sum(steps[one:other]), kept[other] - kept[one]
        gone = 0.0
        for index in range(one + 1, other):
            gone += steps[index - 1]
            share = gone / way if way else (index - one) / (other - one)
            seconds[index] = kept[one] + span * share
    start = seconds[0]
    return [each - start for each in seconds]
