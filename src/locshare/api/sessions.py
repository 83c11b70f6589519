"""The calls about sessions and participants. Each is: check the path, the token, the rate, the
body, ask the session manager, answer. What can go wrong is raised, and answered in one place
(:mod:`locshare.api.app`).

Between any two awaits nothing is held but the request itself; a client that goes away cancels its
handler, and a create or join that was under way may then have happened or not.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import trio
from msgspec import Struct
from werkzeug.http import parse_options_header

from locshare.api.exchange import JSON, Answer, Request, reply
from locshare.api.limits import ApiLimits, RateLimiter
from locshare.api.messages import (
    DEFAULT_COLOR,
    CreateSession,
    JoinSession,
    T,
    clean_display_name,
    clean_name,
    decode,
)
from locshare.api.problems import Code, Problem
from locshare.auth import Claims
from locshare.client_address import ClientAddress
from locshare.store.port import ParticipantRecord, SessionRecord
from locshare.wire.answers import (
    ParticipantList,
    SessionCreated,
    SessionDescription,
    SessionJoined,
    Success,
)
from locshare.wire.messages import ParticipantView, Role


class SessionInfo(Protocol):
    """What a session tells of itself."""

    @property
    def id(self) -> UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def participant_count(self) -> int: ...
    @property
    def is_active(self) -> bool: ...


class Sessions(Protocol):
    """What this door needs of :class:`locshare.session.manager.SessionManager`.

    All raise StoreUnavailable and SessionUnavailable; those with an id SessionNotFound; those that
    need a live session SessionOver.
    """

    async def create(self, *, name: str | None, expires_in: timedelta) -> SessionRecord:
        """A new session; without a name it gets a friendly one."""
        ...

    async def describe(self, session_id: UUID) -> SessionInfo:
        """Also of a session that has ended, as long as it is remembered."""
        ...

    async def join(
        self, session_id: UUID, *, display_name: str, avatar_color: str, role: Role
    ) -> ParticipantRecord:
        """A new participant. Raises SessionFull."""
        ...

    async def participants(self, session_id: UUID) -> tuple[ParticipantView, ...]:
        """Who is in the session."""
        ...

    async def remove(self, session_id: UUID, user_id: str) -> None:
        """Raises ParticipantNotFound."""
        ...

    async def end(self, session_id: UUID) -> None:
        """End it, by its host's wish."""
        ...


class Tokens(Protocol):
    """What this door needs of :class:`locshare.auth.TokenKeys`."""

    def issue(self, *, session_id: UUID, user_id: str, role: Role, expires_at: datetime) -> str:
        """A token for one participant of one session."""
        ...

    def verify(self, token: str) -> Claims:
        """Raises TokenInvalid or TokenExpired."""
        ...


class PublicUrls(Struct, frozen=True):
    """How clients reach the server, without a slash at the end: ``https://…`` and ``wss://…``."""

    http: str
    ws: str


