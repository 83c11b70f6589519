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

from locshare.api.limits import ApiLimits
from locshare.api.messages import (
    DEFAULT_COLOR,
    ChangeSession,
    CreateSession,
    HostKey,
    JoinSession,
    T,
    clean_display_name,
    clean_name,
    decode,
)
from locshare.auth.tokens import Claims
from locshare.http.problems import FieldError, HttpProblem, ProblemCode
from locshare.http.types import JSON, Request, Response, json_response
from locshare.model.participant import ParticipantView, Role
from locshare.model.rate import KeyedRateLimiter
from locshare.net.client_address import ClientAddress
from locshare.session.errors import ParticipantNotFound
from locshare.session.origin import Origin
from locshare.store.port import ParticipantRecord, SessionRecord
from locshare.wire.answers import (
    HostToken,
    ParticipantList,
    SessionCreated,
    SessionDescription,
    SessionJoined,
    Success,
)


class SessionInfo(Protocol):
    """What a session tells of itself. ``creator_id`` is told to nobody but its host."""

    @property
    def id(self) -> UUID: ...
    @property
    def creator_id(self) -> UUID: ...
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
    @property
    def locked(self) -> bool: ...


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

    async def authorise(self, session_id: UUID, user_id: str) -> None:
        """Raises ParticipantNotFound when a token of ``user_id`` may do nothing (any more)."""
        ...

    async def join(
        self,
        session_id: UUID,
        *,
        display_name: str,
        avatar_color: str,
        role: Role,
        origin: Origin,
    ) -> ParticipantRecord:
        """A new participant. Raises SessionFull, SessionLocked, Banned."""
        ...

    async def set_locked(self, session_id: UUID, locked: bool) -> SessionInfo:
        """Whether others than the host may join."""
        ...

    async def participants(self, session_id: UUID) -> tuple[ParticipantView, ...]:
        """Who is in the session."""
        ...

    async def remove(self, session_id: UUID, user_id: str, *, ban: bool = False) -> None:
        """Raises ParticipantNotFound."""
        ...

    async def end(self, session_id: UUID) -> None:
        """End it, by its host's wish."""
        ...


