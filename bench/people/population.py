"""All people of a run, made once from a seed.

::

    people = power_law_groups(1_000, largest=50, exponent=2.0, seed=1, arrivals=Evenly(60))
    reports = [phone(member) for member in people.members]
    reports[0].position(12.0, now)

A group is in one city, since people who share their location mean to meet; the groups are spread
over all cities.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, Literal

from msgspec import Struct

from bench.people.arrivals import AllAtOnce, Arrivals
from bench.people.phone import NoisyPhone
from bench.people.sizes import power_law
from bench.people.visits import Churn, Visit, visits
from locshare.simulate.cities import CITIES
from locshare.simulate.gpx import read_gpx
from locshare.simulate.movement import MOVEMENTS, Fix, Journey, Kind, journey, kind_of
from locshare.simulate.people import person
from locshare.simulate.track import Track

RECORDED: Final = "recorded"
"""The movement of those who follow tracks."""
MemberKind = Kind | Literal["recorded"]

_GOLDEN: Final = 0.6180339887498949
"""Multiples of it, modulo 1, are evenly spread for any number of them."""


class Member(Struct, frozen=True):
    """One person."""

    number: int
    """From 0, over everybody."""
    group: int
    """From 0: the session."""
    name: str
    """The display name."""
    color: str
    """``#RRGGBB``."""
    kind: MemberKind
    city: str
    """A key of :data:`locshare.simulate.cities.CITIES`; unused for those who follow a track."""
    seed: int
    visits: tuple[Visit, ...]
    """In order, apart from each other, at least one."""


class Population(Struct, frozen=True):
    """Everybody, by number."""

    members: tuple[Member, ...]

    @property
    def groups(self) -> list[int]:
        """The size of each group."""
        sizes = [0] * (self.members[-1].group + 1)
        for member in self.members:
            sizes[member.group] += 1
        return sizes

    @property
    def people(self) -> int:
        return len(self.members)

    @property
    def sessions(self) -> int:
        return self.members[-1].group + 1


# --- who -----------------------------------------------------------------------------------------


def equal_groups(
    sessions: int,
    size: int,
    *,
    seed: int,
    arrivals: Arrivals | None = None,
    movement: str = "mixed",
    churn: Churn | None = None,
) -> Population:
    """``sessions`` groups of ``size`` people.

    ``arrivals`` is all at once at the beginning unless given. ``movement`` is ``walking``,
    ``driving``, ``stationary``, ``mixed`` or ``recorded``. Without ``churn`` everybody stays to
    the end. Raises ValueError.
    """
    if sessions < 1:
        raise ValueError(f"sessions {sessions}: must be 1 or more")
    if size < 1:
        raise ValueError(f"size {size}: must be 1 or more")
    sizes = [size] * sessions
    return _populate(sizes, seed, arrivals or AllAtOnce(), movement, churn)


def power_law_groups(
    people: int,
    *,
    largest: int,
    exponent: float,
    seed: int,
    arrivals: Arrivals | None = None,
    movement: str = "mixed",
    churn: Churn | None = None,
) -> Population:
    """``people`` in groups of 2 to ``largest``, many small and few large ones
    (:func:`bench.people.sizes.power_law`); the rest as in :func:`equal_groups`. Raises ValueError.
    """
    sizes = power_law(people, largest=largest, exponent=exponent, random=_chance(seed, "sizes"))
    return _populate(sizes, seed, arrivals or AllAtOnce(), movement, churn)


def _populate(
    sizes: Sequence[int], seed: int, arrivals: Arrivals, movement: str, churn: Churn | None
) -> Population:
    if movement not in (allowed := (*MOVEMENTS, RECORDED)):
        raise ValueError(f"movement {movement!r}: must be one of {', '.join(allowed)}")
    towns = sorted(CITIES)
    # Separate random sources: another pattern of arrivals does not change the movement.
    _chance(seed, "cities").shuffle(towns)
    times = arrivals.times(sizes, _chance(seed, "arrivals"))
    restless = _chance(seed, "churn")
    members: list[Member] = []
    for group, size in enumerate(sizes):
        for place in range(size):
            number = len(members)
            at = times[number]
            stays = (Visit(at, None, True),) if churn is None else visits(at, churn, restless)
            name, color = person(place)
            kind: MemberKind = RECORDED if movement == RECORDED else kind_of(movement, number)
            town = towns[group % len(towns)]
            own = seed * 1_000_003 + number
            members.append(Member(number, group, name, color, kind, town, own, stays))
    return Population(tuple(members))


def _chance(seed: int, purpose: str) -> Random:
    return Random(f"{seed} {purpose}")  # noqa: S311 - a load, not a secret


# --- where ---------------------------------------------------------------------------------------


def phone(member: Member, tracks: Sequence[Track] = ()) -> NoisyPhone:
    """The phone of ``member``. Recorded people follow ``tracks`` in turn, there and back, each from
    another starting point. Raises ValueError.
    """
    return NoisyPhone(_journey(member, tracks), member.seed)


def recorded_tracks(files: Sequence[Path], *, speed_up: float = 1.0) -> tuple[Track, ...]:
    """Every way in GPX files. Raises UnusableTrack, which names the file."""
    return tuple(Track(way, speed_up=speed_up) for file in files for way in read_gpx(file).tracks)


def _journey(member: Member, tracks: Sequence[Track]) -> Journey:
    if member.kind != RECORDED:
        return journey(member.kind, CITIES[member.city], member.seed)
    if not tracks:
        raise ValueError("tracks (): recorded people need one or more to follow")
    track = tracks[member.number % len(tracks)]
    return _Later(track, member.number * _GOLDEN % 1 * track.round_trip)


class _Later(Struct, frozen=True):
    """``track``, begun ``ahead`` seconds ago."""

    track: Track
    ahead: float

    def at(self, seconds: float) -> Fix:
        return self.track.at(self.ahead + seconds)