class SessionCalls:
    """The handlers. ``urls`` is asked per call, since a chosen port is known late."""

    def __init__(
        self,
        sessions: Sessions,
        tokens: Tokens,
        limits: ApiLimits,
        urls: Callable[[], PublicUrls],
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._urls = urls
        self._addresses = ClientAddress(limits.trusted_proxies, limits.forwarded_header)
        self._creating = RateLimiter(limits.create, limits.addresses)
        self._joining = RateLimiter(limits.join, limits.addresses)
        self._asking = RateLimiter(limits.read, limits.addresses)

    async def create(self, request: Request) -> Answer:
        """``POST /api/sessions``"""
        self._slow_down(self._creating, request)
        wish = await _body(request, CreateSession)
        session = await self._sessions.create(
            name=clean_name(wish.name), expires_in=timedelta(minutes=wish.expires_in_minutes)
        )
        host_token = self._tokens.issue(
            session_id=session.id,
            user_id=str(session.creator_id),
            role="host",
            expires_at=session.expires_at,
        )
        return reply(
            SessionCreated(
                session_id=str(session.id),
                join_link=f"{self._urls().http}/join/{session.id}",
                expires_at=session.expires_at,
                name=session.name,
                host_token=host_token,
            ),
            201,
        )

    async def describe(self, request: Request, session: str) -> Answer:
        """``GET /api/sessions/{id}``"""
        self._slow_down(self._asking, request)
        info = await self._sessions.describe(_uuid(session))
        return reply(
            SessionDescription(
                id=str(info.id),
                name=info.name,
                created_at=info.created_at,
                expires_at=info.expires_at,
                participant_count=info.participant_count,
                is_active=info.is_active,
            )
        )

    async def join(self, request: Request, session: str) -> Answer:
        """``POST /api/sessions/{id}/join``"""
        self._slow_down(self._joining, request)
        session_id = _uuid(session)
        role: Role = "participant"
        if request.headers(b"authorization"):
            self._host_of(session_id, request)
            role = "host"
        wish = await _body(request, JoinSession)
        display_name = clean_display_name(wish.display_name)
        participant = await self._sessions.join(
            session_id,
            display_name=display_name,
            avatar_color=wish.avatar_color or DEFAULT_COLOR,
            role=role,
        )
        # Asked after, when it is in memory: before, each of the first fifty would read it anew.
        info = await self._sessions.describe(session_id)
        token = self._tokens.issue(
            session_id=session_id,
            user_id=participant.user_id,
            role=role,
            expires_at=info.expires_at,
        )
        return reply(SessionJoined(participant.user_id, token, f"{self._urls().ws}/ws"), 201)

    async def participants(self, request: Request, session: str) -> Answer:
        """``GET /api/sessions/{id}/participants``"""
        self._slow_down(self._asking, request)
        return reply(ParticipantList(await self._sessions.participants(_uuid(session))))

    async def remove(self, request: Request, session: str, user_id: str) -> Answer:
        """``DELETE /api/sessions/{id}/participants/{user_id}``"""
        self._slow_down(self._asking, request)
        session_id = _uuid(session)
        claims = self._claims_in(session_id, request)
        if claims.role != "host" and claims.user_id != user_id:
            raise Problem(Code.FORBIDDEN, "only the host may remove someone else")
        await self._sessions.remove(session_id, user_id)
        return reply(Success())

    async def end(self, request: Request, session: str) -> Answer:
        """``DELETE /api/sessions/{id}``"""
        self._slow_down(self._asking, request)
        session_id = _uuid(session)
        self._host_of(session_id, request)
        await self._sessions.end(session_id)
        return reply(Success())

    def _host_of(self, session_id: UUID, request: Request) -> Claims:
        claims = self._claims_in(session_id, request)
        if claims.role != "host":
            raise Problem(Code.FORBIDDEN, "only the host may do this")
        return claims

    def _claims_in(self, session_id: UUID, request: Request) -> Claims:
        """The claims of the request's token, which is one of this session."""
        claims = self._tokens.verify(_bearer(request))
        if claims.session_id != session_id:
            raise Problem(Code.FORBIDDEN, "the token is of another session")
        return claims

    def _slow_down(self, limiter: RateLimiter, request: Request) -> None:
        key = self._addresses.of_request(
            request.client, request.headers(b"x-forwarded-for"), request.headers(b"forwarded")
        )
        wait = limiter.take(key, trio.current_time())
        if wait > 0:
            raise Problem(Code.RATE_LIMITED, retry_after=int(wait) + 1)


async def _body(request: Request, kind: type[T]) -> T:
    """The request's body. Raises Problem, and what ``request.read`` raises."""
    content_type = request.header(b"content-type")
    if content_type and not _is_json(content_type):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE)
    if request.header(b"content-encoding", "identity").lower() != "identity":
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed")
    body = await request.read()
    if body and not content_type:
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE)
    return decode(body, kind)


def _is_json(content_type: str) -> bool:
    """JSON, by whatever name, in UTF-8."""
    if content_type == JSON:  # nearly always
        return True
    mimetype, options = parse_options_header(content_type)
    mimetype = mimetype.lower()
    return (
        mimetype == JSON or (mimetype.startswith("application/") and mimetype.endswith("+json"))
    ) and options.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def _bearer(request: Request) -> str:
    """The token that the request carries. Raises Problem."""
    headers = request.headers(b"authorization")
    if not headers:
        raise Problem(Code.TOKEN_MISSING)
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Problem(Code.TOKEN_INVALID)
    return token.strip()


def _uuid(text: str) -> UUID:
    """The id in a path: 36 characters, as everywhere in this API."""
    try:
        session_id = UUID(text)
    except ValueError:
        raise Problem(Code.INVALID_ID) from None
    if str(session_id) != text.lower():  # braces, urn:uuid: and missing hyphens
        raise Problem(Code.INVALID_ID)
    return session_id
