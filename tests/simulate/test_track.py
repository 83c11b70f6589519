"""How a recorded way is followed. How it is read from a file: test_gpx.py."""

import pytest

from locshare.simulate.geo import Place, bearing, distance
from locshare.simulate.track import Track, TrackPoint

WAY = [
    TrackPoint(Place(46.0, 8.0), 0.0, 500.0),
    TrackPoint(Place(46.01, 8.0), 100.0, 600.0),
    TrackPoint(Place(46.01, 8.01), 200.0, None),
]


def test_between_two_points_a_track_is_between_them() -> None:
    fix = Track(WAY).at(50)
    assert fix.place.lat == pytest.approx(46.005)
    assert fix.altitude == 550
    assert fix.heading == pytest.approx(0)
    assert fix.speed == pytest.approx(distance(WAY[0].place, WAY[1].place) / 100)


def test_a_corner_is_at_its_time() -> None:
    fix = Track(WAY).at(100)
    assert distance(fix.place, WAY[1].place) < 0.01
    assert fix.heading == pytest.approx(bearing(WAY[1].place, WAY[2].place))


def test_each_part_has_its_speed_and_altitude() -> None:
    fix = Track(WAY).at(150)
    assert fix.speed == pytest.approx(distance(WAY[1].place, WAY[2].place) / 100)
    assert fix.altitude == 600, "of the one end that is known"
    up = [WAY[2], TrackPoint(Place(46.02, 8.01), 300.0, 700.0)]
    assert Track([*WAY, up[1]]).at(250).altitude == 700


def test_a_track_turns_back_only_at_its_last_point() -> None:
    there = Track(WAY).at(200)
    assert distance(there.place, WAY[-1].place) < 0.01
    assert there.heading == pytest.approx(bearing(WAY[1].place, WAY[2].place))


def test_a_heading_is_never_the_full_circle() -> None:
    north = [TrackPoint(Place(46.0, 8.0), 0.0), TrackPoint(Place(45.0, 8.0), 100.0)]
    assert Track(north).at(150).heading == 0


def test_a_track_can_be_sped_up() -> None:
    slow, fast = Track(WAY), Track(WAY, speed_up=10)
    assert fast.at(3).place == slow.at(30).place
    assert fast.at(3).speed == pytest.approx(10 * slow.at(30).speed)


def test_at_its_end_a_track_turns_back() -> None:
    going = Track(WAY)
    there, back = going.at(150), going.at(250)
    assert distance(there.place, back.place) < 0.01
    assert there.heading is not None
    assert back.heading == pytest.approx((there.heading + 180) % 360)
    assert distance(going.at(400).place, WAY[0].place) < 0.01
    assert distance(going.at(199.9).place, going.at(200.1).place) < 2


def test_participants_that_share_a_track_start_at_different_points() -> None:
    assert Track(WAY, start=0.5).at(0).place == Track(WAY).at(100).place


def test_after_a_round_trip_everything_is_as_before() -> None:
    going = Track(WAY, speed_up=8)
    assert going.round_trip == 50
    assert going.at(7 + going.round_trip) == going.at(7)
