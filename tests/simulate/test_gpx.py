"""What is read from GPX files as recorders, editors and sick phones leave them."""

import codecs
import os
import threading
import time
from pathlib import Path

import pytest

from locshare.simulate import gpx as gpx_module
from locshare.simulate.geo import Place
from locshare.simulate.gpx import Recording, UnusableTrack, parse_gpx, read_gpx
from locshare.simulate.track import TrackPoint

SPACE = "http://www.topografix.com/GPX/1/1"
HEAD = f'<?xml version="1.0"?><gpx version="1.1" creator="t" xmlns="{SPACE}">'


def gpx(body: str) -> str:
    return f"{HEAD}{body}</gpx>"


def point(
    lat: object, lng: object, *, time: str = "", ele: str = "", more: str = "", tag: str = "trkpt"
) -> str:
    inner = (f"<ele>{ele}</ele>" if ele else "") + (f"<time>{time}</time>" if time else "") + more
    return f'<{tag} lat="{lat}" lon="{lng}">{inner}</{tag}>'


def track(*points: str) -> str:
    return f"<trk><trkseg>{''.join(points)}</trkseg></trk>"


def read(text: str, speed: float = 1.0) -> Recording:
    return parse_gpx(text.encode(), speed=speed)


def only_way(text: str, speed: float = 1.0) -> list[TrackPoint]:
    """Of a file in which nothing is passed over."""
    recording = read(text, speed)
    assert recording.remarks == ()
    (way,) = recording.tracks
    return way


def moments(text: str, speed: float = 1.0) -> list[float]:
    """Of the only way in ``text``; remarks are allowed."""
    (way,) = read(text, speed).tracks
    return [each.seconds for each in way]


def places(recording: Recording) -> list[list[tuple[float, float]]]:
    return [[(each.place.lat, each.place.lng) for each in way] for way in recording.tracks]


GOOD = gpx(track(
    point(46.0, 8.0, time="2026-03-01T12:00:00Z", ele="500"),
    point(46.001, 8.0, time="2026-03-01T12:01:30Z", ele="510.5"),
))  # fmt: skip
GOOD_WAY = [TrackPoint(Place(46.0, 8.0), 0.0, 500.0), TrackPoint(Place(46.001, 8.0), 90.0, 510.5)]


def test_recorded_times_and_altitudes_are_kept() -> None:
    assert only_way(GOOD) == GOOD_WAY


def test_a_track_without_times_has_an_even_speed() -> None:
    way = only_way(gpx(track(point(0, 0), point(0.001, 0), point(0.003, 0))), speed=2.0)
    assert way[0].seconds == 0
    assert way[1].seconds == pytest.approx(55.6, abs=0.1)
    assert way[2].seconds == pytest.approx(3 * way[1].seconds)


