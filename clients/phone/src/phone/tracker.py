"""Where this device is: one stream of fixes for all sessions, and when it runs.

On Android the stream is a foreground service with a notification: it has to be started while the
app is on the screen, and then goes on with the screen off. So it is started again, with another
rate, only while somebody looks; what is decided in the background waits until then, and which
fixes are sent is decided here.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import final

import flet_geolocator as ftg
from msgspec import structs

from locshare.client import Position
from phone.devices import Devices
from phone.position import FixClock, Notification, configuration, position_of
from phone.rate import ASK_WITHIN_S, RENEW_S, Rate, Reports, Situation, rate
from phone.view import Permission


@final
class Tracker:
    """``report`` is called with a position to send and the age of its fix; ``seen`` with every fix,
    which this device shows itself; ``changed`` when something else is to be shown; ``failed`` when
    the device has said that it cannot say where it is.
    """

    def __init__(
        self,
        report: Callable[[Position], None],
        seen: Callable[[Position, float], None],
        changed: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self.permission: Permission = "unknown"
        self.searching = False
        self.battery: float | None = None
        self.situation = Situation(visible=True, moving=True, saving=False)
        self.notification = Notification("locshare", "", "locshare")
        self._report = report
        self._seen = seen
        self._changed = changed
        self._on_failure = failed
        self._devices: Devices | None = None
        self._reports = Reports()
        self._fix_clock = FixClock()
        self._rate: Rate | None = None
        """Of the running stream; None while there is none."""
        self._newest: Position | None = None
        self._came_at = 0.0
        self._renewal: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the device is asked where it is."""
        return self._rate is not None

    def attach(self, devices: Devices) -> None:
        """The app has a page, perhaps another one than before: a running stream moves to it."""
        was_running = self.running
        self._stop_stream()
        self._devices = devices
        if was_running:
            self._start_stream()

    async def check(self) -> Permission:
        """Look whether the position may be known, without asking for it."""
        if self._devices is not None:
            self.permission = await self._devices.permission()
        return self.permission

    async def ask(self) -> Permission:
        """Let the system ask the person, and then for the notification, where it must."""
        devices = self._devices
        if devices is None:
            return self.permission
        self.permission = await devices.ask_permission()
        if self.permission == "granted":
            await devices.ask_notifications()
            self.permission = await devices.permission()
        return self.permission

    def start(self) -> None:
        """Begin to ask the device, while the app is on the screen. Idempotent."""
        if self.permission == "granted" and not self.running and self._devices is not None:
            self._reports.restart()
            self.searching = True
            self._start_stream()
            self._renewal = asyncio.get_running_loop().create_task(self._renew())

    def stop(self) -> None:
        """Ask no more; the notification goes."""
        self._stop_stream()
        self.searching = False
        self._newest = None
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None

    def adapt(self, situation: Situation) -> None:
        """Another rate may suit. ``moving`` is this tracker's to say."""
        moving = self._reports.is_moving(monotonic())
        self.situation = situation._replace(moving=moving)
        if self.running and self.situation.visible and rate(self.situation) != self._rate:
            self._start_stream()

    def going(self) -> None:
        """The app is about to be hidden, and may still start the stream: with the rate for that."""
        self.situation = self.situation._replace(visible=False)
        if self.running and rate(self.situation) != self._rate:
            self._start_stream()

    def send_again(self) -> None:
        """The next fix is sent, whatever was sent before: a session is new."""
        self._reports.restart()

    def report_again(self) -> None:
        """Report the newest fix once more, with its age, if it is still worth something: how it is
        shared has changed. Else the next one is.
        """
        self._reports.restart()
        age_s = monotonic() - self._came_at
        if self.running and self._newest is not None and age_s < RENEW_S:
            age_ms = (self._newest.age_ms or 0.0) + round(age_s * 1000)
            position = structs.replace(self._newest, age_ms=age_ms)
            self._reports.sent(position, monotonic())
            self._report(position)

    # --- the stream -----------------------------------------------------------------------------

    def _start_stream(self) -> None:
        """Dart ends a stream and begins another one at every update of this service, so there is
        one update for a start, and none that is not needed.
        """
        devices = self._devices
        if devices is None:
            return
        page, geolocator = devices.page, devices.geolocator
        self._rate = rate(self.situation)
        geolocator.configuration = configuration(
            page.platform, web=page.web, rate=self._rate, notification=self.notification
        )
        geolocator.on_position_change = self._moved
        geolocator.on_error = self._failed
        geolocator.update()

    def _stop_stream(self) -> None:
        was_running, self._rate = self.running, None
        if self._devices is not None and was_running:
            geolocator = self._devices.geolocator
            geolocator.on_position_change = None
            geolocator.on_error = None
            geolocator.update()

    def _moved(self, event: ftg.GeolocatorPositionChangeEvent) -> None:
        self._take(event.position)

    def _failed(self, _: object) -> None:
        # The text of an error is the system's, and may be in any language.
        self.searching = True
        self._changed()
        self._on_failure()

    def _take(self, fix: ftg.GeolocatorPosition) -> None:
        found = position_of(fix, datetime.now(UTC), self.battery, self._fix_clock)
        if found is None or not self.running:
            return
        position, age_s = found
        self.searching = False
        self._seen(position, age_s)
        now = monotonic()
        self._newest, self._came_at = position, now
        if self._reports.offer(position, now, rate(self.situation).interval_s):
            self._reports.sent(position, now)
            self._report(position)

    async def _renew(self) -> None:
        """Who stands still gets no new fixes from the device: ask for one, so that the position
        that is sent again is known to be right.
        """
        while True:
            await asyncio.sleep(max(self._reports.renewal_in(monotonic()), 1.0))
            if self._reports.renewal_in(monotonic()) > 0 or self._devices is None:
                continue
            fix = await self._devices.current_position(ASK_WITHIN_S)
            if fix is None:
                self.searching = True
                self._changed()
            else:
                self._take(fix)
            await asyncio.sleep(1.0)
