"""How participants move: walking, driving, standing. Pure functions of a seed and the time.

A walk or a drive is an endless chain of segments along the streets of a city's grid. It is made on
demand and kept in part: the same seed always gives the same route. Routes stay within a radius of
the centre, turn corners in arcs, and never jump.

The rest of a report (speed, heading, accuracy, battery) is consistent with the movement.
"""

from bisect import bisect_right
from datetime import datetime
from math import cos, degrees, pi, radians, sin, sqrt
from random import Random
from typing import Final, Literal, Protocol, final

from msgspec import Struct

from locshare.model.position import Position
from locshare.simulate.cities import City
from locshare.simulate.geo import Place, Plane
from locshare.simulate.segments import Point, Segment

Kind = Literal["walking", "driving", "stationary"]
MOVEMENTS: Final = ("walking", "driving", "stationary", "mixed")

_BATTERY_PER_HOUR: Final = 9.0
_MAX_SEGMENTS: Final = 64
"""Beyond that the older half is dropped. Times of half an hour ago are never needed, and the routes
of thousands of participants would fill gigabytes."""


class Fix(Struct, frozen=True, gc=False):
    """A phone's position at one time. ``speed`` in m/s; ``heading`` in degrees, None when still."""

    place: Place
    speed: float
    heading: float | None
    altitude: float | None = None


class Journey(Protocol):
    """A position for any time."""

    def at(self, seconds: float) -> Fix:
        """The fix ``seconds`` (not negative) after the start."""
        ...


class Style(Struct, frozen=True):
    """A way of moving along streets. Metres, seconds, m/s, m/s²; probabilities per crossing."""

    radius: float
    slowest: float
    fastest: float
    corner: float
    corner_speed: float
    gain: float
    loss: float
    turns: float
    stops: float
    shortest_stop: float
    longest_stop: float
    finer: int = 1
    """Divides the grid's meshes: there are paths for walkers between the streets."""


WALKING: Final = Style(
    radius=450, slowest=1.2, fastest=1.8, corner=3, corner_speed=1.0, gain=0.5, loss=0.7,
    turns=0.45, stops=0.12, shortest_stop=5, longest_stop=40, finer=2,
)  # fmt: skip
DRIVING: Final = Style(
    radius=1200, slowest=10, fastest=13.9, corner=12, corner_speed=5, gain=1.8, loss=2.4,
    turns=0.3, stops=0.2, shortest_stop=4, longest_stop=18,
)  # fmt: skip
FASTEST_M_S: Final = {"walking": WALKING.fastest, "driving": DRIVING.fastest, "stationary": 0.5}
"""The top speed of each kind of journey."""