# --- the same file, written otherwise ---------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("gpx version", "g:gpx version").replace("xmlns=", "xmlns:g=")
        .replace("<trk", "<g:trk").replace("</trk", "</g:trk").replace("</gpx", "</g:gpx")
        .replace("<time", "<g:time").replace("</time", "</g:time")
        .replace("<ele", "<g:ele").replace("</ele", "</g:ele"),
        GOOD.replace("/GPX/1/1", "/GPX/1/0").replace('version="1.1"', 'version="1.0"'),
        GOOD.replace(f' xmlns="{SPACE}"', ""),
        GOOD.replace('<?xml version="1.0"?>', ""),
        GOOD.replace('<?xml version="1.0"?>', '<?xml version="1.0" standalone="no" ?>'),
        GOOD.replace('"', "'"),
        f"\n \r\n\t{GOOD}",
        f"\ufeff{GOOD}",
        f"\ufeff \ufeff{GOOD}\n\n",
        GOOD.replace("<trk>", '<!-- <!ENTITY a "aaaa"> --><trk>'),
        GOOD.replace("<trk>", '<trk><name><![CDATA[<!ENTITY a "aaaa">]]></name>'),
        GOOD.replace("?>", "?><!DOCTYPE gpx>", 1),
        GOOD.replace("?>", '?><!DOCTYPE gpx SYSTEM "gpx.dtd">', 1),
        GOOD.replace("</ele>", "</ele><fix>gps+glonass</fix><sat>many</sat><hdop>-</hdop>"),
        GOOD.replace("<trk>", "<trk><name>Fish & Chips &nbsp; \x01\x0b</name>"),
        GOOD.replace("<trkpt", "<extensions><x:ele>9</x:ele></extensions><trkpt", 1),
        GOOD.replace("</time>", '</time><x:time xmlns:x="urn:x">1970-01-01</x:time>'),
        GOOD.replace("</time>", "</time><extensions><ele>9</ele><time>x</time></extensions>"),
        GOOD.replace("<trkseg>", "").replace("</trkseg>", ""),
        GOOD.replace("<trk>", '<wpt lat="1" lon="2"><ele>7</ele></wpt><trk>'),
        GOOD.replace(">500<", ">\n 500,0 \n<").replace('"46.0"', '" 46,0 "'),
        GOOD.replace('"46.0"', '"+4.6E1"').replace('lon="8.0"', 'lon="8"'),
        GOOD.replace("</time>", '</time><time xmlns="urn:x">1970-01-01</time>'),
        GOOD.replace(">500<", ">5<!-- -->0<![CDATA[0]]><"),
        GOOD.replace("12:00:00Z", "13:00:00+01:00"),
        GOOD.replace("12:00:00Z", "12:00:00"),
        GOOD.replace("T12:00:00Z", " 12:00:00.000z"),
    ],
    ids=[
        "prefix", "1.0", "no-namespace", "no-declaration", "standalone", "single-quotes",
        "white-space-first", "bom", "two-boms", "entity-in-comment", "entity-in-cdata", "doctype",
        "external-dtd", "fix-of-any-text", "ampersand-and-controls", "undeclared-prefix",
        "foreign-time", "extensions", "no-segment", "waypoint-besides", "blanks-and-commas",
        "exponent", "foreign-default", "in-segments", "offset", "no-zone", "blank-for-t",
    ],
)  # fmt: skip
def test_a_recording_is_the_same_however_it_is_written(text: str) -> None:
    assert only_way(text) == GOOD_WAY


DECLARED = GOOD.replace('version="1.0"?', 'version="1.0" encoding="{}"?')


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + GOOD.encode(),
        GOOD.encode("utf-16"),
        codecs.BOM_UTF16_BE + DECLARED.format("UTF-16").encode("utf-16-be"),
        DECLARED.format("UTF-16").encode("utf-16-le"),
        f"\n{GOOD}".encode("utf-16-be"),
        GOOD.encode("utf-32"),
        GOOD.encode("utf-32-be"),
        GOOD.encode("utf-32-le"),
        DECLARED.format("utf-16").encode(),  # .NET writes what its strings are in
        DECLARED.format("UTF-8").replace("<trk>", "<trk><name>Zürich</name>").encode("latin-1"),
        DECLARED.format("ISO-8859-1").replace("<trk>", "<trk><name>é</name>").encode("latin-1"),
        DECLARED.format("windows-1252").replace("<trk>", "<trk><name>€</name>").encode("cp1252"),
    ],
    ids=[
        "utf-8-bom", "utf-16", "utf-16-be", "utf-16-no-bom", "utf-16-be-no-bom", "utf-32",
        "utf-32-be-no-bom", "utf-32-le-no-bom", "declared-utf-16-is-utf-8", "wrong-byte",
        "latin-1", "windows",
    ],
)  # fmt: skip
def test_a_recording_is_the_same_in_any_encoding(data: bytes) -> None:
    assert parse_gpx(data) == Recording([GOOD_WAY])


# --- what a file consists of ------------------------------------------------------------------


def test_every_segment_and_route_is_a_track() -> None:
    one = point(0, 0) + point(0, 1)
    route = "<rte>" + point(5, 5, tag="rtept") + point(6, 6, tag="rtept") + "</rte>"
    text = gpx(f"{route}<trk><trkseg>{one}</trkseg><trkseg>{one}</trkseg></trk>")
    assert places(read(text)) == [[(5, 5), (6, 6)], [(0, 0), (0, 1)], [(0, 0), (0, 1)]]


def test_a_segment_without_points_is_no_track() -> None:
    text = gpx(f"<rte></rte><trk><trkseg/></trk>{track(point(0, 0), point(0, 1))}")
    assert len(read(text).tracks) == 1


def test_points_that_a_planner_keeps_in_extensions_are_not_the_route() -> None:
    inner = '<extensions><gpxx:rpt lat="3" lon="3"/></extensions>'
    points = point(5, 5, tag="rtept", more=inner) + point(6, 6, tag="rtept")
    assert places(read(gpx(f"<rte>{points}</rte>"))) == [[(5, 5), (6, 6)]]


