"""The calls by which positions come without a WebSocket: from watches, scripts and other apps.

Each checks the rate of the client's address, the token and the rate of its participant, translates
the body (:mod:`locshare.ingest`), and hands one position to the session, which decides about it as
about one from a WebSocket. Errors are raised; :mod:`locshare.api.errors` maps them to responses.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

import trio

from locshare.api.limits import ApiLimits
from locshare.api.report_codes import CodePort, ReportCredentials, VerifierPort
from locshare.api.report_setup import gpslogger_profile
from locshare.api.requests import (
    any_body,
    bearer_token,
    json_body,
    password_or_bearer,
    session_uuid,
)
from locshare.auth.tokens import Claims
from locshare.http.problems import HttpProblem, ProblemCode
from locshare.http.types import Request, Response, json_response, parse_parameters
from locshare.ingest import osmand, owntracks, plain
from locshare.ingest.osmand import OsmandReport
from locshare.model.position import LocatedMember, Position
from locshare.model.rate import KeyedRateLimiter
from locshare.session.errors import ParticipantNotFound
from locshare.wire.answers import Success


class ReportPort(CodePort, Protocol):
    """The part of :class:`locshare.session.manager.SessionManager` that ingest uses."""

    async def report(self, session_id: UUID, user_id: str, position: Position) -> None:
        """Take a position of a participant, who is online for a while after it. Raises
        ParticipantNotFound, SessionNotFound, SessionOver, SessionUnavailable, StoreUnavailable.
        """
        ...

    async def others(self, session_id: UUID, user_id: str) -> tuple[LocatedMember, ...]:
        """What a participant may see of the others. Raises as :meth:`report`."""
        ...


class IngestCalls:
    """The handlers. ``limit_address`` counts a call of the request's client address and returns
    it; it raises HttpProblem when there were too many. ``now`` is the wall clock, in UTC.
    """

    def __init__(
        self,
        sessions: ReportPort,
        tokens: VerifierPort,
        limits: ApiLimits,
        limit_address: Callable[[Request], str],
        now: Callable[[], datetime],
        base_url: Callable[[], str],
    ) -> None:
        self._sessions = sessions
        self._credentials = ReportCredentials(sessions, tokens, limits)
        self._base_url = base_url
        self._limit_address = limit_address
        self._now = now
        self._limiter = KeyedRateLimiter(limits.report, limits.reporters)

    async def positions(self, request: Request, session: str) -> Response:
        """``POST /api/sessions/{id}/positions``"""
        address = self._limit_address(request)
        session_id = session_uuid(session)
        claims = await self._credentials.claims(bearer_token(request), address)
        if claims.session_id != session_id:
            raise HttpProblem(ProblemCode.FORBIDDEN, "the token is of another session")
        self._limit(claims)
        body = await json_body(request)
        await self._report(claims, plain.newest_position(body, self._now()))
        return json_response(Success())

    async def osmand(self, request: Request) -> Response:
        """``GET`` and ``POST /api/osmand``. A ``HEAD``, with which link checkers and previews look
        at an address, reports nothing.
        """
        address = self._limit_address(request)
        if request.method == "HEAD":
            return json_response(Success())
        report = await _osmand_report(request)
        claims = await self._credentials.claims(_token(request, report.device), address)
        self._limit(claims)
        position = report.fix.position(self._now())
        if position is not None:  # else the app has no fix, and says only that it is there
            await self._report(claims, position)
        return json_response(Success())

    async def owntracks(self, request: Request) -> Response:
        """``POST /api/owntracks``"""
        address = self._limit_address(request)
        claims = await self._credentials.claims(password_or_bearer(request), address)
        self._limit(claims)
        fix = owntracks.from_json((await any_body(request)).strip())
        position = None if fix is None else fix.position(self._now())
        if position is None:
            return Response(200, b"[]")
        await self._report(claims, position)
        others = await self._sessions.others(claims.session_id, claims.user_id)
        return Response(200, owntracks.friends(others))

    async def gpslogger(self, request: Request, code: str) -> Response:
        """``GET /api/gpslogger/{code}/locshare.properties``"""
        address = self._limit_address(request)
        self._limit(await self._credentials.claims(code, address))
        profile = gpslogger_profile(self._base_url(), code)
        return Response(200, profile, "text/plain; charset=utf-8")

    def _limit(self, claims: Claims) -> None:
        wait = self._limiter.take(claims.user_id, trio.current_time())
        if wait > 0:
            raise HttpProblem(
                ProblemCode.RATE_LIMITED,
                "too many reports of this participant",
                retry_after=int(wait) + 1,
            )

    async def _report(self, claims: Claims, position: Position) -> None:
        try:
            await self._sessions.report(claims.session_id, claims.user_id, position)
        except ParticipantNotFound:
            raise HttpProblem(
                ProblemCode.FORBIDDEN, "the token is not of a participant of the session"
            ) from None


async def _osmand_report(request: Request) -> OsmandReport:
    """The report in a query, a form or a JSON body, whatever the app calls the type of the body.
    Raises HttpProblem, InvalidReport, TooManyParameters.
    """
    body = (await any_body(request)).strip()
    if body.startswith(b"{"):
        return osmand.from_json(body)
    return osmand.from_parameters([*request.query_pairs(), *parse_parameters(body)])


def _token(request: Request, device: str) -> str:
    """The token in the header; for apps that cannot set one, the ``device`` identifier. Raises
    HttpProblem.
    """
    if device and not request.headers(b"authorization"):
        return device
    return bearer_token(request)
