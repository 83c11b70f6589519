"""The API over a fake session manager: its surface and its errors."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import trio
from msgspec import structs
from prometheus_client import CollectorRegistry

from locshare.api import ApiLimits, PublicUrls, RestApplication, create_app
from locshare.auth.tokens import TokenKeys
from locshare.model.join_link import opens
from locshare.model.participant import ParticipantView, Role
from locshare.model.position import LocatedMember, Position
from locshare.session.errors import (
    Banned,
    LinkReplaced,
    ParticipantNotFound,
    SessionFull,
    SessionLocked,
    SessionNotFound,
    SessionOver,
)
from locshare.session.manager import DeletionStatus, SessionInfo
from locshare.session.origin import Origin
from locshare.store.port import FoundParticipant, ParticipantRecord, SessionRecord, hash_of
from locshare.telemetry.metrics import new_registry

SECRET = b"test secret, test secret, test secret"
URLS = PublicUrls("https://where.example", "wss://live.where.example")


class FakeSessions:
    """Every call waits for ``gate`` and raises ``failure``, where they are set."""

    def __init__(self, limit: int = 50) -> None:
        self.limit = limit
        self.failure: Exception | None = None
        self.gate: trio.Event | None = None
        self.roles: dict[str, Role] = {}
        self.origins: list[Origin] = []
        self.look_ups = 0
        self.links = 0
        self.deleted: dict[UUID, datetime] = {}
        self.banned: list[Origin] = []
        self.reports: list[tuple[str, Position]] = []
        self._sessions: dict[UUID, SessionRecord] = {}
        self._participants: dict[UUID, dict[str, ParticipantRecord]] = {}

    async def _answering(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure

    def _known(self, session_id: UUID) -> SessionRecord:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFound from None

    def _live(self, session_id: UUID) -> SessionRecord:
        session = self._known(session_id)
        if not session.is_active:
            raise SessionOver
        return session

    async def create(self, *, name: str | None, expires_in: timedelta) -> SessionRecord:
        await self._answering()
        now = datetime.now(UTC)
        session = SessionRecord(
            uuid4(), name or "Amber Falcon", now, now + expires_in, uuid4(), True, now
        )
        self._sessions[session.id] = session
        self._participants[session.id] = {}
        return session

    async def describe(self, session_id: UUID) -> SessionInfo:
        await self._answering()
        session = self._known(session_id)
        return SessionInfo(
            session.id,
            session.name,
            session.created_at,
            session.expires_at,
            len(self._participants[session_id]),
            session.is_active,
            session.locked,
            session.creator_id,
            session.link_key,
        )

    async def deletion(self, session_id: UUID) -> DeletionStatus:
        await self._answering()
        name = hash_of(session_id)
        if session_id in self.deleted:
            moment = self.deleted[session_id]
            return DeletionStatus(name, 2, moment, moment, moment + timedelta(days=30))
        session = self._known(session_id)
        people = len(self._participants[session_id])
        return DeletionStatus(name, people, None, None, session.expires_at)

    async def authorise(self, session_id: UUID, user_id: str) -> Role:
        await self._answering()
        session = self._live(session_id)
        if user_id in self._participants[session_id]:
            return self.roles[user_id]
        if user_id != str(session.creator_id):
            raise ParticipantNotFound
        return "host"

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        await self._answering()
        if user_id not in self._participants[session_id]:
            raise ParticipantNotFound
        self.roles[user_id] = role

    async def set_locked(self, session_id: UUID, locked: bool) -> SessionInfo:
        session = self._live(session_id)
        self._sessions[session_id] = structs.replace(session, locked=locked)
        return await self.describe(session_id)

    async def replace_link(self, session_id: UUID) -> SessionInfo:
        session = self._live(session_id)
        self.links += 1
        key = f"{self.links:a>24}".translate(str.maketrans("0189", "wxyz"))
        self._sessions[session_id] = structs.replace(session, link_key=key)
        return await self.describe(session_id)

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
        await self._answering()
        if self._live(session_id).locked and role != "host":
            raise SessionLocked
        if role != "host" and not opens(self._live(session_id).link_key, link_key):
            raise LinkReplaced
        if origin in self.banned:
            raise Banned
        self.origins.append(origin)
        members = self._participants[session_id]
        if len(members) >= self.limit:
            raise SessionFull(self.limit)
        now = datetime.now(UTC)
        participant = ParticipantRecord(
            uuid4(), session_id, str(uuid4()), display_name, avatar_color, now, now, True
        )
        members[participant.user_id] = participant
        self.roles[participant.user_id] = role
        return participant

    async def participant(self, session_id: UUID, user_id: str) -> ParticipantRecord:
        await self._answering()
        self._live(session_id)
        try:
            return self._participants[session_id][user_id]
        except KeyError:
            raise ParticipantNotFound from None

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        await self._answering()
        self.look_ups += 1
        return tuple(
            FoundParticipant(
                each.id, session, each.user_id, each.role, self._sessions[session].expires_at
            )
            for session, people in self._participants.items()
            for each in people.values()
            if first <= each.id <= last
        )

    async def participants(self, session_id: UUID) -> tuple[ParticipantView, ...]:
        await self._answering()
        self._live(session_id)
        return tuple(
            ParticipantView(
                p.user_id, p.display_name, p.avatar_color, p.joined_at, p.last_seen, True, False
            )
            for p in self._participants[session_id].values()
        )

    async def report(self, session_id: UUID, user_id: str, position: Position) -> None:
        await self._answering()
        self._live(session_id)
        if user_id not in self._participants[session_id]:
            raise ParticipantNotFound
        self.reports.append((user_id, position))

    async def others(self, session_id: UUID, user_id: str) -> tuple[LocatedMember, ...]:
        await self._answering()
        where = dict(self.reports)
        return tuple(
            LocatedMember(each.user_id, each.display_name, at, at.timestamp)
            if (at := where.get(each.user_id))
            else LocatedMember(each.user_id, each.display_name)
            for each in self._participants[session_id].values()
            if each.user_id != user_id
        )

    async def remove(self, session_id: UUID, user_id: str, *, ban: bool = False) -> None:
        await self._answering()
        self._live(session_id)
        if ban:
            self.banned.append(self.origins[-1])
        if self._participants[session_id].pop(user_id, None) is None:
            raise ParticipantNotFound

    async def end(self, session_id: UUID) -> None:
        await self._answering()
        self._sessions[session_id] = structs.replace(self._live(session_id), is_active=False)


@pytest.fixture
def manager() -> FakeSessions:
    return FakeSessions()


@pytest.fixture
def tokens() -> TokenKeys:
    return TokenKeys(SECRET)


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


MakeApp = Callable[..., RestApplication]


@pytest.fixture
def make_app(manager: FakeSessions, tokens: TokenKeys, registry: CollectorRegistry) -> MakeApp:
    def make(**options: Any) -> RestApplication:
        options.setdefault("limits", ApiLimits())
        return create_app(manager, tokens, urls=lambda: URLS, registry=registry, **options)

    return make


def client_of(app: Any, address: str = "203.0.113.7", **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://test", **options)


@pytest.fixture
async def client(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app()) as client:
        yield client


class Api:
    """Calls that must succeed."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def create(self, **body: Any) -> dict[str, Any]:
        answer = await self.client.post("/api/sessions", json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def join(self, session_id: str, name: str = "Ada", **options: Any) -> dict[str, Any]:
        answer = await self.client.post(
            f"/api/sessions/{session_id}/join", json={"display_name": name}, **options
        )
        assert answer.status_code == 201, answer.text
        joined: dict[str, Any] = answer.json()
        return joined


@pytest.fixture
def api(client: httpx.AsyncClient) -> Api:
    return Api(client)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that ``answer`` is a complete problem with this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    return problem