# --- points that cannot be used ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (point(91, 0), "lat '91' is not from -90 to 90"),
        (point(-90.0001, 0), "lat '-90.0001' is not from -90 to 90"),
        (point(0, 180.0001), "lon '180.0001' is not from -180 to 180"),
        (point(float("nan"), 0), "lat 'nan' is not a number"),
        (point("1e999", 0), "lat '1e999' is not from -90 to 90"),
        (point("1_0", 0), "lat '1_0' is not a number"),
        (point("", 0), "lat '' is not a number"),
        (point("1.234,5", 0), "lat '1.234,5' is not a number"),
        (point("x" * 200, 0), f"lat '{'x' * 40}…' is not a number"),
        (point("x" * 40, 0), f"lat '{'x' * 40}' is not a number"),
        ('<trkpt lon="1"/>', "lat is missing"),
        ('<trkpt lat="1"/>', "lon is missing"),
    ],
)
def test_a_bad_point_among_good_ones_is_skipped_and_counted(bad: str, reason: str) -> None:
    recording = read(gpx("\n" + track(point(1, 1), "\n\n", bad, point(2, 2), bad)))
    assert places(recording) == [[(1, 1), (2, 2)]]
    assert recording.remarks == (f"GPX: 2 points skipped, the first at line 4: {reason}",)


def test_the_bounds_of_latitude_and_longitude_are_valid() -> None:
    recording = read(gpx(track(point(-90, -180), point(90, 180))))
    assert (places(recording), recording.remarks) == ([[(-90, -180), (90, 180)]], ())


def test_an_invalid_altitude_keeps_the_point() -> None:
    way = only_way(gpx(track(point(1, 1, ele="NaN"), point(2, 2, ele="high"), point(3, 3))))
    assert [each.altitude for each in way] == [None, None, None]


# --- times ------------------------------------------------------------------------------------


def at(time: str, lng: float = 0.0) -> str:
    return point(0, lng, time=time)


@pytest.mark.parametrize(
    ("times", "seconds", "estimated"),
    [
        (["T12:00:00Z", "", "T12:00:10Z", "T12:00:20Z"], [0, 5, 10, 20], 1),
        (["", "T12:00:10Z", "T12:00:20Z"], [0, 11.12, 21.12], 1),
        (["", "", "", "T12:00:10Z", "T12:00:20Z"], [0, 11.12, 22.24, 33.36, 43.36], 3),
        (["T12:00:00Z", "T12:00:10Z", "", "", ""], [0, 10, 21.12, 32.24, 43.36], 3),
        (["T12:00:00Z", "T12:00:10Z", "soon"], [0, 10, 21.12], 1),
        (["T12:00:00Z", "T11:00:00Z", "T12:00:10Z", "T12:00:20Z"], [0, 5, 10, 20], 1),
        (["T12:00:00Z", "T23:00:00Z", "T12:00:10Z", "T12:00:20Z"], [0, 5, 10, 20], 1),
        (["T12:00:00Z", "", "", "", "T12:00:40Z"], [0, 10, 20, 30, 40], 3),
        (["T23:59:59Z", "T23:59:60Z"], [0, 1], 0),
        (["T23:59:59.5Z", "T23:59:60.5Z"], [0, 1], 0),
        (["T12:00:00.25Z", "T12:00:00.5Z"], [0, 0.25], 0),
    ],
    ids=[
        "missing", "first-missing", "first-three-missing", "last-three-missing",
        "last-unreadable", "backwards", "forwards-and-back",
        "mostly-missing", "leap-second", "leap-second-and-a-half", "fraction",
    ],
)  # fmt: skip
def test_a_missing_or_wrong_time_is_interpolated_by_distance(
    times: list[str], seconds: list[float], estimated: int
) -> None:
    step = 0.0001  # 11.1 m, at 1 m/s
    points = [at(f"2026-03-01{time}" if time else "", step * n) for n, time in enumerate(times)]
    recording = read(gpx(track(*points)))
    ((*way,),) = recording.tracks
    assert [each.seconds for each in way] == [pytest.approx(each, abs=0.01) for each in seconds]
    words = "1 point" if estimated == 1 else f"{estimated} points"
    told = f"GPX: {words} without a usable time: estimated from the way"
    assert recording.remarks == ((told,) if estimated else ())


