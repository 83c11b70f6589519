"""Places, distances and directions against values known from elsewhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.simulate.geo import EARTH_RADIUS_M, Place, Plane, bearing, between, distance, wrapped

PLACES = st.builds(Place, st.floats(-89.9, 89.9), st.floats(-180, 180))
MILD = st.builds(Place, st.floats(-65, 65), st.floats(-180, 180))
QUARTER = math.pi / 2 * EARTH_RADIUS_M


def test_a_degree_of_latitude_is_111_km_everywhere() -> None:
    assert distance(Place(0, 0), Place(1, 0)) == pytest.approx(111_195, abs=1)
    assert distance(Place(60, 20), Place(61, 20)) == pytest.approx(111_195, abs=1)


def test_a_degree_of_longitude_is_half_of_that_at_60_degrees() -> None:
    assert distance(Place(60, 0), Place(60, 1)) == pytest.approx(111_195 / 2, rel=1e-3)


def test_berlin_to_paris_is_878_km() -> None:
    assert distance(Place(52.52, 13.405), Place(48.8566, 2.3522)) == pytest.approx(878e3, rel=0.005)


def test_antipodes_and_the_date_line_are_no_special_cases() -> None:
    assert distance(Place(0, 0), Place(0, 180)) == pytest.approx(2 * QUARTER)
    assert distance(Place(0, 179.5), Place(0, -179.5)) == pytest.approx(111_195, abs=1)
    assert bearing(Place(0, 179.5), Place(0, -179.5)) == pytest.approx(90)
    middle = between(Place(10, 179), Place(10, -179), 0.5)
    assert abs(middle.lng) == pytest.approx(180)


@pytest.mark.parametrize(
    ("target", "degrees"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270)]
)
def test_bearings_go_clockwise_from_north(target: tuple[float, float], degrees: float) -> None:
    assert bearing(Place(0, 0), Place(*target)) == pytest.approx(degrees)


@given(PLACES, PLACES)
def test_a_distance_is_the_same_both_ways_and_at_most_half_round(a: Place, b: Place) -> None:
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-6)
    assert 0 <= distance(a, b) <= 2 * QUARTER + 1e-6
    assert 0 <= bearing(a, b) < 360


@given(MILD, MILD, st.floats(0, 1))
def test_between_divides_the_distance(a: Place, b: Place, fraction: float) -> None:
    whole = distance(a, b)
    if whole > 1.99 * QUARTER:
        return  # nearly antipodes: every way is as short
    place = between(a, b, fraction)
    assert distance(a, place) == pytest.approx(fraction * whole, abs=0.1)
    assert distance(place, b) == pytest.approx((1 - fraction) * whole, abs=0.1)


@given(MILD, st.floats(-5_000, 5_000), st.floats(-5_000, 5_000))
def test_a_plane_keeps_distances_and_directions(origin: Place, x: float, y: float) -> None:
    place = Plane(origin).place(x, y)
    assert -180 <= place.lng <= 180
    far = math.hypot(x, y)
    assert distance(origin, place) == pytest.approx(far, rel=1e-3, abs=0.01)
    if far > 10:
        turned = bearing(origin, place) - math.degrees(math.atan2(x, y))
        assert (turned + 180) % 360 - 180 == pytest.approx(0, abs=0.2)


@given(st.floats(-720, 720))
def test_a_longitude_is_wrapped_to_the_same_meridian(lng: float) -> None:
    assert -180 <= wrapped(lng) <= 180
    assert math.cos(math.radians(wrapped(lng))) == pytest.approx(math.cos(math.radians(lng)))
