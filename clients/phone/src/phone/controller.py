"""Everything that happens: what a person presses, what the phone tells, what the servers say.

One for the process. ``main(page)`` may run again while it lives (Android destroys an activity and
keeps a process with a foreground service): then the new page is attached, and sessions, connections
and the stream of positions go on. All methods run in Flet's loop; an error that a person should
read becomes ``state.problem``.
"""

import asyncio
import contextvars
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, final

import flet as ft
from msgspec import structs

from locshare.client import ClientError, Position, PresenceState
from phone.blur import blurred
from phone.calls import Calls
from phone.clock import now
from phone.devices import Devices, tag_of, when
from phone.entrance import Entrance
from phone.fetch import fetch_maps
from phone.hosting import Hosting
from phone.i18n import isolated, words_in
from phone.inviting import Inviting
from phone.participation import Participation
from phone.position import Notification
from phone.preferences import Preferences
from phone.publisher import Publisher
from phone.rate import is_saving, receive_pace
from phone.settings import Membership, Settings, SettingsFile
from phone.standing import directions_link
from phone.state import AppState
from phone.tracker import Tracker
from phone.trio_guest import TrioGuest
from phone.view import End, Follow, Screen, Sheet

_log: Final = logging.getLogger("locshare.phone")
NOTICE_S: Final = 6.0
"""A notice stays so long at least, and longer where there is more to read: 100 words a minute."""
LETTER_S: Final = 0.1
CLOCK_ERROR_S: Final = 60.0
"""By how much this device's clock may differ from the server's before it counts."""
BATTERY_S: Final = 60.0
"""How often the level of the battery is read."""


