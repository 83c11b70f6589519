"""How people move: plausible, continuous, inside their city, and the same for the same seed."""

from datetime import UTC, datetime
from itertools import pairwise
from math import hypot, pi
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locshare.simulate.cities import CITIES, City
from locshare.simulate.geo import distance
from locshare.simulate.movement import (
    DRIVING,
    FASTEST_M_S,
    WALKING,
    Fix,
    Kind,
    Phone,
    Route,
    journey,
    kind_of,
)
from locshare.simulate.segments import Point, Segment
from locshare.wire.plain import PLAIN, encode_for_server

KINDS = st.sampled_from(get_args(Kind))
IN_CITIES = st.sampled_from(sorted(CITIES.values(), key=lambda city: city.title))
SEEDS = st.integers(0, 10**9)
START = st.floats(0, 1200)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A_STEP = 0.25


def steps(kind: Kind, city: City, seed: int, start: float, seconds: float = 120) -> list[Fix]:
    going = journey(kind, city, seed)
    return [going.at(start + index * A_STEP) for index in range(int(seconds / A_STEP))]


@given(KINDS, IN_CITIES, SEEDS, START)
@settings(max_examples=60)
def test_no_journey_exceeds_its_top_speed_or_jumps(
    kind: Kind, city: City, seed: int, start: float
) -> None:
    fixes = steps(kind, city, seed, start)
    for one, other in pairwise(fixes):
        assert distance(one.place, other.place) / A_STEP <= FASTEST_M_S[kind] * 1.01
        assert 0 <= one.speed <= FASTEST_M_S[kind]


@given(st.sampled_from(["walking", "driving"]), IN_CITIES, SEEDS, START)
@settings(max_examples=60)
def test_the_reported_speed_is_that_of_the_route(
    kind: Kind, city: City, seed: int, start: float
) -> None:
    fixes = steps(kind, city, seed, start)
    for one, other in pairwise(fixes):
        way = distance(one.place, other.place)
        # A curve is longer than its chord, by little in a quarter of a second.
        assert way == pytest.approx((one.speed + other.speed) / 2 * A_STEP, abs=0.2)


@given(st.sampled_from(["walking", "driving"]), IN_CITIES, SEEDS, START)
@settings(max_examples=60)
def test_speeding_up_and_braking_is_gentle(kind: Kind, city: City, seed: int, start: float) -> None:
    style = WALKING if kind == "walking" else DRIVING
    fixes = steps(kind, city, seed, start)
    for one, other in pairwise(fixes):
        gained = (other.speed - one.speed) / A_STEP
        assert -style.loss * 1.2 <= gained <= style.gain * 1.2


@given(KINDS, IN_CITIES, SEEDS, st.lists(st.floats(0, 5_000), max_size=20))
@settings(max_examples=60)
def test_every_journey_stays_within_the_radius(
    kind: Kind, city: City, seed: int, times: list[float]
) -> None:
    radius = DRIVING.radius if kind == "driving" else WALKING.radius
    going = journey(kind, city, seed)
    for at in times:
        assert distance(city.centre, going.at(at).place) <= radius * 1.01 + 3


@given(KINDS, IN_CITIES, SEEDS, st.lists(st.floats(0, 5_000), min_size=1, max_size=10))
@settings(max_examples=40)
def test_a_route_depends_on_seed_and_time_only(
    kind: Kind, city: City, seed: int, times: list[float]
) -> None:
    in_any_order, in_order = journey(kind, city, seed), journey(kind, city, seed)
    asked = {at: in_any_order.at(at) for at in times}
    assert asked == {at: in_order.at(at) for at in sorted(times)}
    assert asked[times[0]] == journey(kind, city, seed).at(times[0])


def test_a_long_route_is_not_kept_whole() -> None:
    way = Route(CITIES["barcelona"], DRIVING, 1)
    early = way.at(5.0)
    way.at(200_000.0)
    assert len(way._segments) < 1_000
    assert way.at(5.0) == early


