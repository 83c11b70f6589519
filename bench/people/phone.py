"""What a real phone reports of a journey: positions with noise. Pure.

It adds two things to the exact phone of the simulation. The fix is off by a few metres, in a
direction that drifts over minutes, as a GPS error does; now and then reception is bad for half a
minute, and both the error and the reported accuracy grow. And no two reports of one phone are the
same place, so that a receiver can identify each.
"""

from datetime import datetime
from math import cos, pi, radians, sin
from random import Random
from typing import Final, final

from locshare.model.position import Position
from locshare.simulate.movement import Journey
from locshare.simulate.movement import Phone as ExactPhone

TICK_S: Final = 0.25
"""Reports of different ticks are distinct."""
TOLD_APART_S: Final = 4096 * TICK_S
"""No place is repeated within this time."""

_UNITS: Final = 10_000_000
"""Of a degree, as positions are rounded: 7 places, about a centimetre."""
_DIGIT: Final = 64
_HALF_ROUND: Final = 180 * _UNITS
_METRES: Final = 111_195.0
"""Of a degree of latitude."""
_NEAREST_POLE: Final = 89.999

_ERROR_SHARE: Final = 0.35
"""The largest error in each of two directions, as a share of the reported accuracy."""
_WORSE_M: Final = 25.0
_SHARP: Final = 12
"""The higher, the shorter the periods of bad reception."""


@final
class NoisyPhone:
    """The phone of someone on ``journey``. All of it is a function of ``seed`` and the time."""

    __slots__ = ("_bad", "_east", "_north", "_phone")

    def __init__(self, journey: Journey, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - a phone, not a secret
        self._phone = ExactPhone(journey, seed)
        self._bad = _Wave(random, 240, 600)
        self._east = _Wave(random, 50, 90), _Wave(random, 120, 300)
        self._north = _Wave(random, 50, 90), _Wave(random, 120, 300)

    def position(self, seconds: float, timestamp: datetime) -> Position:
        """The report ``seconds`` (not negative) after the beginning, dated ``timestamp``."""
        report = self._phone.position(seconds, timestamp)
        worse = _WORSE_M * max(0.0, self._bad.at(seconds)) ** _SHARP
        accuracy = round((report.accuracy or 0.0) + worse, 1)
        reach = _ERROR_SHARE * accuracy / _METRES
        lat = min(
            max(report.lat + reach * _mix(self._north, seconds), -_NEAREST_POLE), _NEAREST_POLE
        )
        lng = report.lng + reach * _mix(self._east, seconds) / cos(radians(lat))
        tick = int(seconds / TICK_S)
        return Position(
            lat=_marked(lat, tick % _DIGIT) / _UNITS,
            lng=_wrapped(_marked(lng, tick // _DIGIT % _DIGIT)) / _UNITS,
            accuracy=accuracy,
            timestamp=timestamp,
            altitude=report.altitude,
            speed=report.speed,
            heading=report.heading,
            battery=report.battery,
        )


class _Wave:
    __slots__ = ("_phase", "_rate")

    def __init__(self, random: Random, shortest_s: float, longest_s: float) -> None:
        self._rate = 2 * pi / random.uniform(shortest_s, longest_s)
        self._phase = random.uniform(0, 2 * pi)

    def at(self, seconds: float) -> float:
        """From -1 to 1."""
        return sin(self._rate * seconds + self._phase)


def _mix(waves: tuple[_Wave, _Wave], seconds: float) -> float:
    """A fast and a slow wave, from -1 to 1: their sum does not repeat."""
    return 0.4 * waves[0].at(seconds) + 0.6 * waves[1].at(seconds)


def _marked(angle: float, digit: int) -> int:
    """``angle`` in units, less than 64 of them (70 cm) off, so that modulo 64 it is ``digit``."""
    units = int(angle * _UNITS)
    return units - units % _DIGIT + digit


def _wrapped(units: int) -> int:
    """Wrapped to the map. A full turn is a multiple of 64 units: the digit stays."""
    if units > _HALF_ROUND:
        return units - 2 * _HALF_ROUND
    return units + 2 * _HALF_ROUND if units < -_HALF_ROUND else units