@pytest.mark.parametrize(
    "wrong",
    [
        "1970-01-01T00:00:00Z",
        "2000-01-01T00:00:07Z",
        "2006-07-15T12:00:00Z",
        "2099-01-01T00:00:00Z",
    ],
)
@pytest.mark.parametrize("where", [0, 1, 3])
def test_a_point_dated_before_the_clock_was_set_adds_no_years(wrong: str, where: int) -> None:
    times = [f"2026-03-01T12:00:{second}Z" for second in ("00", "10", "20")]
    times.insert(where, wrong)
    seconds = moments(gpx(track(*(at(time, 0.0001 * n) for n, time in enumerate(times)))))
    assert len(seconds) == 4
    assert 20 <= seconds[-1] < 40


def test_times_that_are_all_of_1970_are_times_since_the_start() -> None:
    assert moments(gpx(track(at("1970-01-01T00:00:00Z"), at("1970-01-01T00:00:30Z", 1)))) == [0, 30]


@pytest.mark.parametrize(
    ("last", "kept"), [("2026-03-31T12:00:00Z", True), ("2026-03-31T12:00:01Z", False)]
)
def test_a_pause_of_30_days_is_one_and_a_longer_one_is_a_wrong_clock(last: str, kept: bool) -> None:
    seconds = moments(gpx(track(at("2026-03-01T12:00:00Z"), at(last, 0.001))))
    assert (seconds[-1] == 30 * 86_400) is kept


def test_points_of_a_dropped_track_are_not_counted_as_estimated() -> None:
    alone, good = track(at("soon")), track(point(0, 0), point(0, 1))
    assert read(gpx(alone + good)).remarks == ()


def test_times_at_the_beginning_of_the_calendar_are_times() -> None:
    years = [f"{year:04}-01-01T00:00:00Z" for year in (1, 2)]
    assert moments(gpx(track(*map(at, [years[0], "0001-01-20T00:00:00Z"])))) == [0, 19 * 86400]
    assert len(moments(gpx(track(*(at(time, n) for n, time in enumerate(years)))))) == 2


@pytest.mark.parametrize(
    "times",
    [
        ["2026-03-01T12:00:10Z", "2026-03-01T12:00:00Z"],
        ["2026-03-01T12:00:00Z", ""],
        ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"],
        ["2026-03-01T12:00:20Z", "2026-03-01T12:00:10Z", "2026-03-01T12:00:00Z"],
        ["1970-01-01T00:00:00Z", "2026-03-01T12:00:00Z"],
        ["9999-12-31T23:59:59-12:00", "9999-12-31T23:59:60Z"],
    ],
    ids=["backwards", "one", "same", "reversed", "years-apart", "beyond-the-calendar"],
)
def test_times_of_which_no_two_agree_are_not_used_and_remarked(times: list[str]) -> None:
    text = gpx(track(*(at(time, 0.001 * n) for n, time in enumerate(times))))
    assert moments(text) == [pytest.approx(111.2 * n, abs=0.1) for n in range(len(times))]
    assert "without a usable time" in "".join(read(text).remarks)


def test_an_estimated_time_is_by_distance_or_by_count_without_any() -> None:
    first, last = "2026-03-01T12:00:00Z", "2026-03-01T12:00:30Z"
    uneven = track(at(first), at("", 0.0001), at(last, 0.0003))
    assert moments(gpx(uneven)) == [0, pytest.approx(10), 30]
    assert moments(gpx(track(at(first), at(""), at(""), at(last)))) == [0, 10, 20, 30]


def test_a_time_without_a_zone_is_utc_wherever_this_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moments(gpx(track(at("2026-03-01T12:00:00Z"), at("2026-03-01T12:00:10", 1)))) == [
            0,
            10,
        ]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_two_points_at_one_time_are_one() -> None:
    noon = "2026-03-01T12:00:00Z"
    text = gpx(track(at(noon), at(noon, 1), at("2026-03-01T12:00:10Z", 2)))
    assert moments(text) == [0, 10]


def test_the_same_point_twice_is_a_stay_if_it_is_dated_and_one_point_if_not() -> None:
    first, last = "2026-03-01T12:00:00Z", "2026-03-01T12:00:10Z"
    assert moments(gpx(track(at(first), at(last)))) == [0, 10]
    assert len(only_way(gpx(track(point(0, 0), point(0, 0), point(1, 0))))) == 2


