"""The device's location service: how it is configured for each system, and what a fix means.

flet-geolocator 1.0.5 sends the Android notification nested, and its Dart side reads it flat: with
its own class no foreground service starts, and sharing ends with the screen. So
:class:`AndroidTracking` has the flat names. Flet sends no value that equals its class's default, so
those here mean "nothing". The defaults of the classes above it are Dart's too, and stay: a subclass
with another default would send that one whenever the first one is wanted.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import flet as ft
import flet_geolocator as ftg

from locshare.client import Position
from phone.rate import Rate

_MOST_AGE_S: Final = 86_400.0
STEADY_S: Final = 5.0
STEADY_FIXES: Final = 4
"""Timestamps that keep step for so long, within :data:`JITTER_S`, are those of a live device."""
JITTER_S: Final = 2.0


@ft.value
class AndroidTracking(ftg.GeolocatorAndroidConfiguration):
    """What the Dart side of flet-geolocator 1.0.5 reads on Android."""

    foreground_notification_title: str | None = None
    foreground_notification_text: str | None = None
    foreground_notification_channel_name: str | None = None
    foreground_notification_enable_wake_lock: bool = False
    foreground_notification_enable_wifi_lock: bool = False
    foreground_notification_set_ongoing: bool = False


class Notification:
    """What Android shows while this device shares its position."""

    def __init__(self, title: str, text: str, channel: str) -> None:
        self.title = title
        self.text = text
        self.channel = channel


def configuration(
    platform: ft.PagePlatform | None, *, web: bool, rate: Rate, notification: Notification
) -> ftg.GeolocatorConfiguration:
    """What the location service is asked for."""
    accuracy = (
        ftg.GeolocatorPositionAccuracy.HIGH
        if rate.precise
        else ftg.GeolocatorPositionAccuracy.MEDIUM
    )
    if web:
        return ftg.GeolocatorWebConfiguration(accuracy=accuracy, distance_filter=0)
    if platform == ft.PagePlatform.ANDROID:
        return AndroidTracking(
            accuracy=accuracy,
            distance_filter=0,
            interval_duration=ft.Duration(seconds=int(rate.interval_s)),
            foreground_notification_title=notification.title,
            foreground_notification_text=notification.text,
            foreground_notification_channel_name=notification.channel,
            foreground_notification_enable_wake_lock=True,
            foreground_notification_enable_wifi_lock=True,
            foreground_notification_set_ongoing=True,
        )
    if platform == ft.PagePlatform.IOS:
        return ftg.GeolocatorIosConfiguration(
            accuracy=accuracy,
            # iOS 16.4 and newer suspend an app in the background that filters by distance.
            distance_filter=0,
            activity_type=ftg.GeolocatorIosActivityType.OTHER,
            pause_location_updates_automatically=False,
            show_background_location_indicator=True,
            allow_background_location_updates=True,
        )
    return ftg.GeolocatorConfiguration(accuracy=accuracy, distance_filter=0)


class FixClock:
    """How old fixes are. The clock that writes their timestamps may be another one than the phone's
    (GPS time beside a clock that was set wrong): when several timestamps keep step with the phone's
    clock, the distance between the two is such an error and no age. As FixReader of
    web/src/core/fix.ts.
    """

    def __init__(self) -> None:
        self._error_s = 0.0
        self._since = self._newest = datetime.min.replace(tzinfo=UTC)
        self._first_s = self._least_s = math.inf
        self._count = 0

    def age_s(self, taken: datetime, now: datetime) -> float:
        """The age of a fix that the device gives ``now``."""
        distance_s = (now - taken).total_seconds()
        if taken != self._newest:  # else a device that repeats itself, whose fix grows old
            self._newest = taken
            self._learn(taken, distance_s)
        return max(distance_s - self._error_s, 0.0)

    def _learn(self, taken: datetime, distance_s: float) -> None:
        if not abs(distance_s - self._first_s) <= JITTER_S:
            self._since, self._count = taken, 1
            self._first_s = self._least_s = distance_s
            return
        self._least_s = min(self._least_s, distance_s)
        self._count += 1
        if self._count >= STEADY_FIXES and (taken - self._since).total_seconds() >= STEADY_S:
            self._error_s = self._least_s


def position_of(
    fix: ftg.GeolocatorPosition, now: datetime, battery: float | None, clock: FixClock
) -> tuple[Position, float] | None:
    """The position to send, and the age of its fix in seconds. None for a fix without a place, or
    of another day. What a device does not know it gives as 0 or -1; that is unknown.
    """
    lat, lng = _number(fix.latitude), _number(fix.longitude)
    if lat is None or lng is None or not (-90 <= lat <= 90 and -180 <= lng <= 180):
        return None
    taken = fix.timestamp if isinstance(fix.timestamp, datetime) else now
    if taken.tzinfo is None:
        taken = taken.replace(tzinfo=UTC)
    age_s = clock.age_s(taken, now)
    if age_s > _MOST_AGE_S:
        return None
    accuracy, speed, heading = map(_number, (fix.accuracy, fix.speed, fix.heading))
    moves = speed is not None and 0 < speed <= 1_000
    return (
        Position(
            float(lat),
            float(lng),
            accuracy if accuracy and 0 < accuracy <= 100_000 else None,
            now - timedelta(seconds=age_s),
            speed=speed if moves else None,
            # A device that stands still has no direction, and gives 0.
            heading=heading % 360
            if moves and heading is not None and 0 <= heading <= 360
            else None,
            battery=battery,
            age_ms=round(age_s * 1000, 0) if age_s >= 1 else None,
        ),
        age_s,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None
