"""Everything that happens: what a person presses, what the phone tells, what the servers say.

One for the process. ``main(page)`` may run again while it lives (Android destroys an activity and
keeps a process with a foreground service): then the new page is attached, and sessions, connections
and the stream of positions go on. All methods run in Flet's loop; an error that a person should
read becomes ``state.problem``.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from time import time
from typing import Any, Final, final

import flet as ft
from msgspec import structs

from locshare.client import ApiProblem, Position, PresenceState
from locshare.model.join_link import link_segment
from phone.api import Api
from phone.backend import Backend, parse_backend
from phone.calls import Calls
from phone.deep_link import read_link
from phone.devices import Devices, when
from phone.fetch import fetch_maps
from phone.hosting import Hosting
from phone.i18n import isolated, words_in
from phone.participation import Participation
from phone.phoenix import socket_address
from phone.position import Notification
from phone.publisher import Publisher
from phone.rate import is_saving, receive_pace
from phone.settings import COLORS, MOST_SESSIONS, Membership, Settings, SettingsFile
from phone.state import AppState
from phone.tracker import Tracker
from phone.trio_guest import TrioGuest
from phone.view import End, Follow, Invitation, Screen, Sheet

NOTICE_S: Final = 4.0
BATTERY_S: Final = 60.0
"""How often the level of the battery is read."""
TAPS_TO_SERVER: Final = 7
"""On the version, for the hidden screen."""


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
        self._tracker = Tracker(self._report, self._seen, self._publisher.changed)
        self._calls = Calls(state, guest, self._over)
        self.host = Hosting(state, self._calls, self._active, self._keep)
        """What a host may do."""
        self._notice_timer: asyncio.TimerHandle | None = None
        self._host_tokens: dict[str, str] = {}
        """Of sessions that this device may join as the host."""
        self._taps = 0
        self._watches: asyncio.Task[Any] | None = None
        self._visible = True
        self._restored = False

    # --- pages ----------------------------------------------------------------------------------

    async def attach(self, page: ft.Page) -> None:
        """Serve ``page`` from now on. Called in ``main``, once its root is there."""
        self._context = contextvars.copy_context()
        devices = self._devices = Devices(page)
        page.on_app_lifecycle_state_change = self._lifecycle
        page.on_platform_brightness_change = when(self._brightness)
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
            settings = self._file.read().still_running(time())
            self._set_settings(settings)
        self._brightness()
        language = self.state.settings.language
        if language == "auto":
            language_found = await devices.language()
            self.state.words = words_in(language_found)
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
            await self.open_link(page.route)
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

    def _brightness(self) -> None:
        page = self._devices.page if self._devices is not None else None
        if page is not None:
            self.state.dark = page.platform_brightness == ft.Brightness.DARK

    def _locale(self, event: ft.LocaleChangeEvent) -> None:
        if self.state.settings.language == "auto" and event.locales:
            self.state.words = words_in(event.locales[0].language_code or "en")

    async def _routed(self, event: ft.RouteChangeEvent) -> None:
        if event.route and event.route != "/":
            await self.open_link(event.route)

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
        shared = [each for each in self._participations.values() if not each.membership.paused]
        situation = self._tracker.situation._replace(
            visible=self._visible,
            saving=state.saving,
            asked_interval_s=min(asked, default=0.0),
        )
        self._tracker.adapt(situation)
        if self._tracker.running and not shared:
            self._tracker.stop()
        pace_s = receive_pace(visible=self._visible, saving=state.saving)
        for session_id, each in self._participations.items():
            seen = self._visible and session_id == state.active
            presence: PresenceState = "active" if self._visible else "hidden"
            if each.membership.paused:
                presence = "paused"
            self._guest.soon(each.wish, pace_s if seen else max(pace_s, 15.0), presence)

    # --- this device's position -----------------------------------------------------------------

    def _seen(self, position: Position, age_s: float) -> None:
        at = time() - age_s
        for each in self._participations.values():
            if not each.membership.paused:
                each.feed.located(position, at)
        self._publisher.changed()

    def _report(self, position: Position) -> None:
        for each in self._participations.values():
            if not each.membership.paused:
                self._guest.soon(each.give, position)

    async def _track(self, *, ask: bool) -> None:
        """Share, if there is a session to share in and the person allows it. The reason is shown
        before the system asks, once.
        """
        if not any(not each.membership.paused for each in self._participations.values()):
            self._tracker.stop()
            return
        state, tracker = self.state, self._tracker
        permission = await (tracker.ask() if ask else tracker.check())
        state.permission = permission
        if permission == "granted":
            count = len(self._participations)
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

    async def allow_location(self) -> None:
        """After the reason was read: let the system ask."""
        self._set_settings(structs.replace(self.state.settings, explained=True))
        self.state.sheet = ""
        await self._track(ask=True)

    async def only_watch(self) -> None:
        """Do not ask now; the banner offers it."""
        self._set_settings(structs.replace(self.state.settings, explained=True))
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
        """Pause or resume sharing in the session on the screen."""
        found = self._active()
        if found is None:
            return
        membership = structs.replace(found.membership, paused=not found.membership.paused)
        found.membership = membership
        self._set_settings(self.state.settings.with_membership(membership))
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
        self._taps = 0
        self.start(self._keep_awake)

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

    async def open_link(self, text: str) -> None:
        """Show what a link invites to, or go back into a session that this device is in."""
        state = self.state
        link = read_link(text, state.backend.url)
        if link is None:
            if text.strip("/"):
                state.problem = state.words("home.link.wrong")
            return
        kept = state.settings.membership(link.session_id)
        if kept is not None and kept.session_id in self._participations and not link.host_key:
            self.show(link.session_id)
            return
        backend = state.backend
        if link.url != backend.url:
            backend = self._backend_of(link.url)

        async def ask(api: Api) -> Invitation:
            is_host = False
            if link.host_key is not None:
                token = await api.become_host(link.session_id, link.host_key)
                self._host_tokens[link.session_id] = token.host_token
                is_host = True
            found = await api.describe(link.session_id, link_key=link.link_key)
            if not found.is_active:
                raise ApiProblem(410, "SESSION_ENDED", "ended", None)
            return Invitation(
                f"{link.url}/join/{link_segment(link.session_id, link.link_key or '')}",
                link.session_id,
                found.name,
                found.expires_at.timestamp(),
                found.participant_count,
                found.locked,
                is_host,
                link.link_key,
            )

        invitation = await self._calls.ask(backend, ask)
        if invitation is not None:
            state.invitation = invitation
            self.go("join")

    async def create(self, name: str, hours: int, display_name: str, color: str) -> None:
        """Create a session, and join it as its host."""
        state = self.state
        if not self._introduced(display_name, color):
            return

        async def ask(api: Api) -> Invitation:
            minutes = max(1, min(hours, 24)) * 60
            found = await api.create_session(name.strip()[:255] or None, expires_in_minutes=minutes)
            self._host_tokens[found.session_id] = found.host_token
            return Invitation(
                found.join_link,
                found.session_id,
                found.name,
                found.expires_at.timestamp(),
                0,
                is_host=bool(found.host_token),
            )

        invitation = await self._calls.ask(state.backend, ask)
        if invitation is not None:
            state.invitation = invitation
            await self._join(invitation, state.backend)

    async def join(self, display_name: str, color: str) -> None:
        """Join the session of the invitation."""
        invitation = self.state.invitation
        if invitation is not None and self._introduced(display_name, color):
            await self._join(invitation, self._backend_of(invitation.link.split("/join/")[0]))

    def _introduced(self, display_name: str, color: str) -> bool:
        state = self.state
        name = display_name.strip()[:100]
        if not name:
            state.problem = state.words("join.name.missing")
            return False
        if len(self._participations) >= MOST_SESSIONS:
            state.problem = state.words("problem.too_many", n=MOST_SESSIONS)
            return False
        safe = color if color in COLORS else COLORS[4]
        self._set_settings(structs.replace(state.settings, name=name, color=safe))
        return True

    async def _join(self, invitation: Invitation, backend: Backend) -> None:
        settings = self.state.settings
        host_token = self._host_tokens.get(invitation.session_id)

        async def ask(api: Api) -> Membership:
            found = await api.join(
                invitation.session_id,
                settings.name,
                avatar_color=settings.color,
                host_token=host_token or None,
                device_key=settings.device_key,
                link_key=invitation.link_key,
            )
            address = found.websocket_url
            if backend.dialect == "phoenix":
                address = socket_address(backend, address)
            return Membership(
                invitation.session_id,
                invitation.name,
                backend,
                invitation.link,
                found.user_id,
                found.websocket_token,
                address,
                invitation.expires_at,
                host_token or "",
            )

        membership = await self._calls.ask(backend, ask)
        if membership is None:
            # What was created stays: the screen of the invitation tries again.
            if self.state.screen != "end":
                self.state.screen = "join"
            return
        self._set_settings(self.state.settings.with_membership(membership))
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
        if state.maps == () or found.membership.backend.url != self._maps_of:
            self._maps_of = found.membership.backend.url
            self.start(self._read_maps)

    _maps_of = ""

    async def _read_maps(self) -> None:
        backend = self._maps_of
        self.state.maps = await self._guest.run(fetch_maps, backend)

    def _begin(self, membership: Membership) -> None:
        found = Participation(membership, self._publisher.changed)
        self._participations[membership.session_id] = found
        self._tracker.send_again()

        async def run() -> None:
            end = await self._guest.run(found.run)
            self._ended(membership.session_id, end)

        self.start(run)
        self.start(self._read_battery)

    def _over(self, end: End) -> None:
        self.state.end = end
        self.go("end")

    def _keep(self, membership: Membership) -> None:
        self._set_settings(self.state.settings.with_membership(membership))

    def _ended(self, session_id: str, end: End) -> None:
        """The session is over for this device: everything that it was for stops."""
        state = self.state
        if self._participations.pop(session_id, None) is None:
            return
        self._host_tokens.pop(session_id, None)
        self._set_settings(state.settings.without_membership(session_id))
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
        await self._guest.run(found.leave)
        self._guest.soon(found.stop)

    async def again(self) -> None:
        """Join the session again that has ended for this device."""
        end = self.state.end
        if end is not None and end.link:
            await self.open_link(end.link)

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

    # --- the link -------------------------------------------------------------------------------

    async def invite(self) -> None:
        """Pass the link on with the phone's sheet, else copy it."""
        found, devices = self._active(), self._devices
        if found is None or devices is None:
            return
        link = found.join_link
        if not await devices.share(link, found.feed.name):
            await devices.copy(link)
            self.notify(self.state.words("notice.copied"))

    # --- settings -------------------------------------------------------------------------------

    async def set_language(self, language: str) -> None:
        """``auto`` is the device's."""
        choice: Any = language
        self._set_settings(structs.replace(self.state.settings, language=choice))
        if language == "auto" and self._devices is not None:
            self.state.words = words_in(await self._devices.language())

    async def set_saving(self, wish: str) -> None:
        """When the low-battery mode is on: ``auto``, ``on``, ``off``."""
        choice: Any = wish
        self._set_settings(structs.replace(self.state.settings, saving=choice))
        await self._read_battery()

    def set_map(self, choice: Any) -> None:
        """Choose a map type."""
        self._set_settings(structs.replace(self.state.settings, map_choice=choice))

    async def set_awake(self, *, on: bool) -> None:
        """Keep the screen on while the map is shown."""
        self._set_settings(structs.replace(self.state.settings, keep_awake=on))
        await self._keep_awake()

    async def _keep_awake(self) -> None:
        if self._devices is not None:
            on = self.state.settings.keep_awake and self.state.screen == "live"
            await self._devices.keep_awake(on=on)

    def tap_version(self) -> None:
        """After some taps the hidden screen opens."""
        self._taps += 1
        if self._taps >= TAPS_TO_SERVER:
            self.go("server")

    def set_backend(self, url: str, dialect: str, socket: str, topic: str) -> None:
        """Create sessions on another server from now on."""
        try:
            backend = parse_backend(url, dialect, socket, topic)
        except ValueError as error:
            self.state.problem = str(error)
            return
        environments = self.state.environments
        is_default = backend == environments.named[environments.default]
        chosen = None if is_default else backend
        self._set_settings(structs.replace(self.state.settings, backend=chosen))
        self.state.problem = ""
        self.go("settings")
        self.notify(self.state.words("notice.saved"))

    def _backend_of(self, url: str) -> Backend:
        """The server at ``url``: one that is known by its address speaks what is known of it."""
        known = (self.state.backend, *self.state.environments.named.values())
        return next((each for each in known if each.url == url), Backend(url))

    def _set_settings(self, settings: Settings) -> None:
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
            NOTICE_S, self._silence, context=self._context.copy()
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

    def _publish_now(self) -> None:
        state = self.state
        state.now = time()
        state.searching = self._tracker.searching
        state.groups = tuple(
            each.feed.group(
                paused=each.membership.paused,
                can_host=each.membership.backend.dialect == "locshare",
            )
            for each in self._participations.values()
        )
        found = self._active()
        if found is not None and found.feed.happenings:
            happening = found.feed.happenings[-1]
            found.feed.happenings = []
            self.notify(state.words(happening.key, name=isolated(happening.name)))
        if state.sheet == "person" and (
            state.group is None or state.group.person(state.selected) is None
        ):
            state.sheet = ""
