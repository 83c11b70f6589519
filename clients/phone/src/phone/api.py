"""The REST calls that the app makes, of this project's servers and of others of the same contract.

``locshare.client.Client`` is strict about what its own server answers. Other servers leave out what
the requirements' contract does not have, such as a host's token; :class:`LenientApi` fills it in.
"""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar, final
from urllib.parse import urljoin

import httpx
import msgspec
from msgspec import Struct

from locshare.client import (
    Client,
    HostToken,
    ParticipantView,
    SessionCreated,
    SessionDescription,
    SessionJoined,
    Unreachable,
)
from locshare.client.errors import ApiProblem
from locshare.client.exchange import exchange
from locshare.client.rest import body_of
from phone.backend import Backend
from phone.phoenix import life_from

TIMEOUT_S: Final = 10.0
WHOLE_S: Final = 30.0
"""Until an answer is there whole."""
T = TypeVar("T")


class Api(Protocol):
    """See :class:`locshare.client.Client`."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    async def create_session(
        self, name: str | None = None, *, expires_in_minutes: int | None = None
    ) -> SessionCreated: ...
    async def describe(
        self, session_id: str, *, link_key: str | None = None
    ) -> SessionDescription: ...
    async def join(
        self,
        session_id: str,
        display_name: str,
        *,
        avatar_color: str | None = None,
        host_token: str | None = None,
        device_key: str | None = None,
        link_key: str | None = None,
    ) -> SessionJoined: ...
    async def participants(self, session_id: str) -> tuple[ParticipantView, ...]: ...
    async def remove(
        self, session_id: str, user_id: str, token: str, *, ban: bool = False
    ) -> None: ...
    async def become_host(self, session_id: str, host_key: str) -> HostToken: ...
    async def end(self, session_id: str, host_token: str) -> None: ...


class _Person(Struct, frozen=True):
    user_id: str
    display_name: str = "?"
    avatar_color: str = "#0F766E"
    online: bool = True


class _People(Struct, frozen=True):
    participants: tuple[_Person, ...] = ()


class _Session(Struct, frozen=True):
    id: str = ""
    session_id: str = ""
    name: str = ""
    expires_at: datetime | None = None
    participant_count: int = 0
    is_active: bool = True
    join_link: str = ""
    host_token: str = ""


class _Joined(Struct, frozen=True):
    user_id: str
    websocket_token: str
    websocket_url: str = ""
    display_name: str = ""


@final
class LenientApi:
    """Any server of the contract at ``url``. It has no hosts that lock or pass on their role."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def create_session(
        self, name: str | None = None, *, expires_in_minutes: int | None = None
    ) -> SessionCreated:
        """See :meth:`Api.create_session`."""
        wish = {"name": name, "expires_in_minutes": expires_in_minutes}
        body = {key: value for key, value in wish.items() if value is not None}
        found = await self._call("POST", "/api/sessions", _Session, body)
        session_id = found.session_id or found.id
        link = f"{self._url}/join/{session_id}"
        with contextlib.suppress(ValueError):  # what the answer has may be no address
            link = urljoin(f"{self._url}/", found.join_link or link)
        return SessionCreated(
            session_id,
            link,
            found.expires_at or life_from(datetime.now(UTC)),
            found.name or name or "",
            found.host_token,
        )

    async def describe(
        self,
        session_id: str,
        *,
        link_key: str | None = None,  # noqa: ARG002 - no links are replaced there
    ) -> SessionDescription:
        """See :meth:`Api.describe`."""
        found = await self._call("GET", f"/api/sessions/{session_id}", _Session)
        now = datetime.now(UTC)
        return SessionDescription(
            session_id,
            found.name,
            now,
            found.expires_at or life_from(now),
            found.participant_count,
            found.is_active,
        )

    async def join(
        self,
        session_id: str,
        display_name: str,
        *,
        avatar_color: str | None = None,
        host_token: str | None = None,
        device_key: str | None = None,  # noqa: ARG002 - see below
        link_key: str | None = None,  # noqa: ARG002
    ) -> SessionJoined:
        """See :meth:`Api.join`. Others know no keys of devices, and may refuse what they do not
        know, so it is not sent.
        """
        body = {"display_name": display_name, "avatar_color": avatar_color or "#0F766E"}
        path = f"/api/sessions/{session_id}/join"
        found = await self._call("POST", path, _Joined, body, host_token)
        return SessionJoined(
            found.user_id,
            found.websocket_token,
            found.websocket_url,
            found.display_name or display_name,
        )

    async def participants(self, session_id: str) -> tuple[ParticipantView, ...]:
        """See :meth:`Api.participants`."""
        found = await self._call("GET", f"/api/sessions/{session_id}/participants", _People)
        now = datetime.now(UTC)
        return tuple(
            ParticipantView(
                each.user_id, each.display_name, each.avatar_color, now, now, True, each.online
            )
            for each in found.participants
        )

    async def remove(
        self,
        session_id: str,
        user_id: str,
        token: str,
        *,
        ban: bool = False,  # noqa: ARG002 - no bans there
    ) -> None:
        """See :meth:`Api.remove`."""
        path = f"/api/sessions/{session_id}/participants/{user_id}"
        await self._call("DELETE", path, _People, token=token)

    async def become_host(self, session_id: str, host_key: str) -> HostToken:  # noqa: ARG002
        """No such call exists there."""
        raise ApiProblem(404, "NOT_FOUND", "this server has no host's links", None)

    async def end(self, session_id: str, host_token: str) -> None:
        """See :meth:`Api.end`."""
        await self._call("DELETE", f"/api/sessions/{session_id}", _People, token=host_token)

    async def _call(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Mapping[str, Any] | None = None,
        token: str | None = None,
    ) -> T:
        headers = {} if not token else {"Authorization": f"Bearer {token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        answer = await exchange(
            self._http, method, path, content=content, headers=headers, timeout=WHOLE_S
        )
        try:
            return msgspec.json.decode(body_of(answer) or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # Not chained: the library's text may quote a token.
            raise Unreachable("the answer is not one of the contract") from None


def api_of(backend: Backend) -> Api:
    """The calls of this server."""
    return Client(backend.url) if backend.dialect == "locshare" else LenientApi(backend.url)
