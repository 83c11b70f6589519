"""Everybody of a run: the same for the same seed, complete, and each where they should be."""

from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.people.arrivals import AllAtOnce, Evenly, Peaks
from bench.people.population import (
    RECORDED,
    Population,
    equal_groups,
    phone,
    power_law_groups,
    recorded_tracks,
)
from bench.people.visits import Churn, Visit
from locshare.simulate.cities import CITIES
from locshare.simulate.geo import Place, distance
from locshare.simulate.gpx import UnusableTrack
from locshare.simulate.movement import DRIVING
from locshare.simulate.track import Track, TrackPoint

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEDS = st.integers(0, 10**9)
WAY = Track([TrackPoint(Place(46.0, 8.0), 0.0), TrackPoint(Place(46.01, 8.0), 800.0)])
RUSH = Peaks(span_s=100.0)
RESTLESS = Churn(duration_s=600.0, losses_per_hour=30)

POPULATIONS = st.one_of(
    st.builds(equal_groups, st.integers(1, 40), st.integers(1, 20), seed=SEEDS),
    st.builds(
        power_law_groups,
        st.integers(2, 500),
        largest=st.integers(3, 60),
        exponent=st.floats(1, 3),
        seed=SEEDS,
        arrivals=st.sampled_from([AllAtOnce(), Evenly(60.0), RUSH]),
        churn=st.sampled_from([None, RESTLESS]),
    ),
)


@given(POPULATIONS)
@settings(max_examples=40)
def test_everybody_is_there_once_and_groups_are_whole(population: Population) -> None:
    members = population.members
    assert [member.number for member in members] == list(range(population.people))
    assert sum(population.groups) == population.people
    assert len(population.groups) == population.sessions
    assert [member.group for member in members] == sorted(member.group for member in members)
    assert all(member.visits for member in members)
    assert len({member.seed for member in members}) == len(members)


def test_the_same_seed_is_the_same_people() -> None:
    def made(seed: int) -> Population:
        return power_law_groups(
            300, largest=50, exponent=2.0, seed=seed, arrivals=RUSH, churn=RESTLESS
        )

    assert made(1) == made(1)
    assert made(1) != made(2)
    one, other = (phone(made(1).members[17]) for _ in range(2))
    assert one.position(30.0, NOW) == other.position(30.0, NOW)


def test_the_pattern_of_arrivals_does_not_change_the_movement() -> None:
    calm = equal_groups(5, 4, seed=1)
    rush = equal_groups(5, 4, seed=1, arrivals=RUSH, churn=RESTLESS)
    for one, other in zip(calm.members, rush.members, strict=True):
        assert (one.seed, one.city, one.kind) == (other.seed, other.city, other.kind)


def test_a_group_is_in_one_city_and_the_groups_are_in_all_of_them() -> None:
    population = equal_groups(len(CITIES), 3, seed=1)
    places: dict[int, set[str]] = defaultdict(set)
    for member in population.members:
        places[member.group].add(member.city)
        report = phone(member).position(0.0, NOW)
        centre = CITIES[member.city].centre
        assert distance(centre, Place(report.lat, report.lng)) < DRIVING.radius + (
            report.accuracy or 0.0
        )
    assert all(len(cities) == 1 for cities in places.values())
    assert set.union(*places.values()) == set(CITIES)
    assert len(CITIES) >= 20


def test_cities_are_on_every_continent_that_people_live_on() -> None:
    centres = [city.centre for city in CITIES.values()]
    boxes = {
        "Africa": (-35, 36, -18, 45),
        "Asia": (-8, 50, 60, 146),
        "Europe": (36, 65, -10, 30),
        "North America": (15, 60, -130, -60),
        "South America": (-40, 10, -80, -35),
        "Oceania": (-45, -20, 140, 180),
    }
    for south, north, west, east in boxes.values():
        there = [
            each for each in centres if south <= each.lat <= north and west <= each.lng <= east
        ]
        assert len(there) >= 2


def test_people_of_a_group_can_be_told_apart() -> None:
    names = [member.name for member in equal_groups(1, 40, seed=1).members]
    assert len(set(names)) == 40


def test_nobody_leaves_without_churn() -> None:
    population = equal_groups(2, 5, seed=1, arrivals=Evenly(10.0))
    assert all(len(member.visits) == 1 for member in population.members)
    assert all(
        member.visits[0] == Visit(member.visits[0].arrives_s, None, True)
        for member in population.members
    )


def test_recorded_people_start_all_over_the_track_and_turn_at_its_ends() -> None:
    population = equal_groups(1, 20, seed=1, movement=RECORDED)
    starts = []
    for member in population.members:
        follows = phone(member, [WAY])
        earlier = follows.position(0.0, NOW)
        starts.append(earlier.lat)
        for second in range(5, 1_700, 5):
            report = follows.position(second, NOW)
            way = distance(Place(earlier.lat, earlier.lng), Place(report.lat, report.lng))
            assert way < 1.4 * 5 + (earlier.accuracy or 0.0) + (report.accuracy or 0.0)
            earlier = report
    starts.sort()
    assert min(starts) < 46.001
    assert max(starts) > 46.009
    assert all(other - one < 0.002 for one, other in pairwise(starts))


def test_each_track_has_its_people() -> None:
    far = Track([TrackPoint(Place(-33.0, 18.0), 0.0), TrackPoint(Place(-33.01, 18.0), 500.0)])
    members = equal_groups(1, 4, seed=1, movement=RECORDED).members
    lats = [phone(member, [WAY, far]).position(0.0, NOW).lat for member in members]
    assert [lat > 0 for lat in lats] == [True, False, True, False]


def test_tracks_are_read_from_files_and_a_bad_one_is_named(tmp_path: Path) -> None:
    good = tmp_path / "walk.gpx"
    points = "".join(f'<trkpt lat="{lat}" lon="8"/>' for lat in (46, 46.01))
    good.write_text(
        '<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>"
    )
    one, other = recorded_tracks([good, good], speed_up=2.0)
    assert one.round_trip == other.round_trip == pytest.approx(one.duration)
    (tmp_path / "not.gpx").write_text("<html/>")
    with pytest.raises(UnusableTrack, match=r"not\.gpx"):
        recorded_tracks([good, tmp_path / "not.gpx"])


def test_what_cannot_be_says_which_value_and_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="sessions 0: must be 1 or more"):
        equal_groups(0, 3, seed=1)
    with pytest.raises(ValueError, match="size 0: must be 1 or more"):
        equal_groups(3, 0, seed=1)
    with pytest.raises(ValueError, match="movement 'flying': must be one of walking, driving"):
        equal_groups(3, 3, seed=1, movement="flying")
    with pytest.raises(ValueError, match=r"tracks \(\): recorded people need"):
        phone(equal_groups(1, 1, seed=1, movement=RECORDED).members[0])
