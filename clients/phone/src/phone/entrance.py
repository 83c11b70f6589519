"""How this device comes into a session: a link is read, or a session is created; then it joins."""

from typing import Any, Protocol, final

from msgspec import structs

from locshare.client import ApiProblem
from locshare.model.join_link import link_segment
from phone.api import Api
from phone.backend import Backend
from phone.calls import Calls
from phone.deep_link import read_link
from phone.phoenix import socket_address
from phone.settings import COLORS, MOST_SESSIONS, Membership, Settings
from phone.state import AppState
from phone.view import MOST_SESSION_NAME, Invitation, Screen, one_line


class Sessions(Protocol):
    """The sessions that this device is in, and their screen."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def is_in(self, session_id: str) -> bool:
        """Whether this is one of them."""
        ...

    async def enter(self, membership: Membership) -> None:
        """Connect to one more, and show it."""
        ...

    def show(self, session_id: str) -> None:
        """Show one of them."""
        ...

    def go(self, screen: Screen) -> None:
        """Show another screen."""
        ...

    def keep(self, membership: Membership) -> None:
        """Remember what has changed of one of them."""
        ...

    def remember(self, settings: Settings) -> None:
        """Keep the settings."""
        ...


@final
class Entrance:
    """An error that a person should read becomes ``state.problem``."""

    def __init__(self, state: AppState, calls: Calls, sessions: Sessions) -> None:
        self._state = state
        self._calls = calls
        self._sessions = sessions
        self._host_tokens: dict[str, str] = {}
        """Of sessions that this device may join as the host."""
        self._host_keys: dict[str, str] = {}

    def forget(self, session_id: str) -> None:
        """The session is over for this device."""
        self._host_tokens.pop(session_id, None)
        self._host_keys.pop(session_id, None)

    async def open_link(self, text: str) -> None:
        """Show what a link invites to, or go back into a session that this device is in."""
        state = self._state
        link = read_link(text, state.backend.url)
        if link is None:
            if text.strip("/"):
                state.problem = state.words("home.link.wrong")
            return
        kept = state.settings.membership(link.session_id)
        if kept is not None:
            if link.host_key is None or await self._become_host(kept, link.host_key):
                await self._come_back(link.session_id)
            return

        async def ask(api: Api) -> Invitation:
            is_host = False
            if link.host_key is not None:
                token = await api.become_host(link.session_id, link.host_key)
                self._host_tokens[link.session_id] = token.host_token
                self._host_keys[link.session_id] = link.host_key
                is_host = True
            found = await api.describe(link.session_id, link_key=link.link_key)
            if not found.is_active:
                raise ApiProblem(410, "SESSION_ENDED", "ended", None)
            return Invitation(
                f"{link.url}/join/{link_segment(link.session_id, link.link_key or '')}",
                link.session_id,
                one_line(found.name, MOST_SESSION_NAME),
                found.expires_at.timestamp(),
                found.participant_count,
                found.locked,
                is_host,
                link.link_key,
            )

        invitation = await self._calls.ask(self._backend_of(link.url), ask)
        if invitation is not None:
            state.invitation = invitation
            self._sessions.go("join")

    async def _come_back(self, session_id: str) -> None:
        """As the same person, also where another device has taken their place meanwhile."""
        kept = self._state.settings.membership(session_id)
        if kept is None or self._sessions.is_in(session_id):
            self._sessions.show(session_id)
        else:
            await self._sessions.enter(kept)

    async def _become_host(self, kept: Membership, host_key: str) -> bool:
        """Who is in the session already becomes its host, and no second person."""

        async def ask(api: Any) -> str:
            token: str = (await api.become_host(kept.session_id, host_key)).host_token
            await api.set_role(kept.session_id, kept.user_id, token, "host")
            return token

        token = await self._calls.ask(kept.backend, ask, ends=False)
        if token is not None:
            self._sessions.keep(structs.replace(kept, host_token=token, host_key=host_key))
        return token is not None

    async def create(self, name: str, hours: int, display_name: str, color: str) -> None:
        """Create a session, and join it as its host."""
        state = self._state
        if not self._introduced(display_name, color):
            return

        async def ask(api: Api) -> Invitation:
            minutes = max(1, min(hours, 24)) * 60
            found = await api.create_session(name.strip()[:255] or None, expires_in_minutes=minutes)
            self._host_tokens[found.session_id] = found.host_token
            self._host_keys[found.session_id] = found.host_key
            return Invitation(
                found.join_link,
                found.session_id,
                one_line(found.name, MOST_SESSION_NAME),
                found.expires_at.timestamp(),
                0,
                is_host=bool(found.host_token),
            )

        invitation = await self._calls.ask(state.backend, ask)
        if invitation is not None:
            state.invitation = invitation
            await self._join(invitation, state.backend)

    async def join(self, display_name: str, color: str, *, watching: bool = False) -> None:
        """Join the session of the invitation; ``watching``: without being seen on the map."""
        invitation = self._state.invitation
        if invitation is not None and self._introduced(display_name, color):
            backend = self._backend_of(invitation.link.split("/join/")[0])
            await self._join(invitation, backend, watching=watching)

    def _introduced(self, display_name: str, color: str) -> bool:
        state = self._state
        if state.busy:
            return False  # a second press, before the button has shown that there was a first
        name = display_name.strip()[:100]
        if not name:
            state.problem = state.words("join.name.missing")
            return False
        if self._sessions.count >= MOST_SESSIONS:
            state.problem = state.words("problem.too_many", n=MOST_SESSIONS)
            return False
        safe = color if color in COLORS else COLORS[4]
        self._sessions.remember(structs.replace(state.settings, name=name, color=safe))
        return True

    async def _join(
        self, invitation: Invitation, backend: Backend, *, watching: bool = False
    ) -> None:
        settings = self._state.settings
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
                self._host_keys.get(invitation.session_id, ""),
                watching=watching,
            )

        membership = await self._calls.ask(backend, ask)
        if membership is None:
            # What was created stays: the screen of the invitation tries again.
            if self._state.screen != "end":
                self._state.screen = "join"
            return
        await self._sessions.enter(membership)

    async def again(self) -> None:
        """Join the session again that has ended for this device."""
        end = self._state.end
        if end is not None and end.link:
            await self.open_link(end.link)

    def _backend_of(self, url: str) -> Backend:
        """The server at ``url``: one that is known by its address speaks what is known of it."""
        known = (self._state.backend, *self._state.environments.named.values())
        return next((each for each in known if each.url == url), Backend(url))
