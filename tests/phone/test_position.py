"""The bytes that configure the location service, and what a fix means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import flet as ft
import flet_geolocator as ftg
import msgpack
import pytest
from flet.controls.base_control import BaseControl
from flet.messaging.protocol import configure_encode_object_for_msgpack

from locshare.client import Position
from phone.position import FixClock, Notification, configuration
from phone.position import position_of as position_by
from phone.rate import Rate
from phone.view import STALE_S

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def position_of(
    fix: ftg.GeolocatorPosition, now: datetime, battery: float | None
) -> tuple[Position, float] | None:
    """As the first fix of a device."""
    return position_by(fix, now, battery, FixClock())


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


def taken(**more: Any) -> ftg.GeolocatorPosition:
    return ftg.GeolocatorPosition(
        **{"latitude": 1.0, "longitude": 2.0, "accuracy": 5.0, "timestamp": NOW, **more}
    )


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


@pytest.mark.parametrize("ahead_s", [600, -600], ids=["fast", "slow"])
def test_fixes_of_a_phone_whose_clock_is_wrong_are_new_all_the_same(ahead_s: int) -> None:
    """The satellites write the right time; the phone's own clock is ten minutes off."""
    clock, found = FixClock(), []
    for second in range(0, 20, 2):
        true = NOW + timedelta(seconds=second)
        mine = true + timedelta(seconds=ahead_s)
        got = position_by(taken(timestamp=true), mine, None, clock)
        assert got is not None
        found.append(got[1])
        assert mine - got[0].timestamp == timedelta(seconds=got[1])
    assert found[-1] == 0
    assert [each for each in found if each >= STALE_S] == ([600] * 3 if ahead_s > 0 else [])


def test_a_device_that_repeats_its_last_fix_gets_older_and_teaches_nothing() -> None:
    clock = FixClock()
    ages = [clock.age_s(NOW, NOW + timedelta(seconds=second)) for second in range(0, 60, 10)]
    assert ages == [0, 10, 20, 30, 40, 50]
    # It has been found again, and its fixes take a second.
    assert clock.age_s(NOW + timedelta(seconds=60), NOW + timedelta(seconds=61)) == 1