# --- refusals ---------------------------------------------------------------------------------

LAUGHS = """<!DOCTYPE gpx [
<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "GPX: the file is empty"),
        (" \n\n ", "GPX: the file is empty"),
        ("\n\nnot xml", "GPX: not a GPX file: line 3: "),
        (f"\n{GOOD[:60]}", "GPX: not a GPX file: line 2: "),
        ("<!-- -->\n<kml></kml>", "GPX: line 2: not a GPX file: its root is <kml>"),
        (f"<{'x' * 99}/>", f"GPX: line 1: not a GPX file: its root is <{'x' * 40}…>"),
        (LAUGHS + gpx(track(point(0, 0), point(1, 1))), "GPX: line 2: entities are not allowed"),
        ('<!DOCTYPE gpx [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>' + gpx(""), "entities"),
        (
            '<?xml version="1.0" encoding="klingon"?><gpx/>',
            "GPX: line 1: the encoding 'klingon' is not known; save the file as UTF-8",
        ),
        (gpx(""), "GPX: no track or route with two different points"),
        (gpx(track(point(1, 1), point(1, 1))), "no track or route with two different points"),
        (
            gpx("\n" + track(point(1, 1), "\n", point(95, 1), point(95, 2))),
            "two different points; 2 points skipped, the first at line 3: lat '95' is not from",
        ),
        (
            gpx('<wpt lat="1" lon="1"/><wpt lat="2" lon="1"/>'),
            "two different points; it has 2 waypoints, which are places and no way",
        ),
        (gpx(track(point(1, 1)) + "\n<"), "two different points; it breaks off at line 2: "),
    ],
)  # fmt: skip
def test_a_refusal_names_the_reason_and_the_line(text: str, why: str) -> None:
    with pytest.raises(UnusableTrack) as refused:
        read(text)
    assert why in str(refused.value)


def test_a_file_that_breaks_off_gives_what_came_before() -> None:
    whole = gpx(track(point(1, 1), point(2, 2), "\n", point(3, 3)))
    recording = read(whole[: whole.index('lat="3"')])
    assert places(recording) == [[(1, 1), (2, 2)]]
    (remark,) = recording.remarks
    assert remark.startswith("GPX: breaks off at line 2: ")
    assert remark.endswith("; what comes before is used")


def test_the_number_of_points_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpx_module, "MAX_POINTS", 3)
    points = [point(0, lng) for lng in range(4)]
    assert len(only_way(gpx(track(*points[:3])))) == 3
    with pytest.raises(UnusableTrack, match="line 1: more than 3 points, the most allowed"):
        read(gpx(track(*points)))


def test_deep_nesting_does_not_recurse() -> None:
    deep = 100_000
    text = gpx("<a>" * deep + "</a>" * deep + track(point(0, 0), point(0, 1)))
    assert len(read(text).tracks) == 1


def test_a_file_that_cannot_be_read_names_itself(tmp_path: Path) -> None:
    with pytest.raises(UnusableTrack, match=r"no\.gpx: No such file"):
        read_gpx(tmp_path / "no.gpx")
    with pytest.raises(UnusableTrack, match="Is a directory"):
        read_gpx(tmp_path)
    (tmp_path / "empty.gpx").write_text(gpx(""))
    with pytest.raises(UnusableTrack, match=r"empty\.gpx: no track or route"):
        read_gpx(tmp_path / "empty.gpx")
    (tmp_path / "binary.gpx").write_bytes(bytes(range(256)))
    with pytest.raises(UnusableTrack, match=r"binary\.gpx: not a GPX file: line 1: "):
        read_gpx(tmp_path / "binary.gpx")


def test_the_size_of_a_pipe_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnusableTrack, match="/dev/zero: larger than 64 MiB, the most allowed"):
        read_gpx(Path("/dev/zero"))
    monkeypatch.setattr(gpx_module, "MAX_FILE_BYTES", 2**20)
    (tmp_path / "edge.gpx").write_text(GOOD + " " * (2**20 - len(GOOD)))
    assert read_gpx(tmp_path / "edge.gpx").tracks == [GOOD_WAY]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(GOOD,))
    writer.start()
    assert read_gpx(pipe).tracks == [GOOD_WAY]
    writer.join()
