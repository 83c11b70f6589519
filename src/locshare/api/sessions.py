"""The calls about sessions and participants: check the rate, the path, the token and the body, then
call the session manager. Errors are raised; :mod:`locshare.api.errors` maps them to responses.

A handler holds nothing but its request between two awaits. A client that disconnects cancels its
handler, except in the fast router; the outcome of its create or join is then unknown.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import trio
from msgspec import UNSET, Struct, structs

from locshare.api.limits import ApiLimits
from locshare.api.messages import (
    DEFAULT_COLOR,
    ChangeParticipant,
    ChangeSession,
    CreateSession,
    HostKey,
    JoinSession,
    T,
    clean_display_name,
    clean_name,
    decode,
)
from locshare.api.qr import QrCodes
from locshare.api.report_codes import VerifierPort
from locshare.api.report_setup import link_of, report_setup
from locshare.api.requests import bearer_token, json_body, session_uuid
from locshare.auth.tokens import Claims
from locshare.http.problems import FieldError, HttpProblem, ProblemCode
from locshare.http.types import Request, Response, json_response
from locshare.model.join_link import link_segment, opens
from locshare.model.participant import ParticipantView, Role
from locshare.model.rate import KeyedRateLimiter
from locshare.net.client_address import ClientAddress
from locshare.session.errors import LinkReplaced, ParticipantNotFound, SessionOver
from locshare.session.manager import DeletionStatus, SessionInfo
from locshare.session.origin import Origin
from locshare.store.port import ParticipantRecord, SessionRecord
from locshare.wire.answers import (
    DeletionReceipt,
    HostToken,
    NewLink,
    ParticipantList,
    ReportSetup,
    RowCount,
    SessionCreated,
    SessionDescription,
    SessionJoined,
    Success,
)


class SessionPort(Protocol):
    """The part of :class:`locshare.session.manager.SessionManager` that the API uses.

    All raise StoreUnavailable and SessionUnavailable; those with an id SessionNotFound; those that
    need a live session SessionOver.
    """

    async def create(self, *, name: str | None, expires_in: timedelta) -> SessionRecord:
        """Create a session. Without a name it gets a friendly one."""
        ...

    async def describe(self, session_id: UUID) -> SessionInfo:
        """Describe a session, also one that has ended, until its retention is over."""
        ...

    async def deletion(self, session_id: UUID) -> DeletionStatus:
        """Whether the rows of a session are deleted."""
        ...

    async def authorise(self, session_id: UUID, user_id: str) -> Role:
        """The role that ``user_id`` has now. Raises ParticipantNotFound without one."""
        ...

    async def join(
        self,
        session_id: UUID,
        *,
        display_name: str,
        avatar_color: str,
        role: Role,
        origin: Origin,
        link_key: str,
    ) -> ParticipantRecord:
        """Add a participant. Raises SessionFull, SessionLocked, LinkReplaced, Banned,
        TooManyJoins.
        """
        ...

    async def participant(self, session_id: UUID, user_id: str) -> ParticipantRecord:
        """The row of a participant. Raises ParticipantNotFound."""
        ...

    async def set_locked(self, session_id: UUID, locked: bool) -> SessionInfo:
        """Set whether only the host may join."""
        ...

    async def replace_link(self, session_id: UUID) -> SessionInfo:
        """Give the session a new join link."""
        ...

    async def participants(self, session_id: UUID) -> tuple[ParticipantView, ...]:
        """The participants, connected or not."""
        ...

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        """Make a participant a host, or no longer one. Raises ParticipantNotFound, SessionFull."""
        ...

    async def remove(self, session_id: UUID, user_id: str, *, ban: bool = False) -> None:
        """Remove a participant. Raises ParticipantNotFound."""
        ...

    async def end(self, session_id: UUID) -> None:
        """End the session for its host."""
        ...


class ReceiptPort(Protocol):
    """Signs and lets in (:class:`locshare.auth.tokens.TokenKeys`)."""

    def verify_past(self, token: str) -> Claims:
        """The claims of a token, expired or not. Raises TokenInvalid."""
        ...

    def sign_receipt(self, facts: Mapping[str, Any]) -> str:
        """A receipt that says ``facts``."""
        ...


class TokenPort(VerifierPort, ReceiptPort, Protocol):
    """The part of :class:`locshare.auth.tokens.TokenKeys` that the API uses."""

    def issue(self, *, session_id: UUID, user_id: str, role: Role, expires_at: datetime) -> str:
        """A token for one participant of one session."""
        ...

    def report_code(self, participant_id: UUID) -> str:
        """What stands for a participant's token in reports."""
        ...

    def host_key(self, session_id: UUID) -> str:
        """A key that the host can exchange for a token."""
        ...

    def is_host_key(self, session_id: UUID, key: str) -> bool:
        """Whether ``key`` is the host key of this session."""
        ...


class PublicUrls(Struct, frozen=True):
    """How clients reach the server, without a slash at the end: ``https://…`` and ``wss://…``."""

    http: str
    ws: str