@final
class Controller:
    def __init__(self, state: AppState, file: SettingsFile, guest: TrioGuest) -> None:
        self.state = state
        self._file = file
        self._guest = guest
        self._devices: Devices | None = None
        self._context = contextvars.copy_context()
        """In which the page is the current one, as Flet's state needs it."""
        self._participations: dict[str, Participation] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._publisher = Publisher(self._publish)
        self._tracker = Tracker(
            self._report, self._seen, self._publisher.changed, self._position_failed
        )
        self._calls = Calls(state, guest, self._over)
        self.entrance = Entrance(state, self._calls, self)
        self.host = Hosting(state, self._calls, self._active, self.keep)
        """What a host may do."""
        self.preferences = Preferences(state, self)
        self.inviting = Inviting(state, guest, self._active, lambda: self._devices, self.notify)
        self._notice_timer: asyncio.TimerHandle | None = None
        self._maps_of = ""  # the address of the server whose maps are offered
        self._watches: asyncio.Task[Any] | None = None
        self._visible = True
        self._restored = False

    # --- pages ----------------------------------------------------------------------------------

    async def attach(self, page: ft.Page) -> None:
        """Serve ``page`` from now on. Called in ``main``, once its root is there."""
        self._context = contextvars.copy_context()
        devices = self._devices = Devices(page)
        page.on_app_lifecycle_state_change = self._lifecycle
        page.on_platform_brightness_change = when(self.preferences.apply_scheme)
        page.on_route_change = self._routed
        page.on_locale_change = self._locale
        page.on_disconnect = page.on_close = when(lambda: self._page_gone(page))
        page.on_connect = when(self._publisher.shown)
        devices.connectivity.on_change = self._network
        devices.battery.on_state_change = when(self._battery_changed)
        page.update()
        await self._guest.start()
        if not self._restored:
            self._restored = True
            settings = self._file.read().still_running(now())
            self.remember(settings)
        self.preferences.apply_scheme()
        self._speak(await devices.locale())
        self._tracker.attach(devices)
        for membership in self.state.settings.memberships:
            if membership.session_id not in self._participations:
                self._begin(membership)
        if self._participations and not self.state.active:
            self.show(self.state.settings.memberships[-1].session_id)
        self._visible = page.app_visible
        self._publisher.shown()
        if self._watches is None:
            self._watches = self.start(self._watch_battery)
        if page.route and page.route != "/":
            await self.entrance.open_link(page.route)
        await self._track(ask=False)

    async def close(self) -> None:
        """End everything that runs, for tests and for a process that stops in order."""
        self._publisher.hidden()
        self._tracker.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._guest.stop()

    def _page_gone(self, page: ft.Page) -> None:
        if self._devices is not None and self._devices.page is page:
            self._publisher.hidden()

    def start(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Run ``work`` beside everything else, with the page as the current one."""
        task = asyncio.get_running_loop().create_task(work(), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- what the phone tells -------------------------------------------------------------------

    def _lifecycle(self, event: ft.AppLifecycleStateChangeEvent) -> None:
        match event.state:
            case ft.AppLifecycleState.INACTIVE:
                # The last moment at which Android lets the stream start.
                self._tracker.going()
                return
            case ft.AppLifecycleState.HIDE | ft.AppLifecycleState.PAUSE:
                self._visible = False
                self._silence()
                self._publisher.hidden()
            case ft.AppLifecycleState.SHOW | ft.AppLifecycleState.RESUME:
                self._visible = True
                self._publisher.shown()
                self.start(self._come_back)
        self._adapt()

    async def _come_back(self) -> None:
        """Somebody looks again: the permission may have changed in the settings meanwhile."""
        for each in self._participations.values():
            self._guest.soon(each.live.network_changed)
        await self._read_battery()
        await self._track(ask=False)

    def _locale(self, event: ft.LocaleChangeEvent) -> None:
        if event.locales:
            self._speak(tag_of(event.locales[0]))

    def _speak(self, locale: str) -> None:
        """The device has this locale: its region has units, its language words."""
        self.state.locale = locale
        if self.state.settings.language == "auto":
            self.state.words = words_in(locale)

    async def _routed(self, event: ft.RouteChangeEvent) -> None:
        if event.route and event.route != "/":
            await self.entrance.open_link(event.route)

    def _network(self, event: ft.ConnectivityChangeEvent) -> None:
        self.state.offline = event.connectivity == [ft.ConnectivityType.NONE]
        if not self.state.offline:
            for each in self._participations.values():
                self._guest.soon(each.live.network_changed)

    async def _watch_battery(self) -> None:
        while True:
            if self._participations:
                await self._read_battery()
            await asyncio.sleep(BATTERY_S)

    def _battery_changed(self) -> None:
        self.start(self._read_battery)

    async def _read_battery(self) -> None:
        devices = self._devices
        if devices is None:
            return
        self._tracker.battery = level = await devices.battery_level()
        wish = self.state.settings.saving
        saver_on = wish == "auto" and await devices.battery_saver()
        self.state.saving = is_saving(wish, level, saver_on, self.state.saving)
        self._adapt()

    def _adapt(self) -> None:
        """Rate and presence, for whether somebody looks and how much battery there is."""
        state = self.state
        asked = [each.live.pace.interval_s for each in self._participations.values()]
        shared = [each for each in self._participations.values() if each.membership.shares]
        situation = self._tracker.situation._replace(
            visible=self._visible,
            saving=state.saving,
            asked_interval_s=min(asked, default=0.0),
        )
        self._tracker.adapt(situation)
        if self._tracker.running and not shared:
            self._tracker.stop()
        for session_id, each in self._participations.items():
            seen = self._visible and session_id == state.active
            presence: PresenceState = "active" if self._visible else "hidden"
            if each.membership.paused:
                presence = "paused"
            pace_s = receive_pace(visible=seen, saving=state.saving)
            self._guest.soon(each.wish, pace_s, presence)

    # --- this device's position -----------------------------------------------------------------

    def _seen(self, position: Position, age_s: float) -> None:
        at = now() - age_s
        if self.state.permission == "off":
            self.state.permission = "granted"  # the location service is on again
        for each in self._participations.values():
            if each.membership.shares:
                each.feed.located(position, at)
        self._publisher.changed()

    def _position_failed(self) -> None:
        self.start(self._why_no_position)

    async def _why_no_position(self) -> None:
        """The permission may have been taken away, or the location service switched off. The latter
        leaves the stream as it is: in the background Android lets none begin again.
        """
        permission = await self._tracker.check()
        self.state.permission = permission
        if permission in ("denied", "denied_forever"):
            self._tracker.stop()
        self._publisher.now()

    def _report(self, position: Position) -> None:
        if self.state.settings.blurred:
            position = blurred(position)
        for each in self._participations.values():
            if each.membership.shares:
                self._guest.soon(each.give, position)

    async def _track(self, *, ask: bool) -> None:
        """Share, if there is a session to share in and the person allows it. The reason is shown
        before the system asks, once.
        """
        if not any(each.membership.shares for each in self._participations.values()):
            self._tracker.stop()
            return
        state, tracker = self.state, self._tracker
        permission = await (tracker.ask() if ask else tracker.check())
        state.permission = permission
        if permission == "granted":
            count = sum(each.membership.shares for each in self._participations.values())
            words = state.words
            tracker.notification = Notification(
                words("notification.title"),
                words("notification.text", n=count),
                words("notification.channel"),
            )
            if self._visible:
                tracker.start()
            if state.sheet == "explain":
                state.sheet = ""
        elif permission in ("denied", "unknown") and not state.settings.explained:
            tracker.stop()
            state.sheet = "explain"
        else:
            tracker.stop()
        self._publisher.now()

    def share_anew(self) -> None:
        """See :meth:`~phone.preferences.Owner.share_anew`."""
        for each in self._participations.values():
            self._guest.soon(each.give, None)
        self._tracker.report_again()
        self._publisher.now()

    async def allow_location(self) -> None:
        """After the reason was read: let the system ask."""
        self.remember(structs.replace(self.state.settings, explained=True))
        self.state.sheet = ""
        await self._track(ask=True)

    async def only_watch(self) -> None:
        """Do not ask now; the banner offers it."""
        self.remember(structs.replace(self.state.settings, explained=True))
        self.state.sheet = ""
        self.state.permission = "denied"

    async def mend_location(self) -> None:
        """What the banner offers: ask again, or open the settings where only they help."""
        devices, permission = self._devices, self.state.permission
        if devices is not None and permission in ("denied_forever", "off"):
            await devices.open_settings(location=permission == "off")
        else:
            await self._track(ask=True)

    async def pause(self) -> None:
        """Stop sharing in the session on the screen, or begin again, also after only watching."""
        found = self._active()
        if found is None:
            return
        was = found.membership
        membership = structs.replace(was, paused=was.shares, watching=False)
        found.membership = membership
        self.remember(self.state.settings.with_membership(membership))
        if membership.paused:
            found.feed.own = None
            self._guest.soon(found.give, None)
        else:
            self._tracker.send_again()
        self._adapt()
        await self._track(ask=False)
        self._publisher.now()

    # --- coming and going -----------------------------------------------------------------------

    def go(self, screen: Screen) -> None:
        """Show another screen."""
        state = self.state
        state.screen, state.sheet, state.problem = screen, "", ""
        self.start(self.keep_awake)

    def back(self) -> bool:
        """What the phone's back button does. False when there is nothing to go back from."""
        state = self.state
        if state.sheet:
            state.sheet = ""
        elif state.list_is_long:
            state.list_is_long = False
        elif state.screen == "server":
            self.go("settings")
        elif state.screen == "settings":
            self.go("live" if state.group is not None else "home")
        elif state.screen != "home":
            self.go("home")
        else:
            return False
        return True

    def open_sheet(self, sheet: Sheet, user_id: str = "") -> None:
        """Show something over the map."""
        self.state.sheet, self.state.selected = sheet, user_id or self.state.selected
        self.state.problem = ""

    def close_sheet(self) -> None:
        """Idempotent: a second press beside the sheet goes nowhere."""
        self.state.sheet = ""

    async def paste_link(self) -> None:
        """Take the link from the clipboard."""
        if self._devices is not None:
            self.state.link = (await self._devices.paste()).strip()

    @property
    def count(self) -> int:
        """How many sessions this device is in."""
        return len(self._participations)

    def is_in(self, session_id: str) -> bool:
        """Whether this device is in this session."""
        return session_id in self._participations

    def keep(self, membership: Membership) -> None:
        """Remember what has changed of a session that this device is in."""
        found = self._participations.get(membership.session_id)
        if found is not None:
            found.membership = membership
        self.remember(self.state.settings.with_membership(membership))

    async def enter(self, membership: Membership) -> None:
        """Connect to one more session, and show it."""
        self.remember(self.state.settings.with_membership(membership))
        self._begin(membership)
        self.show(membership.session_id)
        await self._track(ask=False)

    def show(self, session_id: str) -> None:
        """Show the map of a session that this device is in."""
        found = self._participations.get(session_id)
        if found is None:
            return
        state = self.state
        state.active, state.follow, state.selected = session_id, "everyone", ""
        state.list_is_long, state.invitation = False, None
        self.go("live")
        self._adapt()
        self._publisher.now()
        if not state.maps or found.membership.backend.url != self._maps_of:
            self._maps_of = found.membership.backend.url
            self.start(self._read_maps)

    async def _read_maps(self) -> None:
        url = self._maps_of
        found = await self._guest.run(fetch_maps, url)
        if url == self._maps_of:  # else another server's session is shown by now
            self.state.maps = found

    def _begin(self, membership: Membership) -> None:
        found = Participation(membership, self._publisher.changed)
        self._participations[membership.session_id] = found
        self._tracker.send_again()

        async def run() -> None:
            try:
                end = await self._guest.run(found.run)
            except Exception as error:  # noqa: BLE001 - what a server has made fail
                # The type alone: a text may hold a place or a token.
                _log.warning("participation_failed: %s", type(error).__name__)
                end = found.end_of(ClientError("failed"))
            self._ended(membership.session_id, end)

        self.start(run)
        self.start(self._read_battery)

    def _over(self, end: End) -> None:
        self.state.end = end
        self.go("end")

    def _ended(self, session_id: str, end: End) -> None:
        """The session is over for this device: everything that it was for stops."""
        state = self.state
        if self._participations.pop(session_id, None) is None:
            return
        if end.title != "end.replaced":  # else the same person may come back here
            self.entrance.forget(session_id)
            self.remember(state.settings.without_membership(session_id))
        if not self._participations:
            self._tracker.stop()
        self._adapt()
        if state.active == session_id:
            state.active = ""
            self._over(end)
        else:
            self.notify(state.words(end.title))
        self._publisher.now()

    async def leave(self) -> None:
        """Leave the session on the screen for good."""
        found = self._active()
        if found is None:
            return
        session_id = found.membership.session_id
        self._ended(session_id, End(session_id, "end.left", "end.left.text", found.join_link))
        was_heard = await self._guest.run(found.leave)
        self._guest.soon(found.stop)
        end = self.state.end
        if not was_heard and end is not None and end.session_id == session_id:
            self.state.end = dataclasses.replace(end, text="end.left.unheard")

    # --- the map --------------------------------------------------------------------------------

    def follow(self, what: Follow, user_id: str = "") -> None:
        """What the map keeps in view; ``free`` is what a finger has chosen."""
        if self.state.follow != what or user_id != self.state.selected:
            self.state.follow = what
            if what == "person":
                self.state.selected, self.state.sheet = user_id, ""

    def toggle_list(self) -> None:
        """Show more of the list, or more of the map."""
        self.state.list_is_long = not self.state.list_is_long

    async def show_way(self, user_id: str) -> None:
        """Open the device's own map, for the way to somebody."""
        group, devices = self.state.group, self._devices
        person = group.person(user_id) if group is not None else None
        if person is not None and person.place is not None and devices is not None:
            await devices.open_address(directions_link(person.place, person.name, devices.system))

    # --- settings -------------------------------------------------------------------------------

    @property
    def devices(self) -> Devices | None:
        """Those of the page; None before there is one."""
        return self._devices

    async def set_saving(self, wish: str) -> None:
        """When the low-battery mode is on: ``auto``, ``on``, ``off``."""
        choice: Any = wish
        self.remember(structs.replace(self.state.settings, saving=choice))
        await self._read_battery()

    async def keep_awake(self) -> None:
        """Keep the screen on while the map is shown, if that is wished."""
        if self._devices is not None:
            on = self.state.settings.keep_awake and self.state.screen == "live"
            await self._devices.keep_awake(on=on)

    def remember(self, settings: Settings) -> None:
        """Keep the settings."""
        self.state.settings = settings
        if settings.language != "auto":
            self.state.words = words_in(settings.language)
        self._file.write(settings)

    # --- words ----------------------------------------------------------------------------------

    def notify(self, text: str) -> None:
        """Show ``text`` for some seconds."""
        self.state.notice = text
        if self._notice_timer is not None:
            self._notice_timer.cancel()
        self._notice_timer = asyncio.get_running_loop().call_later(
            max(NOTICE_S, len(text) * LETTER_S), self._silence, context=self._context.copy()
        )

    def _silence(self) -> None:
        if self._notice_timer is not None:
            self._notice_timer.cancel()
            self._notice_timer = None
        self.state.notice = ""

    # --- publishing -----------------------------------------------------------------------------

    def _active(self) -> Participation | None:
        return self._participations.get(self.state.active)

    def _publish(self) -> None:
        self._context.copy().run(self._publish_now)

    def _correct_end(self, each: Participation) -> None:
        """The join said by the server's clock when the session ends. By that of a device a day
        ahead it would be over when the app starts again.
        """
        mine, ends_at = each.membership, each.feed.expires_at
        if each.feed.replica is not None and abs(mine.expires_at - ends_at) > CLOCK_ERROR_S:
            self.keep(structs.replace(mine, expires_at=ends_at))

    def _publish_now(self) -> None:
        state = self.state
        for each in self._participations.values():
            self._correct_end(each)
        state.now = now()
        state.searching = self._tracker.searching
        state.groups = tuple(
            each.feed.group(
                paused=each.membership.paused,
                watching=each.membership.watching,
                can_host=each.membership.backend.dialect == "locshare",
            )
            for each in self._participations.values()
        )
        found = self._active()
        if found is not None and found.feed.happenings:
            happening = found.feed.happenings[-1]
            found.feed.happenings = []
            name = isolated(state.words.as_name(happening.name))
            self.notify(state.words(happening.key, name=name))
        if state.sheet == "person" and (
            state.group is None or state.group.person(state.selected) is None
        ):
            state.sheet = ""
