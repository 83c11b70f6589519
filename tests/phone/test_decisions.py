"""What the app decides without a phone: pure parts, each by its rules."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from typing import Any

import flet as ft
import flet_geolocator as ftg
import msgpack
import msgspec
import pytest
from flet.controls.base_control import BaseControl
from flet.messaging.protocol import configure_encode_object_for_msgpack
from hypothesis import given
from hypothesis import strategies as st

from locshare.client import JoinLink, Position
from phone.backend import TOPIC, Backend, parse_backend, read_environments
from phone.deep_link import app_link, read_link
from phone.fit import INSETS, MAX_ZOOM, Point, fit, group_of
from phone.i18n import CATALOGUES, NAMES, words_in
from phone.maps import MapSource, choices, choose, grid, grid_step_m, raster_maps, raster_of
from phone.position import Notification, configuration, position_of
from phone.publisher import Publisher
from phone.rate import Rate, Reports, Situation, is_saving, rate, receive_pace
from phone.screens.theme import initials, ink_on, safe_color
from phone.settings import MOST_SESSIONS, Membership, Settings, SettingsFile
from phone.trio_guest import TrioGuest
from tests.phone.kit import ENVIRONMENTS, on_the_phone

ID = "0b8e0000-0000-4000-8000-000000000001"
SERVER = "https://maps.example"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE = Position(52.5, 13.4, 5.0, NOW)


# --- the camera


places = st.builds(Point, st.floats(-80, 80), st.floats(-180, 180))


@given(st.lists(places, min_size=1, max_size=8), st.floats(320, 1200), st.floats(560, 1400))
def test_everybody_is_within_what_nothing_covers(
    points: list[Point], width: float, height: float
) -> None:
    import math

    def pixels(lat: float, lng: float, zoom: float) -> tuple[float, float]:
        scale = 256 * 2**zoom / (2 * math.pi)
        return math.radians(lng) * scale, -math.log(
            math.tan(math.pi / 4 + math.radians(lat) / 2)
        ) * scale

    camera = fit(points, width, height)
    if camera.zoom <= 2.0:
        return  # the world, or more than it
    around = 256 * 2**camera.zoom
    middle = pixels(camera.lat, camera.lng, camera.zoom)
    for point in points:
        x, y = pixels(point.lat, point.lng, camera.zoom)
        x = (x - middle[0] + around / 2) % around - around / 2
        assert INSETS.left - 1 <= x + width / 2 <= width - INSETS.right + 1
        assert INSETS.top - 1 <= y - middle[1] + height / 2 <= height - INSETS.bottom + 1


def test_one_person_is_shown_from_near() -> None:
    assert fit([Point(52.5, 13.4)], 393, 851).zoom == MAX_ZOOM
    with pytest.raises(ValueError, match="nobody"):
        fit([], 393, 851)


def test_a_group_on_the_date_line_is_shown_across_it() -> None:
    camera = fit([Point(0, 179.9), Point(0, -179.9)], 393, 851)
    assert abs(abs(camera.lng) - 180) < 0.2
    assert camera.zoom > 8


def test_who_is_far_away_does_not_make_the_group_a_dot() -> None:
    near = [Point(52.5, 13.4), Point(52.501, 13.401), Point(52.502, 13.4)]
    assert group_of([*near, Point(-33.9, 151.2)]) == near
    assert group_of([near[0], Point(-33.9, 151.2)]) == [near[0], Point(-33.9, 151.2)]


# --- links


@pytest.mark.parametrize(
    ("text", "url", "key"),
    [
        (f"https://one.example/join/{ID}", "https://one.example", None),
        (f"see https://one.example/maps/join/{ID}.", "https://one.example/maps", None),
        (f"https://one.example/join/{ID}#host=k-1", "https://one.example", "k-1"),
        (f"locshare://join/one.example/join/{ID}", "https://one.example", None),
        (f"locshare://join/one.example:8443/a/join/{ID}", "https://one.example:8443/a", None),
        (f"locshare://join/http/192.168.1.5:8080/join/{ID}", "http://192.168.1.5:8080", None),
        (f"/one.example/join/{ID}", "https://one.example", None),
        (f"/http/localhost:8080/join/{ID}", "http://localhost:8080", None),
        (f"locshare://join/{ID}", SERVER, None),
        (f"locshare://join/{ID.upper()}#host=abc", SERVER, "abc"),
        (f"/{ID}", SERVER, None),
        (f"/join/{ID}", SERVER, None),
        (ID, SERVER, None),
    ],
)
def test_a_join_link_is_read_in_each_of_its_forms(text: str, url: str, key: str | None) -> None:
    assert read_link(text, SERVER) == JoinLink(url, ID, key)


@pytest.mark.parametrize(
    "text", ["", "/", "locshare://join/", "hello", f"x{ID}", "https://a/join/"]
)
def test_what_is_no_join_link_is_none(text: str) -> None:
    assert read_link(text, SERVER) is None


@given(st.text(max_size=300))
def test_reading_a_link_never_fails(text: str) -> None:
    read_link(text, SERVER)


@pytest.mark.parametrize(
    "link", [f"https://a.example/b/join/{ID}", f"http://10.0.0.1:8080/join/{ID}"]
)
def test_the_form_for_the_app_leads_to_the_same_session(link: str) -> None:
    made = app_link(link)
    assert made.startswith("locshare://join/")
    assert read_link(made, SERVER) == read_link(link, SERVER)


# --- servers


def test_the_environments_of_the_build_are_valid() -> None:
    found = read_environments(ENVIRONMENTS)
    assert found.default in found.named
    assert found.named["phoenix"].dialect == "phoenix"
    assert found.choose("local").url == "http://127.0.0.1:8080"
    assert found.choose("maps.example") == Backend("https://maps.example")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "environment"),
        ('default = "x"\n[environment.a]\nurl = "https://a"', "none of a"),
        ('default = "a"\n[environment.a]\nurl = "ftp://a"', "ftp"),
        ('default = "a"\n[environment.a]\nurl = "https://a"\nspeed = 1', "speed"),
        ('default = "a"\n[environment]\na = 5', "environments.toml"),
    ],
)
def test_a_wrong_file_of_environments_says_what_is_wrong(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(says)):
        read_environments(path)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (("not a server", "locshare", "", ""), "url"),
        (("https://a?b", "locshare", "", ""), "url"),
        (("https://a", "smoke", "", ""), "dialect"),
        (("https://a", "phoenix", "http://a", ""), "socket"),
        (("https://a", "phoenix", "", "rooms"), "topic"),
    ],
)
def test_a_server_that_cannot_be_is_refused_by_the_wrong_part(
    given: tuple[str, str, str, str], part: str
) -> None:
    with pytest.raises(ValueError, match=f"^{part}"):
        parse_backend(*given)
    assert parse_backend("https://a/").topic == TOPIC


# --- rates


@given(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 60))
def test_no_state_shares_so_rarely_that_the_others_lose_somebody(
    visible: bool, moving: bool, saving: bool, asked: float
) -> None:
    found = rate(Situation(visible, moving, saving, asked))
    assert 0 < found.interval_s <= 15
    assert found.interval_s >= min(asked, 15)
    assert 0 < receive_pace(visible=visible, saving=saving) <= 15


def test_each_state_has_its_rate() -> None:
    def interval(**state: bool) -> Rate:
        return rate(Situation(**{"visible": True, "moving": True, "saving": False, **state}))

    assert interval() == (2, True)
    assert interval(moving=False) == (10, True)
    assert interval(visible=False) == (5, True)
    assert interval(visible=False, moving=False) == (15, True)
    assert interval(saving=True) == (15, False)


def test_the_low_battery_mode_does_not_come_and_go() -> None:
    assert is_saving("auto", 20, saver_on=False, before=False)
    assert not is_saving("auto", 21, saver_on=False, before=False)
    assert is_saving("auto", 25, saver_on=False, before=True)
    assert not is_saving("auto", 26, saver_on=False, before=True)
    assert is_saving("auto", None, saver_on=True, before=False)
    assert not is_saving("off", 1, saver_on=True, before=True)
    assert is_saving("on", 100, saver_on=False, before=False)


def test_a_fix_is_sent_when_it_says_something_new_and_every_15_s_all_the_same() -> None:
    reports = Reports()
    assert reports.offer(HERE, 0.0, 2.0)
    reports.sent(HERE, 0.0)
    near = msgspec.structs.replace(HERE, lat=52.50003)
    far = msgspec.structs.replace(HERE, lat=52.501)
    assert not reports.offer(near, 5.0, 2.0)
    assert not reports.offer(far, 1.0, 2.0)
    assert reports.offer(far, 2.0, 2.0)
    assert reports.offer(near, 14.5, 2.0)
    assert reports.renewal_in(10.0) == 5.0


def test_the_noise_of_a_bad_receiver_is_no_movement() -> None:
    bad = msgspec.structs.replace(HERE, accuracy=60.0)
    reports = Reports()
    reports.offer(bad, 0.0, 2.0)
    reports.sent(bad, 0.0)
    moved = msgspec.structs.replace(bad, lat=52.5002)  # 22 m
    assert not reports.offer(moved, 5.0, 2.0)
    assert reports.is_moving(59.0)
    assert not reports.is_moving(61.0)
    assert reports.offer(msgspec.structs.replace(moved, speed=1.4), 62.0, 2.0)
    assert reports.is_moving(62.0)


# --- the device


def sent(value: Any) -> Any:
    configure: Any = configure_encode_object_for_msgpack
    return msgpack.unpackb(msgpack.packb(value, default=configure(BaseControl)))


NOTIFICATION = Notification("Title", "Text", "Channel")
DART_DEFAULTS = {"distance_filter": 0, "interval_duration": {"seconds": 5}}
DART_DEFAULTS_IOS = {
    "distance_filter": 0,
    "activity_type": "other",
    "pause_location_updates_automatically": False,
    "allow_background_location_updates": True,
    "show_background_location_indicator": False,
}
"""What its Dart side takes for what was not sent."""


def test_android_is_sent_what_starts_its_foreground_service() -> None:
    """The names that the Dart side of flet-geolocator 1.0.5 reads, flat, and none left out."""
    found = sent(
        configuration(
            ft.PagePlatform.ANDROID, web=False, rate=Rate(5, True), notification=NOTIFICATION
        )
    )
    assert DART_DEFAULTS | found == {
        "accuracy": "high",
        "distance_filter": 0,
        "interval_duration": {"seconds": 5},
        "foreground_notification_title": "Title",
        "foreground_notification_text": "Text",
        "foreground_notification_channel_name": "Channel",
        "foreground_notification_enable_wake_lock": True,
        "foreground_notification_enable_wifi_lock": True,
        "foreground_notification_set_ongoing": True,
    }


def test_the_classes_own_configuration_starts_none_which_is_reported() -> None:
    """When this fails, flet-geolocator has changed: look whether the subclass is still needed."""
    found = sent(
        ftg.GeolocatorAndroidConfiguration(
            foreground_notification_config=ftg.ForegroundNotificationConfiguration("Title", "Text")
        )
    )
    assert "foreground_notification_title" not in found


def test_ios_is_sent_what_goes_on_in_the_background() -> None:
    found = sent(
        configuration(
            ft.PagePlatform.IOS, web=False, rate=Rate(5, False), notification=NOTIFICATION
        )
    )
    assert DART_DEFAULTS_IOS | found == DART_DEFAULTS_IOS | {
        "accuracy": "medium",
        "show_background_location_indicator": True,
    }


def taken(**more: Any) -> ftg.GeolocatorPosition:
    return ftg.GeolocatorPosition(
        **{"latitude": 1.0, "longitude": 2.0, "accuracy": 5.0, "timestamp": NOW, **more}
    )


def test_what_a_device_does_not_know_is_unknown() -> None:
    found = position_of(taken(speed=-1.0, heading=-1.0, accuracy=0.0), NOW, None)
    assert found == (Position(1.0, 2.0, None, NOW), 0.0)
    standing = position_of(taken(speed=0.0, heading=0.0), NOW, 80.0)
    assert standing is not None
    assert (standing[0].heading, standing[0].speed, standing[0].battery) == (None, None, 80.0)
    walking = position_of(taken(speed=1.5, heading=360.0), NOW, None)
    assert walking is not None
    assert walking[0].heading == 0.0


def test_an_old_fix_carries_its_age_and_a_wrong_one_is_none() -> None:
    found = position_of(taken(timestamp=NOW - timedelta(seconds=7)), NOW, None)
    assert found is not None
    assert found[0].age_ms == 7000
    assert position_of(taken(timestamp=NOW - timedelta(days=2)), NOW, None) is None
    assert position_of(taken(latitude=None), NOW, None) is None
    assert position_of(taken(latitude=float("nan")), NOW, None) is None
    assert position_of(taken(latitude=91.0), NOW, None) is None
    naive = position_of(taken(timestamp=datetime(2026, 3, 1, 12)), NOW, None)  # noqa: DTZ001
    assert naive is not None
    assert naive[1] == 0.0


# --- words


def test_every_language_has_every_text_with_the_same_values() -> None:
    def values(text: Any) -> set[str]:
        parts = [text] if isinstance(text, str) else text.values()
        return {name for part in parts for _, name, _, _ in Formatter().parse(part) if name}

    english = CATALOGUES["en"]
    assert {*NAMES} == {*CATALOGUES}
    for texts in CATALOGUES.values():
        assert {*texts} == {*english}
        for key, text in texts.items():
            assert values(text) == values(english[key]), key
            if not isinstance(text, str):
                assert {*text} == {"one", "other"}, key


def test_every_text_that_the_screens_name_is_there() -> None:
    source = ENVIRONMENTS.parent / "phone"
    named = {
        key
        for path in source.rglob("*.py")
        for key in re.findall(r'"([a-z]+(?:\.[a-z_]+)+)"', path.read_text())
        if key.partition(".")[0] in {key.partition(".")[0] for key in CATALOGUES["en"]}
    }
    assert named - {*CATALOGUES["en"]} == set()
    assert len(named) > 100


def test_the_language_of_a_device_is_found_or_it_is_english() -> None:
    assert words_in("de_AT").language == "de"
    assert words_in("de-CH").language == "de"
    assert words_in("fr").language == "en"
    assert words_in("").language == "en"


def test_times_and_distances_are_said_as_people_do() -> None:
    english, german = words_in("en"), words_in("de")
    assert [english.ago(each) for each in (2, 33, 61, 7300, 90_000, 200_000)] == [
        "just now", "30 s ago", "1 min ago", "2 h ago", "1 day ago", "2 days ago",
    ]  # fmt: skip
    assert german.ago(200_000) == "vor 2 Tagen"
    assert english.left(3_700) == "1 h 1 min"
    assert english.left(-5) == "0 min"
    assert [german.distance(each) for each in (4, 237, 1_240, 12_600)] == [
        "hier", "240 m", "1,2 km", "13 km",
    ]  # fmt: skip


# --- names and colours, which others choose


def test_names_and_colours_of_others_are_not_trusted() -> None:
    assert [initials(each) for each in ("Ada Lovelace", "ada", "  ", "李 小龍", "★", "a b c")] == [
        "AL", "A", "?", "李", "★", "AC",
    ]  # fmt: skip
    assert safe_color("#12345g") == "#808080"
    assert safe_color("red") == "#808080"
    assert ink_on("#FFFFFF") == "#000000"
    assert ink_on("#0B6E5F") == "#FFFFFF"


@given(st.text(max_size=100))
def test_any_name_has_initials(name: str) -> None:
    assert initials(name)


# --- maps


def test_a_servers_raster_maps_are_offered_and_others_leave_the_plain_ground() -> None:
    config = msgspec.json.encode(
        {"maps": [
            {"name": "standard", "kind": "raster", "url": "tiles/{z}/{x}/{y}.png"},
            {"name": "satellite", "kind": "raster", "url": "https://b/{z}/{x}/{y}.jpg"},
            {"name": "dark", "kind": "style", "url": "https://c/style.json"},
            {"name": "terrain", "kind": "tilejson", "url": "tiles.json"},
            {"name": "odd", "kind": "raster", "url": "file:///{z}/{x}/{y}"},
            {"name": "world", "kind": "tilejson", "url": "world.json"},
        ]}
    )  # fmt: skip
    found, to_ask = raster_maps(config, "https://a/maps")
    assert found == [
        MapSource("standard", "https://a/maps/tiles/{z}/{x}/{y}.png"),
        MapSource("satellite", "https://b/{z}/{x}/{y}.jpg"),
    ]
    assert to_ask == [("terrain", "https://a/maps/tiles.json")]
    pictures = msgspec.json.encode({"tiles": ["t/{z}/{x}/{y}.webp"], "attribution": "us"})
    vectors = msgspec.json.encode({"tiles": ["t/{z}/{x}/{y}.mvt"]})
    place = "https://a/maps/tiles.json"
    assert raster_of("terrain", pictures, place) == MapSource(
        "terrain", "https://a/maps/t/{z}/{x}/{y}.webp", "us"
    )
    assert raster_of("terrain", vectors, place) is None
    assert choices(found) == ("auto", "light", "satellite", "plain")
    assert choices([]) == ("auto", "light", "dark")
    assert choose("satellite", found, dark=False) == found[1]
    assert choose("terrain", found, dark=True) == found[0]
    assert choose("plain", found, dark=False) is None
    assert choose("auto", [], dark=False) is None


def test_the_lines_of_the_plain_ground_are_a_round_distance_apart() -> None:
    assert grid_step_m(17, 52.5) == 50
    assert grid_step_m(10, 0) == 10_000
    here, near = grid(52.5, 13.4, 100), grid(52.5001, 13.4001, 100)
    assert here == near
    assert all(-85 <= lat <= 85 for line in grid(84.9, 179.9, 1_000_000) for lat, _ in line)


# --- what is remembered


def member(number: int, expires_at: float = 9e9) -> Membership:
    return Membership(
        str(number),
        "Alps",
        Backend(SERVER),
        f"{SERVER}/join/{ID}",
        "u",
        "t",
        "wss://a/ws",
        expires_at,
    )


def test_the_settings_survive_and_what_cannot_be_read_is_forgotten(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "new")
    first = file.read()
    assert len(first.device_key) >= 16
    kept = msgspec.structs.replace(first, name="Ada").with_membership(member(1))
    assert file.write(kept)
    assert file.read() == kept
    assert file.path.stat().st_mode & 0o077 == 0
    file.path.write_bytes(b"{" * 50)
    assert file.read().name == ""
    assert not SettingsFile(tmp_path / "new" / "locshare.json").write(kept)


def test_the_oldest_membership_gives_way_and_one_whose_time_is_up_goes() -> None:
    settings = Settings()
    for number in range(MOST_SESSIONS + 1):
        settings = settings.with_membership(member(number, expires_at=100.0 + number))
    assert [each.session_id for each in settings.memberships] == ["1", "2", "3", "4", "5"]
    assert len(settings.still_running(103.0).memberships) == 2
    assert settings.without_membership("3").membership("3") is None


# --- publishing


@on_the_phone
async def test_many_changes_are_one_state_and_none_while_nobody_looks() -> None:
    times: list[float] = []
    published = asyncio.Event()

    def publish() -> None:
        times.append(asyncio.get_running_loop().time())
        published.set()

    publisher = Publisher(publish, period_s=0.05, ageing_s=60.0)
    publisher.changed()
    assert times == []
    publisher.shown()
    for _ in range(50):
        publisher.changed()
    assert len(times) == 1
    published.clear()
    await published.wait()
    assert len(times) == 2
    assert times[1] - times[0] >= 0.04
    publisher.hidden()
    publisher.changed()
    publisher.now()
    assert len(times) == 2
    publisher.shown()
    assert len(times) == 3
    publisher.hidden()


@on_the_phone
async def test_what_shows_an_age_ages_although_nothing_changes() -> None:
    count = 0
    twice = asyncio.Event()

    def publish() -> None:
        nonlocal count
        count += 1
        if count == 3:
            twice.set()

    publisher = Publisher(publish, period_s=0.01, ageing_s=0.02)
    publisher.shown()
    await twice.wait()
    publisher.hidden()


# --- Trio in asyncio


@on_the_phone
async def test_a_trio_task_is_awaited_cancelled_and_fails_where_it_is_awaited() -> None:
    import trio

    guest = TrioGuest()
    with pytest.raises(RuntimeError, match="not started"):
        await guest.run(trio.sleep, 0)
    await guest.start()
    await guest.start()

    async def double(number: int) -> int:
        await trio.lowlevel.checkpoint()
        return 2 * number

    async def fail() -> None:
        raise KeyError("where it is awaited")

    cleaned: list[str] = []

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cleaned.append("up")

    assert await asyncio.gather(*(guest.run(double, each) for each in range(5))) == [0, 2, 4, 6, 8]
    with pytest.raises(KeyError):
        await guest.run(fail)
    waiting = asyncio.ensure_future(guest.run(wait))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cleaned == ["up"]
    other = asyncio.ensure_future(guest.run(wait))
    await asyncio.sleep(0.05)
    await guest.stop()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert cleaned == ["up", "up"]
    await guest.stop()