class SessionCalls:
    """The handlers. ``urls`` is called per request, because a chosen port is known late."""

    def __init__(
        self,
        sessions: SessionPort,
        tokens: TokenPort,
        limits: ApiLimits,
        urls: Callable[[], PublicUrls],
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._urls = urls
        self._addresses = ClientAddress(limits.trusted_proxies, limits.forwarded_header)
        self._qr_codes = QrCodes(limits)
        self._create_limiter = KeyedRateLimiter(limits.create, limits.addresses)
        self._join_limiter = KeyedRateLimiter(limits.join, limits.addresses)
        self._read_limiter = KeyedRateLimiter(limits.read, limits.addresses)
        self._link_limiter = KeyedRateLimiter(limits.new_links, limits.addresses)

    async def create(self, request: Request) -> Response:
        """``POST /api/sessions``"""
        self._limit(self._create_limiter, request)
        body = await _body(request, CreateSession)
        session = await self._sessions.create(
            name=clean_name(body.name), expires_in=timedelta(minutes=body.expires_in_minutes)
        )
        link = self._link(session.id)
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
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        body = await _body(request, HostKey)
        if not self._tokens.is_host_key(session_id, body.host_key):
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
        self._limit(self._read_limiter, request)
        info = await self._sessions.describe(session_uuid(session))
        await self._check_link(info, request)
        return json_response(_description(info))

    async def change(self, request: Request, session: str) -> Response:
        """``PATCH /api/sessions/{id}``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        await self._host_of(session_id, request)
        body = await _body(request, ChangeSession)
        return json_response(_description(await self._sessions.set_locked(session_id, body.locked)))

    async def join(self, request: Request, session: str) -> Response:
        """``POST /api/sessions/{id}/join``"""
        self._limit(self._join_limiter, request)
        session_id = session_uuid(session)
        role: Role = "participant"
        if request.headers(b"authorization"):
            await self._host_of(session_id, request)
            role = "host"
        body = await _body(request, JoinSession)
        display_name = clean_display_name(body.display_name)
        participant = await self._sessions.join(
            session_id,
            display_name=display_name,
            avatar_color=body.avatar_color or DEFAULT_COLOR,
            role=role,
            origin=Origin.of(self._address(request), body.device_key),
            link_key=body.link_key or "",
        )
        # After the join, which loads the session: before it, each of the first fifty would read the
        # store.
        info = await self._sessions.describe(session_id)
        token = self._tokens.issue(
            session_id=session_id,
            user_id=participant.user_id,
            role=role,
            expires_at=info.expires_at,
        )
        return json_response(
            SessionJoined(
                participant.user_id,
                token,
                f"{self._urls().ws}/ws",
                participant.display_name,
                self._setup_of(participant),
            ),
            201,
        )

    def _setup_of(self, participant: ParticipantRecord) -> ReportSetup:
        return report_setup(
            self._urls().http,
            participant.session_id,
            participant.user_id,
            participant.display_name,
            self._tokens.report_code(participant.id),
        )

    async def setup(self, request: Request, session: str) -> Response:
        """``GET /api/sessions/{id}/setup``"""
        return json_response(await self._own_setup(request, session))

    async def setup_qr(self, request: Request, session: str, app: str) -> Response:
        """``GET /api/sessions/{id}/setup/{app}.svg``"""
        link = link_of(await self._own_setup(request, session), app)
        if link is None:
            raise HttpProblem(ProblemCode.NOT_FOUND)
        return await self._qr_codes.response(link, self._address(request))

    async def _own_setup(self, request: Request, session: str) -> ReportSetup:
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        claims = await self._claims_in(session_id, request)
        try:
            return self._setup_of(await self._sessions.participant(session_id, claims.user_id))
        except ParticipantNotFound:
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "the token is not of a participant of the session"
            ) from None

    async def link_qr(self, request: Request, session: str) -> Response:
        """``GET /api/sessions/{id}/link.svg``"""
        address = self._limit(self._read_limiter, request)
        info = await self._sessions.describe(session_uuid(session))
        await self._check_link(info, request)
        return await self._qr_codes.response(self._link(info.id, info.link_key), address)

    async def replace_link(self, request: Request, session: str) -> Response:
        """``POST /api/sessions/{id}/link``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        await self._host_of(session_id, request)
        wait = self._link_limiter.take(session_id, trio.current_time())
        if wait > 0:
            raise HttpProblem(
                ProblemCode.RATE_LIMITED,
                "too many new links of this session",
                retry_after=int(wait) + 1,
            )
        info = await self._sessions.replace_link(session_id)
        return json_response(NewLink(self._link(session_id, info.link_key), info.link_key))

    def _link(self, session_id: UUID, link_key: str = "") -> str:
        return f"{self._urls().http}/join/{link_segment(session_id, link_key)}"

    async def _check_link(self, info: SessionInfo, request: Request) -> None:
        """Return if the request has the key of the session's link or, where that has been replaced,
        a token of the session. Whoever reads about a session calls this. Raises as
        :meth:`_claims_in`, SessionOver and LinkReplaced.
        """
        if opens(info.link_key, next(iter(request.query("link_key")), "")):
            return
        if request.headers(b"authorization"):
            await self._claims_in(info.id, request)
        elif not info.is_active:
            raise SessionOver
        else:
            raise LinkReplaced

    async def participants(self, request: Request, session: str) -> Response:
        """``GET /api/sessions/{id}/participants``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        await self._check_link(await self._sessions.describe(session_id), request)
        return json_response(ParticipantList(await self._sessions.participants(session_id)))

    async def remove(self, request: Request, session: str, user_id: str) -> Response:
        """``DELETE /api/sessions/{id}/participants/{user_id}``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        claims = await self._claims_in(session_id, request, about=user_id)
        ban = _flag(request, "ban")
        if claims.role != "host" and (claims.user_id != user_id or ban):
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "only the host may remove someone else, or ban"
            )
        await self._sessions.remove(session_id, user_id, ban=ban)
        return json_response(Success())

    async def change_participant(self, request: Request, session: str, user_id: str) -> Response:
        """``PATCH /api/sessions/{id}/participants/{user_id}``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        claims = await self._host_of(session_id, request)
        body = await _body(request, ChangeParticipant)
        if body.role != "host" and claims.user_id != user_id:
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "a host may step down, but take the role from nobody else"
            )
        await self._sessions.set_role(session_id, user_id, body.role)
        return json_response(Success())

    async def end(self, request: Request, session: str) -> Response:
        """``DELETE /api/sessions/{id}``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        await self._host_of(session_id, request)
        await self._sessions.end(session_id)
        return json_response(Success())

    async def receipt(self, request: Request, session: str) -> Response:
        """``GET /api/sessions/{id}/receipt``"""
        self._limit(self._read_limiter, request)
        session_id = session_uuid(session)
        claims = self._tokens.verify_past(bearer_token(request))
        if claims.session_id != session_id or claims.role != "host":
            raise HttpProblem(ProblemCode.FORBIDDEN, "only the host of the session may do this")
        return json_response(
            deletion_receipt(await self._sessions.deletion(session_id), self._tokens)
        )

    async def _host_of(self, session_id: UUID, request: Request) -> Claims:
        claims = await self._claims_in(session_id, request)
        if claims.role != "host":
            raise HttpProblem(ProblemCode.FORBIDDEN, "only the host may do this")
        return claims

    async def _claims_in(self, session_id: UUID, request: Request, about: str = "") -> Claims:
        """The claims of the request's token, which belongs to this session, and to its host or a
        present participant, with the role of now. Every call that needs a token calls this. Raises
        HttpProblem; and ParticipantNotFound when the token's owner is the participant ``about``
        whom the call is.
        """
        claims = self._tokens.verify(bearer_token(request))
        if claims.session_id != session_id:
            raise HttpProblem(ProblemCode.FORBIDDEN, "the token is of another session")
        try:
            role = await self._sessions.authorise(session_id, claims.user_id)
        except ParticipantNotFound:
            if claims.user_id == about:
                raise
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "the token is of somebody who is no longer in the session"
            ) from None
        return structs.replace(claims, role=role)

    def limit_address(self, request: Request) -> str:
        """Count a call that is neither a creation nor a join, of the client's address, which is
        returned. Raises HttpProblem.
        """
        return self._limit(self._read_limiter, request)

    def _limit(self, limiter: KeyedRateLimiter, request: Request) -> str:
        address = self._address(request)
        wait = limiter.take(address, trio.current_time())
        if wait > 0:
            raise HttpProblem(ProblemCode.RATE_LIMITED, retry_after=int(wait) + 1)
        return address

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
        link_key=info.link_key or UNSET,
    )