class Tokens(Protocol):
    """What this door needs of :class:`locshare.auth.tokens.TokenKeys`."""

    def issue(self, *, session_id: UUID, user_id: str, role: Role, expires_at: datetime) -> str:
        """A token for one participant of one session."""
        ...

    def verify(self, token: str) -> Claims:
        """Raises TokenInvalid or TokenExpired."""
        ...

    def host_key(self, session_id: UUID) -> str:
        """What can be exchanged for a host token."""
        ...

    def is_host_key(self, session_id: UUID, key: str) -> bool:
        """Whether it is the one of this session."""
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
        self._creating = KeyedRateLimiter(limits.create, limits.addresses)
        self._joining = KeyedRateLimiter(limits.join, limits.addresses)
        self._asking = KeyedRateLimiter(limits.read, limits.addresses)

    async def create(self, request: Request) -> Response:
        """``POST /api/sessions``"""
        self._slow_down(self._creating, request)
        wish = await _body(request, CreateSession)
        session = await self._sessions.create(
            name=clean_name(wish.name), expires_in=timedelta(minutes=wish.expires_in_minutes)
        )
        link = f"{self._urls().http}/join/{session.id}"
        key = self._tokens.host_key(session.id)
        return json_response(
            SessionCreated(
                session_id=str(session.id),
                join_link=link,
                expires_at=session.expires_at,
                name=session.name,
                host_token=self._host_token(session.id, session.creator_id, session.expires_at),
                host_key=key,
                host_url=f"{link}#host={key}",
            ),
            201,
        )

    async def become_host(self, request: Request, session: str) -> Response:
        """``POST /api/sessions/{id}/host``"""
        self._slow_down(self._asking, request)
        session_id = _uuid(session)
        wish = await _body(request, HostKey)
        if not self._tokens.is_host_key(session_id, wish.host_key):
            raise HttpProblem(ProblemCode.FORBIDDEN, "the host key is not that of this session")
        info = await self._sessions.describe(session_id)
        if not info.is_active:
            raise HttpProblem(ProblemCode.SESSION_ENDED)
        token = self._host_token(session_id, info.creator_id, info.expires_at)
        return json_response(HostToken(token, info.expires_at))

    def _host_token(self, session_id: UUID, creator_id: UUID, expires_at: datetime) -> str:
        return self._tokens.issue(
            session_id=session_id, user_id=str(creator_id), role="host", expires_at=expires_at
        )

    async def describe(self, request: Request, session: str) -> Response:
        """``GET /api/sessions/{id}``"""
        self._slow_down(self._asking, request)
        return json_response(_description(await self._sessions.describe(_uuid(session))))

    async def change(self, request: Request, session: str) -> Response:
        """``PATCH /api/sessions/{id}``"""
        self._slow_down(self._asking, request)
        session_id = _uuid(session)
        await self._host_of(session_id, request)
        wish = await _body(request, ChangeSession)
        return json_response(_description(await self._sessions.set_locked(session_id, wish.locked)))

    async def join(self, request: Request, session: str) -> Response:
        """``POST /api/sessions/{id}/join``"""
        self._slow_down(self._joining, request)
        session_id = _uuid(session)
        role: Role = "participant"
        if request.headers(b"authorization"):
            await self._host_of(session_id, request)
            role = "host"
        wish = await _body(request, JoinSession)
        display_name = clean_display_name(wish.display_name)
        participant = await self._sessions.join(
            session_id,
            display_name=display_name,
            avatar_color=wish.avatar_color or DEFAULT_COLOR,
            role=role,
            origin=Origin.of(self._address(request), wish.device_key),
        )
        # Asked after, when it is in memory: before, each of the first fifty would read it anew.
        info = await self._sessions.describe(session_id)
        token = self._tokens.issue(
            session_id=session_id,
            user_id=participant.user_id,
            role=role,
            expires_at=info.expires_at,
        )
        return json_response(
            SessionJoined(
                participant.user_id, token, f"{self._urls().ws}/ws", participant.display_name
            ),
            201,
        )

    async def participants(self, request: Request, session: str) -> Response:
        """``GET /api/sessions/{id}/participants``"""
        self._slow_down(self._asking, request)
        return json_response(ParticipantList(await self._sessions.participants(_uuid(session))))

    async def remove(self, request: Request, session: str, user_id: str) -> Response:
        """``DELETE /api/sessions/{id}/participants/{user_id}``"""
        self._slow_down(self._asking, request)
        session_id = _uuid(session)
        claims = await self._claims_in(session_id, request, about=user_id)
        ban = _flag(request, "ban")
        if claims.role != "host" and (claims.user_id != user_id or ban):
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "only the host may remove someone else, or ban"
            )
        await self._sessions.remove(session_id, user_id, ban=ban)
        return json_response(Success())

    async def end(self, request: Request, session: str) -> Response:
        """``DELETE /api/sessions/{id}``"""
        self._slow_down(self._asking, request)
        session_id = _uuid(session)
        await self._host_of(session_id, request)
        await self._sessions.end(session_id)
        return json_response(Success())

    async def _host_of(self, session_id: UUID, request: Request) -> Claims:
        claims = await self._claims_in(session_id, request)
        if claims.role != "host":
            raise HttpProblem(ProblemCode.FORBIDDEN, "only the host may do this")
        return claims

    async def _claims_in(self, session_id: UUID, request: Request, about: str = "") -> Claims:
        """The claims of the request's token, which is of this session, and of its host or of
        somebody who is still in it. Every call that needs a token comes through here. Raises
        HttpProblem, and ParticipantNotFound for one who asks ``about`` themselves.
        """
        claims = self._tokens.verify(_bearer(request))
        if claims.session_id != session_id:
            raise HttpProblem(ProblemCode.FORBIDDEN, "the token is of another session")
        try:
            await self._sessions.authorise(session_id, claims.user_id)
        except ParticipantNotFound:
            if claims.user_id == about:
                raise
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "the token is of somebody who is no longer in the session"
            ) from None
        return claims

    def _slow_down(self, limiter: KeyedRateLimiter, request: Request) -> None:
        wait = limiter.take(self._address(request), trio.current_time())
        if wait > 0:
            raise HttpProblem(ProblemCode.RATE_LIMITED, retry_after=int(wait) + 1)

    def _address(self, request: Request) -> str:
        return self._addresses.of_request(
            request.client, request.headers(b"x-forwarded-for"), request.headers(b"forwarded")
        )


def _description(info: SessionInfo) -> SessionDescription:
    return SessionDescription(
        id=str(info.id),
        name=info.name,
        created_at=info.created_at,
        expires_at=info.expires_at,
        participant_count=info.participant_count,
        is_active=info.is_active,
        locked=info.locked,
    )


async def _body(request: Request, kind: type[T]) -> T:
    """The request's body. Raises HttpProblem, and what ``request.read`` raises."""
    content_type = request.header(b"content-type")
    if content_type and not _is_json(content_type):
        raise HttpProblem(ProblemCode.UNSUPPORTED_MEDIA_TYPE)
    if request.header(b"content-encoding", "identity").lower() != "identity":
        raise HttpProblem(ProblemCode.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed")
    body = await request.read()
    if body and not content_type:
        raise HttpProblem(ProblemCode.UNSUPPORTED_MEDIA_TYPE)
    return decode(body, kind)


def _flag(request: Request, name: str) -> bool:
    """A parameter of the query that is true or false; false when it is not there."""
    values = request.query(name)
    if not values or values == ["false"]:
        return False
    if values in (["true"], [""]):
        return True
    raise HttpProblem(
        ProblemCode.VALIDATION_FAILED, errors=(FieldError(name, "Expected `true` or `false`"),)
    )


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
    """The token that the request carries. Raises HttpProblem."""
    headers = request.headers(b"authorization")
    if not headers:
        raise HttpProblem(ProblemCode.TOKEN_MISSING)
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer":
        raise HttpProblem(ProblemCode.TOKEN_INVALID)
    return token.strip()


def _uuid(text: str) -> UUID:
    """The id in a path: 36 characters, as everywhere in this API."""
    try:
        session_id = UUID(text)
    except ValueError:
        raise HttpProblem(ProblemCode.INVALID_ID) from None
    if str(session_id) != text.lower():  # braces, urn:uuid: and missing hyphens
        raise HttpProblem(ProblemCode.INVALID_ID)
    return session_id