@final
class Route:
    """A walk or a drive through ``city``, in motion from the start.

    Times in increasing order are cheap; going far back starts over.
    """

    def __init__(self, city: City, style: Style, seed: int) -> None:
        self._plane = Plane(city.centre)
        self._style = style
        self._seed = seed
        self._angle = radians(city.angle)
        self._across = city.across / style.finer
        self._along = city.along / style.finer
        # A rectangle of crossings, since it has no dead ends; its corners are within the radius.
        self._most_aside = max(1, int(style.radius * sqrt(0.5) / self._across))
        self._most_ahead = max(1, int(style.radius * sqrt(0.5) / self._along))
        self._begin()

    def _begin(self) -> None:
        random = self._random = Random(self._seed)  # noqa: S311 - a route, not a secret
        self._cruise = random.uniform(self._style.slowest, self._style.fastest)
        self._crossing = (
            random.randint(-self._most_aside, self._most_aside),
            random.randint(-self._most_ahead, self._most_ahead),
        )
        self._direction = random.choice(self._open_directions())
        self._segments: list[Segment] = []
        self._starts: list[float] = []
        self._until = 0.0
        x, y = self._xy(self._crossing)
        self._point = Point(x, y, self._heading(self._direction), self._cruise)

    def at(self, seconds: float) -> Fix:
        """See :meth:`Journey.at`."""
        if self._starts and seconds < self._starts[0]:
            self._begin()
        while seconds >= self._until:
            self._add_block()
        index = bisect_right(self._starts, seconds) - 1
        point = self._segments[index].at(seconds - self._starts[index])
        return Fix(self._plane.place(point.x, point.y), point.speed, degrees(point.heading) % 360)

    # --- the streets ----------------------------------------------------------------------------
    # A crossing is a pair of whole numbers; directions are 0 to 3, quarter turns to the right.

    def _xy(self, crossing: tuple[int, int]) -> tuple[float, float]:
        aside, ahead = crossing[0] * self._across, crossing[1] * self._along
        return (
            ahead * sin(self._angle) + aside * cos(self._angle),
            ahead * cos(self._angle) - aside * sin(self._angle),
        )

    def _heading(self, direction: int) -> float:
        return (self._angle + direction * pi / 2) % (2 * pi)

    def _next(self, direction: int) -> tuple[int, int]:
        aside, ahead = self._crossing
        step_aside, step_ahead = _STEPS[direction]
        return aside + step_aside, ahead + step_ahead

    def _open_directions(self) -> list[int]:
        return [
            each
            for each in range(4)
            if abs(self._next(each)[0]) <= self._most_aside
            and abs(self._next(each)[1]) <= self._most_ahead
        ]

    def _choose(self) -> int:
        """Ahead, right or left. Never back: a rectangle has no dead ends."""
        ahead = self._direction
        turns = [each for each in self._open_directions() if (each - ahead) % 2]
        can_go_ahead = ahead in self._open_directions()
        if can_go_ahead and self._random.random() >= self._style.turns:
            return ahead
        return self._random.choice(turns)

    # --- the segments -----------------------------------------------------------------------------

    def _add_block(self) -> None:
        """Append one block: the street up to the next corner, and the corner."""
        style, direction = self._style, self._direction
        block = self._across if direction % 2 else self._along
        after_turn = bool(self._segments) and self._segments[-1].curve != 0
        self._crossing = self._next(direction)
        self._direction = self._choose()
        turns = self._direction != direction
        stops = self._random.random() < style.stops
        onward = style.corner_speed if turns else self._cruise
        length = block - style.corner * (after_turn + turns)
        self._append(length, top=self._cruise, last=0.0 if stops else onward)
        if stops:
            wait = self._random.uniform(style.shortest_stop, style.longest_stop)
            self._append_segment(Segment(self._point, wait=wait))
        if turns:
            side = 1.0 if (self._direction - direction) % 4 == 1 else -1.0
            round_it = style.corner * pi / 2
            self._append(round_it, top=onward, last=onward, curve=side / style.corner)
        if len(self._segments) > _MAX_SEGMENTS:
            del self._segments[: _MAX_SEGMENTS // 2], self._starts[: _MAX_SEGMENTS // 2]

    def _append(self, length: float, *, top: float, last: float, curve: float = 0.0) -> None:
        style = self._style
        self._append_segment(Segment(self._point, length, curve, top, last, style.gain, style.loss))

    def _append_segment(self, segment: Segment) -> None:
        self._segments.append(segment)
        self._starts.append(self._until)
        self._until += segment.duration()
        self._point = segment.end()


_STEPS: Final = ((0, 1), (1, 0), (0, -1), (-1, 0))


@final
class StandingStill:
    """A participant that stays in one place; the reported position drifts by a few metres."""

    def __init__(self, city: City, seed: int, *, radius: float = WALKING.radius) -> None:
        random = Random(seed)  # noqa: S311 - a place, not a secret
        out, turn = radius * sqrt(random.random()), random.uniform(0, 2 * pi)
        self._plane = Plane(city.centre)
        self._x, self._y = out * sin(turn), out * cos(turn)
        self._waves = [(random.uniform(40, 90), random.uniform(0, 2 * pi)) for _ in range(2)]

    def at(self, seconds: float) -> Fix:
        """See :meth:`Journey.at`."""
        aside, ahead = (
            _WANDER_M * sin(2 * pi * seconds / period + phase) for period, phase in self._waves
        )
        return Fix(self._plane.place(self._x + aside, self._y + ahead), 0.0, None)


_WANDER_M: Final = 1.5


def journey(kind: Kind, city: City, seed: int) -> Journey:
    """A journey of ``kind`` through ``city``."""
    if kind == "stationary":
        return StandingStill(city, seed)
    return Route(city, WALKING if kind == "walking" else DRIVING, seed)


def kind_of(movement: str, number: int) -> Kind:
    """The kind of journey of person ``number`` (from 0). Mixed: of 8, 4 walk, 3 drive, 1 stands."""
    if movement == "walking":
        return "walking"
    if movement == "driving":
        return "driving"
    if movement == "stationary":
        return "stationary"
    return _MIX[number % len(_MIX)]


_MIX: Final[tuple[Kind, ...]] = (
    "walking", "driving", "walking", "driving", "walking", "stationary", "driving", "walking",
)  # fmt: skip


@final
class Phone:
    """Makes the reports of a phone on ``journey``."""

    def __init__(self, journey: Journey, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - a phone, not a secret
        self._journey = journey
        self._accuracy = random.uniform(5, 12)
        self._period = random.uniform(60, 240)
        self._battery = random.uniform(35, 100)

    def position(self, seconds: float, timestamp: datetime) -> Position:
        """The report ``seconds`` after the start, with ``timestamp`` (which has a zone)."""
        fix = self._journey.at(seconds)
        return Position(
            lat=round(fix.place.lat, 7),  # about a centimetre
            lng=round(fix.place.lng, 7),
            accuracy=round(self._accuracy + 2 * sin(2 * pi * seconds / self._period), 1),
            timestamp=timestamp,
            altitude=_altitude(fix.altitude),
            speed=min(round(fix.speed, 2), _MAX_SPEED_M_S),
            heading=None if fix.heading is None else round(fix.heading, 1) % 360,
            battery=float(max(1, round(self._battery - _BATTERY_PER_HOUR * seconds / 3600))),
        )


_MAX_SPEED_M_S: Final = 1000.0
_MIN_ALTITUDE_M, _MAX_ALTITUDE_M = -12_000, 100_000


def _altitude(metres: float | None) -> float | None:
    """None outside the contract's range: recordings hold the oddest values."""
    return (
        None
        if metres is None or not _MIN_ALTITUDE_M <= metres <= _MAX_ALTITUDE_M
        else round(metres, 1)
    )