@pytest.mark.parametrize("kind", ["walking", "driving"])
@pytest.mark.parametrize("city", CITIES.values(), ids=list(CITIES))
def test_journeys_move_at_once_turn_and_pause(kind: Kind, city: City) -> None:
    fixes = [fix for seed in range(5) for fix in steps(kind, city, seed, 0, 600)]
    assert all(journey(kind, city, seed).at(0).speed > 1 for seed in range(5))
    assert len({int(fix.heading or 0) // 90 for fix in fixes}) == 4
    assert any(fix.speed == 0 for fix in fixes)


@pytest.mark.parametrize(("kind", "usual"), [("walking", 5), ("driving", 30)])
def test_the_average_speed_is_the_usual_one_whatever_the_city(kind: Kind, usual: float) -> None:
    speeds = [
        journey(kind, city, seed).at(second).speed
        for city in CITIES.values()
        for seed in range(3)
        for second in range(0, 600, 20)
    ]
    assert sum(speeds) / len(speeds) * 3.6 == pytest.approx(usual, rel=0.1)


def test_different_seeds_are_different_journeys() -> None:
    places = {journey("walking", CITIES["berlin"], seed).at(60).place for seed in range(50)}
    assert len(places) == 50


def test_of_a_mixed_crowd_half_walk_and_one_in_eight_stays() -> None:
    kinds = [kind_of("mixed", number) for number in range(16)]
    assert (kinds.count("walking"), kinds.count("driving"), kinds.count("stationary")) == (8, 6, 2)
    assert {kind_of("driving", number) for number in range(9)} == {"driving"}


@given(KINDS, IN_CITIES, SEEDS, st.floats(0, 5_000))
@settings(max_examples=80)
def test_every_report_is_valid_for_the_server(kind: Kind, city: City, seed: int, at: float) -> None:
    report = Phone(journey(kind, city, seed), seed).position(at, NOW)
    assert PLAIN.decode(encode_for_server(report)) == report
    assert (report.heading is None) == (kind == "stationary")


# --- segments -----------------------------------------------------------------------------------

SPEEDS = st.floats(0, 20)
PIECES = st.builds(
    Segment,
    st.builds(Point, st.just(0.0), st.just(0.0), st.floats(0, 6.28), SPEEDS),
    length=st.floats(0.5, 500),
    curve=st.sampled_from([0.0, 0.1, -0.1, 0.5]),
    top=st.floats(0.5, 20),
    last=SPEEDS,
    gain=st.floats(0.3, 3),
    loss=st.floats(0.3, 3),
)


@given(PIECES)
def test_a_segment_ends_where_the_next_one_begins(segment: Segment) -> None:
    at_end, end = segment.at(segment.duration()), segment.end()
    assert hypot(at_end.x - end.x, at_end.y - end.y) < 1e-3
    assert at_end.speed == pytest.approx(end.speed, abs=1e-3)
    begin = segment.at(0.0)
    assert (begin.x, begin.y) == pytest.approx((0, 0), abs=1e-9)
    assert begin.speed == pytest.approx(segment.start.speed, abs=1e-6)


def test_a_quarter_turn_to_the_right_goes_from_north_to_east() -> None:
    arc = Segment(Point(0, 0, 0, 5), length=10 * pi / 2, curve=1 / 10, top=5, last=5)
    end = arc.end()
    assert (end.x, end.y) == pytest.approx((10, 10))
    assert end.heading == pytest.approx(pi / 2)
    assert arc.duration() == pytest.approx(pi)


def test_a_wait_is_without_speed() -> None:
    wait = Segment(Point(1, 2, 3, 0), wait=7)
    assert wait.duration() == 7
    assert wait.at(3) == wait.end() == Point(1, 2, 3, 0)


def test_a_speed_that_cannot_be_reached_is_not() -> None:
    hop = Segment(Point(0, 0, 0, 0), length=8, top=100, last=0, gain=1, loss=1)
    assert hop.at(hop.duration() / 2).speed == pytest.approx(8**0.5)