def deletion_receipt(status: DeletionStatus, tokens: ReceiptPort) -> DeletionReceipt:
    """The answer about ``status``, with a signed receipt once the rows are deleted."""
    rows = RowCount(1, status.participants)
    if status.deleted_at is None:
        return DeletionReceipt("stored", status.session_hash, rows, status.at)
    facts = {
        "session_sha256": status.session_hash,
        "ended_at": None if status.ended_at is None else status.ended_at.isoformat(),
        "deleted_at": status.deleted_at.isoformat(),
        "rows_deleted": {"sessions": 1, "participants": status.participants},
        "rows_left": 0,
    }
    return DeletionReceipt(
        "deleted",
        status.session_hash,
        rows,
        status.at,
        status.ended_at,
        status.deleted_at,
        tokens.sign_receipt(facts),
    )


async def _body(request: Request, kind: type[T]) -> T:
    """The request's body as a ``kind``. Raises HttpProblem and the errors of ``request.read``."""
    return decode(await json_body(request), kind)


def _flag(request: Request, name: str) -> bool:
    """A parameter of the query, ``true`` or ``false``; without one, false. Raises HttpProblem."""
    values = request.query(name)
    if not values or values == ["false"]:
        return False
    if values in (["true"], [""]):
        return True
    raise HttpProblem(
        ProblemCode.VALIDATION_FAILED, errors=(FieldError(name, "Expected `true` or `false`"),)
    )
