"""The REST API as a typed client: one method per call of docs/reference/rest.md about sessions and
participants. Reports of positions, QR codes and the set-up of other apps have none.

Every method raises ApiProblem when the server refuses and Unreachable when there is no answer,
nothing else. After a cancelled call the outcome at the server is unknown. Tasks may share a client;
it keeps connections open between calls until it is closed.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import trio

from locshare.client.errors import ApiProblem, ClientError, Unreachable, problem_of
from locshare.client.exchange import Answer, exchange
from locshare.model.participant import ParticipantView, Role
from locshare.wire.answers import (
    DeletionReceipt,
    HostToken,
    NewLink,
    ParticipantList,
    SessionCreated,
    SessionDescription,
    SessionJoined,
)

TIMEOUT_S: Final = 10.0
"""Of each step: a connection from the pool, the connection, a read."""
WHOLE: Final = 3.0
"""Times this until an answer is there whole."""
_MAX_CONNECTIONS: Final = 16
"""To one server; further callers wait. A crowd that joins must not look like an attack."""


T = TypeVar("T")


class Client:
    """The REST API of the server at ``url`` (``http://host:port``). Use as a context manager."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._whole_s = timeout * WHOLE
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=timeout,
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS),
            # A proxy in the environment would not be used by the WebSocket either.
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, also when cancelled."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0):
            await self._http.aclose()

    async def create_session(
        self, name: str | None = None, *, expires_in_minutes: int | None = None
    ) -> SessionCreated:
        """Create a session; without a name it gets a friendly one."""
        body: dict[str, object] = {}
        if name is not None:
            body["name"] = name
        if expires_in_minutes is not None:
            body["expires_in_minutes"] = expires_in_minutes
        answer = await self._call("POST", "/api/sessions", body=body)
        return _decode(answer, SessionCreated)

    async def describe(self, session_id: str, *, link_key: str | None = None) -> SessionDescription:
        """Describe a session, also one that has ended, as long as the server remembers it.
        ``link_key`` is that of a JoinLink.
        """
        answer = await self._call("GET", _path(session_id) + _query(link_key))
        return _decode(answer, SessionDescription)

    async def join(
        self,
        session_id: str,
        display_name: str,
        *,
        avatar_color: str | None = None,
        host_token: str | None = None,
        device_key: str | None = None,
        link_key: str | None = None,
    ) -> SessionJoined:
        """Join as a new participant; with the host's token, as host. ``device_key`` (16 to 64
        letters, digits, ``_`` and ``-``) identifies this device to a ban; ``link_key`` is that of a
        JoinLink.
        """
        body: dict[str, object] = {"display_name": display_name}
        if avatar_color is not None:
            body["avatar_color"] = avatar_color
        if device_key is not None:
            body["device_key"] = device_key
        if link_key is not None:
            body["link_key"] = link_key
        answer = await self._call("POST", _path(session_id, "join"), body=body, token=host_token)
        return _decode(answer, SessionJoined)

    async def participants(
        self, session_id: str, *, link_key: str | None = None
    ) -> tuple[ParticipantView, ...]:
        """List the participants. ``link_key`` is that of a JoinLink."""
        answer = await self._call("GET", _path(session_id, "participants") + _query(link_key))
        return _decode(answer, ParticipantList).participants

    async def remove(self, session_id: str, user_id: str, token: str, *, ban: bool = False) -> None:
        """Leave, with the participant's own token. With the host's: remove a participant; ``ban``
        keeps their device and address from joining again.
        """
        path = _path(session_id, "participants", user_id) + ("?ban=true" if ban else "")
        await self._call("DELETE", path, token=token)

    async def become_host(self, session_id: str, host_key: str) -> HostToken:
        """Get a host's token for the key in a host's link (``host_key`` of a JoinLink)."""
        answer = await self._call("POST", _path(session_id, "host"), body={"host_key": host_key})
        return _decode(answer, HostToken)

    async def set_role(self, session_id: str, user_id: str, token: str, role: Role) -> None:
        """With a host's token: make a participant a host. With a host's own participant token and
        their own ``user_id``: step down, as ``participant``.
        """
        path = _path(session_id, "participants", user_id)
        await self._call("PATCH", path, body={"role": role}, token=token)

    async def lock(self, session_id: str, host_token: str, *, locked: bool) -> SessionDescription:
        """Lock the session, so that only hosts may join, or unlock it."""
        body: dict[str, object] = {"locked": locked}
        answer = await self._call("PATCH", _path(session_id), body=body, token=host_token)
        return _decode(answer, SessionDescription)

    async def replace_link(self, session_id: str, host_token: str) -> NewLink:
        """Make a new join link; nobody joins by the old one."""
        return _decode(
            await self._call("POST", _path(session_id, "link"), token=host_token), NewLink
        )

    async def end(self, session_id: str, host_token: str) -> None:
        """End the session."""
        await self._call("DELETE", _path(session_id), token=host_token)

    async def receipt(self, session_id: str, host_token: str) -> DeletionReceipt:
        """Whether the rows of a session are deleted; then with a signed receipt. The token of the
        host is good for this after the end too.
        """
        answer = await self._call("GET", _path(session_id, "receipt"), token=host_token)
        return _decode(answer, DeletionReceipt)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, object] | None = None,
        token: str | None = None,
    ) -> bytes:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        answer = await exchange(
            self._http, method, path, content=content, headers=headers, timeout=self._whole_s
        )
        return body_of(answer)


def body_of(answer: Answer) -> bytes:
    """The body of an answer that is no refusal. Raises ApiProblem, and Unreachable for a redirect:
    another server answers there than the one that was asked.
    """
    if answer.status >= 400:
        raise problem_of(answer.status, answer.headers, answer.body, ApiProblem)
    if answer.status >= 300:
        raise Unreachable(f"the answer is a redirect ({answer.status})")
    return answer.body


async def retry(
    call: Callable[[], Awaitable[T]], *, tries: int = 8, wait: float = 0.5, longest: float = 30.0
) -> T:
    """Repeat ``call()`` while the server is unreachable or answers "not now".

    Waits for ``Retry-After``, else ``wait`` seconds, doubled each time, at most ``longest``. Raises
    a final error at once, else the error of the last attempt.
    """
    for left in range(tries - 1, -1, -1):
        try:
            return await call()
        except ClientError as error:
            if not error.reconnect or not left:
                raise
            named = error.retry_after if isinstance(error, ApiProblem) else None
        await trio.sleep(min(wait if named is None else named, longest))
        wait *= 2
    raise ValueError("tries must be at least 1")


def _path(*parts: str) -> str:
    return "/".join(["/api/sessions", *(quote(part, safe="") for part in parts)])


def _query(link_key: str | None) -> str:
    return "" if link_key is None else f"?link_key={quote(link_key, safe='')}"


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # Not chained: the library's text may quote the body, which may hold a token.
        raise Unreachable("the answer is not one of a locshare server") from None
