"""The calls of the REST API (docs/reference/rest.md)."""

import random
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.peers.common.bodies import (
    DEFAULT_COLOR,
    NAME_CHARS,
    CreateSession,
    JoinSession,
    body_of,
    clean,
    clean_display_name,
)
from bench.peers.common.model import Found, Participant, Role, Session, Sessions, utc_now
from bench.peers.common.problems import Problem
from bench.peers.common.settings import Settings
from bench.peers.common.tokens import Claims, Tokens

ADJECTIVES = ("Amber", "Brave", "Calm", "Golden", "Quick", "Silver", "Swift", "Wild")
ANIMALS = ("Badger", "Crane", "Falcon", "Fox", "Heron", "Lynx", "Otter", "Raven")


class Calls:
    def __init__(self, sessions: Sessions, tokens: Tokens, settings: Settings) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._settings = settings

    def routes(self) -> list[Route]:
        """For the application."""
        one = "/api/sessions/{session}"
        return [
            Route("/api/sessions", self.create, methods=["POST"]),
            Route(one, self.one, methods=["GET", "DELETE"]),
            Route(f"{one}/join", self.join, methods=["POST"]),
            Route(f"{one}/participants", self.participants, methods=["GET"]),
            Route(f"{one}/participants/{{user}}", self.remove, methods=["DELETE"]),
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """``POST /api/sessions``"""
        wish = await body_of(request, CreateSession)
        now = utc_now()
        session = Session(
            id=str(uuid4()),
            name=clean("name", wish.name or "", NAME_CHARS) or friendly_name(),
            created_at=now,
            expires_at=now + timedelta(minutes=wish.expires_in_minutes),
        )
        await self._sessions.create(session)
        return answer(
            {
                "session_id": session.id,
                "join_link": f"{self._settings.http_url}/join/{session.id}",
                "expires_at": session.expires_at,
                "name": session.name,
                "host_token": self._tokens.issue(session, str(uuid4()), "host"),
            },
            201,
        )

    async def one(self, request: Request) -> Response:
        """``GET`` and ``DELETE /api/sessions/{id}``"""
        session_id = _session_id(request)
        if request.method == "DELETE":
            self._host_of(request, session_id)
            await self._sessions.end(session_id)
            return answer({"success": True})
        found = await self._sessions.find(session_id)
        return answer(
            {
                "id": session_id,
                "name": found.session.name,
                "created_at": found.session.created_at,
                "expires_at": found.session.expires_at,
                "participant_count": found.participants,
                "is_active": found.is_active,
            }
        )

    async def join(self, request: Request) -> Response:
        """``POST /api/sessions/{id}/join``"""
        session_id = _session_id(request)
        role: Role = "participant"
        if "authorization" in request.headers:
            self._host_of(request, session_id)
            role = "host"
        wish = await body_of(request, JoinSession)
        participant = Participant(
            user_id=str(uuid4()),
            display_name=clean_display_name(wish.display_name),
            avatar_color=wish.avatar_color or DEFAULT_COLOR,
            joined_at=utc_now(),
        )
        found = active(await self._sessions.find(session_id))
        await self._sessions.join(session_id, participant)
        return answer(
            {
                "user_id": participant.user_id,
                "websocket_token": self._tokens.issue(found.session, participant.user_id, role),
                "websocket_url": self._settings.ws_url,
            },
            201,
        )

    async def participants(self, request: Request) -> Response:
        """``GET /api/sessions/{id}/participants``"""
        views = await self._sessions.participants(_session_id(request))
        return answer({"participants": views})

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/sessions/{id}/participants/{user_id}``"""
        session_id, user_id = _session_id(request), request.path_params["user"]
        claims = self._claims(request, session_id)
        if claims.role != "host" and claims.user_id != user_id:
            raise Problem("FORBIDDEN", "only the host may remove someone else")
        await self._sessions.remove(session_id, user_id, "removed")
        return answer({"success": True})

    async def live(self, _: Request) -> Response:
        """``GET /health/live``"""
        return answer({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """``GET /health/ready``"""
        if await self._sessions.ready():
            return answer({"status": "ok", "checks": {"store": "ok"}})
        headers = {"Retry-After": "5"}
        return answer({"status": "unavailable", "checks": {"store": "failed"}}, 503, headers)

    def _host_of(self, request: Request, session_id: str) -> None:
        if self._claims(request, session_id).role != "host":
            raise Problem("FORBIDDEN", "only the host may do this")

    def _claims(self, request: Request, session_id: str) -> Claims:
        header = request.headers.get("authorization")
        if header is None:
            raise Problem("TOKEN_MISSING", "a token is needed: Authorization: Bearer …")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Problem("TOKEN_INVALID", "the token is not accepted")
        claims = self._tokens.verify(token.strip())
        if claims.session_id != session_id:
            raise Problem("FORBIDDEN", "the token is of another session")
        return claims


def active(found: Found) -> Found:
    """``found``, unless it has ended. Raises Problem."""
    if not found.is_active:
        raise Problem("SESSION_ENDED", "the session has ended")
    return found


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """``body`` as JSON."""
    return Response(
        msgspec.json.encode(body),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def friendly_name() -> str:
    """For a session without a name."""
    return f"{random.choice(ADJECTIVES)} {random.choice(ANIMALS)}"  # noqa: S311 - not a secret


def _session_id(request: Request) -> str:
    text: str = request.path_params["session"]
    try:
        session_id = str(UUID(text))
    except ValueError:
        session_id = ""
    if session_id != text.lower():
        raise Problem("INVALID_ID", "the session id is not a UUID")
    return session_id
