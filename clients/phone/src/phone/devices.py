"""The phone, as far as Flet reaches it: one object for each page, since services belong to a page.

Each call says what it can, and something sensible where a system has no such thing: nothing here
raises. A page that is gone answers no more, so calls that no person answers have a deadline.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, final

import flet as ft
import flet_geolocator as ftg
import flet_permission_handler as fph

from phone.view import Permission

CALL_S: Final = 8.0
T = TypeVar("T")
_log: Final = logging.getLogger("locshare.phone")
_PERMISSIONS: Final[dict[ftg.GeolocatorPermissionStatus, Permission]] = {
    ftg.GeolocatorPermissionStatus.DENIED: "denied",
    ftg.GeolocatorPermissionStatus.DENIED_FOREVER: "denied_forever",
    ftg.GeolocatorPermissionStatus.WHILE_IN_USE: "granted",
    ftg.GeolocatorPermissionStatus.ALWAYS: "granted",
    # Browsers without the Permissions API: the stream will say.
    ftg.GeolocatorPermissionStatus.UNABLE_TO_DETERMINE: "granted",
}


@final
class Devices:
    """Make it in ``main(page)``, where services find their page, and keep it: Flet holds services
    only as long as somebody does.
    """

    def __init__(self, page: ft.Page) -> None:
        self.page = page
        self.geolocator = ftg.Geolocator()
        self.battery = ft.Battery()
        self.connectivity = ft.Connectivity()
        self.wakelock = ft.Wakelock()
        self.clipboard = ft.Clipboard()
        self.sharing = ft.Share()
        self.launcher = ft.UrlLauncher()
        is_phone = page.platform in (ft.PagePlatform.ANDROID, ft.PagePlatform.IOS)
        self.is_phone = is_phone and not page.web
        # It raises on other systems.
        self.permissions = fph.PermissionHandler() if self.is_phone else None

    async def permission(self) -> Permission:
        """Whether this app may know where the device is."""
        status = await self._ask(self.geolocator.get_permission_status(), None)
        if status is None:
            return "unknown"
        found = _PERMISSIONS[status]
        if found == "granted" and self.is_phone:
            is_on = await self._ask(self.geolocator.is_location_service_enabled(), True)
            return "granted" if is_on else "off"
        return found

    async def ask_permission(self) -> Permission:
        """Let the system ask, for as long as the person takes."""
        status = await self._ask(self.geolocator.request_permission(), None, deadline_s=None)
        return "denied" if status is None else _PERMISSIONS[status]

    async def ask_notifications(self) -> None:
        """On Android 13 and newer a notification needs a permission. Without it sharing goes on,
        and the system shows it in its list of active apps only.
        """
        if self.permissions is not None and self.page.platform == ft.PagePlatform.ANDROID:
            request = self.permissions.request(fph.Permission.NOTIFICATION)
            await self._ask(request, None, deadline_s=None)

    async def open_settings(self, *, location: bool) -> None:
        """The system's settings: of the location service, or of this app."""
        if self.is_phone:
            settings = self.geolocator
            call = settings.open_location_settings if location else settings.open_app_settings
            await self._ask(call(), False)

    async def current_position(self, wait_s: float) -> ftg.GeolocatorPosition | None:
        """Ask the device where it is now."""
        return await self._ask(self.geolocator.get_current_position(), None, deadline_s=wait_s)

    def show_as(self, scheme: str) -> bool:
        """``light``, ``dark``, or ``auto`` as the device is. Whether that is dark."""
        page = self.page
        page.theme_mode = {"light": ft.ThemeMode.LIGHT, "dark": ft.ThemeMode.DARK}.get(
            scheme, ft.ThemeMode.SYSTEM
        )
        page.update()
        return scheme == "dark" or (
            scheme != "light" and page.platform_brightness == ft.Brightness.DARK
        )

    async def battery_level(self) -> float | None:
        """In percent."""
        level = await self._ask(self.battery.get_battery_level(), None)
        return float(level) if isinstance(level, int | float) and 0 <= level <= 100 else None

    async def battery_saver(self) -> bool:
        """Whether the system saves battery."""
        return bool(await self._ask(self.battery.is_in_battery_save_mode(), False))

    async def keep_awake(self, *, on: bool) -> None:
        """Keep the screen on."""
        lock: Any = self.wakelock  # its methods say nothing of their types
        await self._ask(lock.enable() if on else lock.disable(), None)

    async def share(self, text: str, title: str) -> bool:
        """The system's sheet for sharing; False where there is none."""
        if not self.is_phone:
            return False
        result = await self._ask(self.sharing.share_text(text, title=title), None, deadline_s=None)
        return result is not None and result.status is not ft.ShareResultStatus.UNAVAILABLE

    async def copy(self, text: str) -> None:
        """Into the clipboard."""
        await self._ask(self.clipboard.set(text), None)

    async def paste(self) -> str:
        """What the clipboard has."""
        return await self._ask(self.clipboard.get(), None) or ""

    async def locale(self) -> str:
        """The device's first language and its region, such as ``de-AT``."""
        info = await self._ask(self.page.get_device_info(), None)
        if info is None:
            return "en"
        if isinstance(info, ft.WebDeviceInfo) and info.language:
            return info.language
        return next((tag_of(each) for each in info.locales or ()), "en")

    async def open_address(self, address: str) -> None:
        """In the app that shows such addresses."""
        await self._ask(self.launcher.launch_url(address), None)

    @property
    def system(self) -> str:
        """``android``, ``ios`` or ``other``."""
        if self.is_phone:
            return "ios" if self.page.platform == ft.PagePlatform.IOS else "android"
        return "other"

    async def _ask(self, call: Awaitable[T], otherwise: T, deadline_s: float | None = CALL_S) -> T:
        try:
            return await asyncio.wait_for(call, deadline_s)
        except (RuntimeError, TimeoutError, ft.FletException) as error:
            # The type alone: a text may hold a place.
            _log.info("device_call_failed: %s", type(error).__name__)
            return otherwise


def tag_of(locale: ft.Locale) -> str:
    """``de-AT``, or the language alone."""
    return "-".join(filter(None, (locale.language_code or "en", locale.country_code)))


def when(handler: Callable[[], None]) -> Callable[[object], None]:
    """An event handler that needs nothing of its event."""

    def handle(_: object) -> None:
        handler()

    return handle
