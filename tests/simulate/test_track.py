"""Recorded ways: what is read from a GPX file, and how it is followed."""

from pathlib import Path

import pytest

from locshare.simulate.geo import Place, bearing, distance
from locshare.simulate.track import Track, TrackPoint, UnusableTrack, parse_tracks, read_tracks

HEAD = (
    '<?xml version="1.0"?><gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
)


def gpx(body: str) -> str:
    return f"{HEAD}{body}</gpx>"


def point(lat: float, lng: float, *, time: str = "", ele: str = "", tag: str = "trkpt") -> str:
    inner = (f"<ele>{ele}</ele>" if ele else "") + (f"<time>{time}</time>" if time else "")
    return f'<{tag} lat="{lat}" lon="{lng}">{inner}</{tag}>'


def track(*points: str) -> str:
    return f"<trk><trkseg>{''.join(points)}</trkseg></trk>"


def moments(text: str, speed: float = 1.4) -> list[list[float]]:
    return [[each.seconds for each in way] for way in parse_tracks(text, speed=speed)]


def test_recorded_times_are_kept() -> None:
    text = gpx(track(
        point(46.0, 8.0, time="2026-03-01T12:00:00Z", ele="500"),
        point(46.001, 8.0, time="2026-03-01T12:01:30Z", ele="510.5"),
    ))  # fmt: skip
    ((one, other),) = parse_tracks(text, speed=1.0)
    assert (one.seconds, other.seconds) == (0, 90)
    assert (one.altitude, other.altitude) == (500, 510.5)
    assert other.place == Place(46.001, 8.0)


def test_without_times_the_way_is_gone_at_an_even_speed() -> None:
    text = gpx(track(point(0, 0), point(0.001, 0), point(0.003, 0)))
    ((first, second, third),) = moments(text, speed=2.0)
    assert first == 0
    assert second == pytest.approx(55.6, abs=0.1)
    assert third == pytest.approx(3 * second)


@pytest.mark.parametrize(
    "times", [("2026-03-01T12:00:10Z", "2026-03-01T12:00:00Z"), ("2026-03-01T12:00:00Z", "")]
)
def test_times_that_do_not_grow_or_are_not_there_are_not_used(times: tuple[str, str]) -> None:
    text = gpx(track(point(0, 0, time=times[0]), point(0.001, 0, time=times[1])))
    assert moments(text, speed=1.0) == [[0, pytest.approx(111.2, abs=0.1)]]


def test_two_points_of_one_moment_are_one() -> None:
    noon = "2026-03-01T12:00:00Z"
    text = gpx(track(
        point(0, 0, time=noon), point(1, 1, time=noon), point(0, 1, time="2026-03-01T12:00:10Z"),
    ))  # fmt: skip
    assert moments(text) == [[0, 10]]


def test_every_segment_and_route_is_a_way_of_its_own() -> None:
    one = point(0, 0) + point(0, 1)
    route = "<rte>" + point(5, 5, tag="rtept") + point(6, 6, tag="rtept") + "</rte>"
    text = gpx(f"{route}<trk><trkseg>{one}</trkseg><trkseg>{one}</trkseg></trk>")
    assert len(parse_tracks(text, speed=1.0)) == 3


def test_a_segment_without_points_is_no_way() -> None:
    one = track(point(0, 0), point(0, 1))
    text = gpx(f"<rte></rte><trk><trkseg></trkseg></trk>{one}")
    assert len(parse_tracks(text, speed=1.0)) == 1


def test_a_time_without_a_zone_is_utc() -> None:
    text = gpx(track(
        point(0, 0, time="2026-03-01T12:00:00Z"), point(0, 1, time="2026-03-01T12:00:10"),
    ))  # fmt: skip
    assert moments(text) == [[0, 10]]


def test_a_way_of_one_place_is_none() -> None:
    assert parse_tracks(gpx(track(point(1, 1), point(1, 1))), speed=1.0) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not xml", "not a GPX file"),
        (gpx(track(point(91, 0), point(0, 0))), "not on the earth"),
        (gpx(track(point(float("nan"), 0), point(0, 0))), "not on the earth"),
        ('<!DOCTYPE gpx [<!ENTITY a "aaaa">]>' + gpx(""), "entities"),
    ],
)
def test_what_is_no_usable_gpx_says_so(text: str, why: str) -> None:
    with pytest.raises(UnusableTrack, match=why):
        parse_tracks(text, speed=1.0)


def test_a_file_that_cannot_be_read_names_itself(tmp_path: Path) -> None:
    with pytest.raises(UnusableTrack, match=r"no\.gpx: No such file"):
        read_tracks(tmp_path / "no.gpx")
    (tmp_path / "empty.gpx").write_text(gpx(""))
    with pytest.raises(UnusableTrack, match="no track or route"):
        read_tracks(tmp_path / "empty.gpx")
    (tmp_path / "binary.gpx").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnusableTrack, match="not UTF-8"):
        read_tracks(tmp_path / "binary.gpx")


WAY = [
    TrackPoint(Place(46.0, 8.0), 0.0, 500.0),
    TrackPoint(Place(46.01, 8.0), 100.0, 600.0),
    TrackPoint(Place(46.01, 8.01), 200.0, None),
]


def test_between_two_points_one_is_between_them() -> None:
    fix = Track(WAY).at(50)
    assert fix.place.lat == pytest.approx(46.005)
    assert fix.altitude == 550
    assert fix.heading == pytest.approx(0)
    assert fix.speed == pytest.approx(distance(WAY[0].place, WAY[1].place) / 100)


def test_a_corner_is_at_its_time() -> None:
    fix = Track(WAY).at(100)
    assert distance(fix.place, WAY[1].place) < 0.01
    assert fix.heading == pytest.approx(bearing(WAY[1].place, WAY[2].place))


def test_sped_up_it_is_so_many_times_as_fast() -> None:
    slow, fast = Track(WAY), Track(WAY, speed_up=10)
    assert fast.at(3).place == slow.at(30).place
    assert fast.at(3).speed == pytest.approx(10 * slow.at(30).speed)


def test_at_the_end_one_turns_back() -> None:
    going = Track(WAY)
    there, back = going.at(150), going.at(250)
    assert distance(there.place, back.place) < 0.01
    assert there.heading is not None
    assert back.heading == pytest.approx((there.heading + 180) % 360)
    assert distance(going.at(400).place, WAY[0].place) < 0.01
    assert distance(going.at(199.9).place, going.at(200.1).place) < 2


def test_who_shares_a_way_starts_elsewhere_on_it() -> None:
    assert Track(WAY, start=0.5).at(0).place == Track(WAY).at(100).place


def test_after_a_round_trip_everything_is_as_before() -> None:
    going = Track(WAY, speed_up=8)
    assert going.round_trip == 50
    assert going.at(7 + going.round_trip) == going.at(7)
