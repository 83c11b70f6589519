"""A session manager over a store in memory, real supervisors and actors, and phones that note what
they are sent."""

import json
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import trio
import trio.testing
from msgspec import Struct

from locshare.actors import ActorRef, Registry
from locshare.actors.testing import settle
from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.participant import PresenceState, Role
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.session.commands import AttachOptions
from locshare.session.directory.directory import SESSIONS
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.registry import FEATURES
from locshare.session.limits import SessionLimits
from locshare.session.link import SessionLink
from locshare.session.manager import SessionManager
from locshare.session.origin import NOWHERE, Origin
from locshare.session.table import SessionTable
from locshare.supervisor import (
    DynamicSpec,
    Report,
    SupervisorRef,
    SupervisorSpec,
    TaskSpec,
    open_supervisor,
)
from locshare.wire.dialects import Dialect
from locshare.wire.plain import PLAIN
from tests.broadcast.wire_kit import parse
from tests.doubles import MemoryStore

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def position(lat: float = 52.5, lng: float = 13.4) -> Position:
    return Position(lat, lng, 5.0, START)


def messages_in(frames: bytes) -> list[dict[str, Any]]:
    """The messages of finished, unmasked text frames."""
    found = parse(frames)
    assert all(first == 0x81 for first, _ in found)
    return [json.loads(payload) for _, payload in found]


def unnumbered(messages: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of each message, without the numbers of events."""
    return [
        (each["type"], {name: value for name, value in each["data"].items() if name != "seq"})
        for each in messages
    ]


class Phone:
    """A receiver that keeps what it was sent."""

    def __init__(self, user_id: str, dialect: Dialect = PLAIN) -> None:
        self.user_id = user_id
        self.dialect = dialect
        self.reason: CloseReason | None = None
        self.messages: list[dict[str, Any]] = []
        self.flushes = 0

    @property
    def closed(self) -> bool:
        return self.reason is not None

    @property
    def backlog_bytes(self) -> int:
        return 0

    def send_event(self, frame: bytes) -> None:
        if not self.closed:
            self.messages += messages_in(frame)

    def send_positions(self, flush: Flush) -> None:
        if not self.closed:
            self.flushes += 1
            self.messages += messages_in(flush.without(self.user_id))

    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        fan.add(entry or self, None)

    def send_rest(self, flush: Flush, sent: int) -> None:
        raise AssertionError("it has no socket")

    def close(self, reason: CloseReason) -> None:
        self.reason = self.reason or reason

    # What a test asks.

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The data of its messages of one type, without the numbers of events."""
        return [data for found, data in unnumbered(self.messages) if found == kind]

    @property
    def snapshot(self) -> dict[str, Any]:
        (only,) = (each for each in self.messages if each["type"] == "session_state")
        data: dict[str, Any] = only["data"]
        return data

    @property
    def events(self) -> list[tuple[int, str]]:
        """The number and the type of each event, in order."""
        return [
            (each["data"]["seq"], each["type"])
            for each in self.messages
            if "seq" in each["data"] and each["type"] != "session_state"
        ]

    def heard(self) -> list[tuple[str, float]]:
        """Who was where, in order."""
        return [(data["user_id"], data["lat"]) for data in self.all("location_update")]


class Clock:
    """The wall clock, which goes with Trio's unless it is set."""

    def __init__(self) -> None:
        self.offset = START.timestamp() - trio.current_time()

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(trio.current_time() + self.offset, UTC)

    def set_by(self, seconds: float) -> None:
        self.offset += seconds


class Someone(Struct):
    """A participant with a phone in hand."""

    user_id: str
    link: SessionLink
    phone: Phone
    epoch: str = ""


class House:
    """Everything that sessions need, running."""

    def __init__(self, limits: SessionLimits, features: FeatureSet = FEATURES) -> None:
        self.limits = limits
        self.store = MemoryStore()
        self.names: Registry[Hashable] = Registry()
        self.clock = Clock()
        self.window = 0.0
        self.worth = 0.0  # deliveries per second from which on a session has the window
        self.reports: list[Report] = []
        self.manager = SessionManager(
            self.store,
            self.names,
            limits,
            window=lambda _now, deliveries: self.window if deliveries >= self.worth else 0.0,
            now=self.clock,
            report=self.reports.append,
            features=features,
        )
        self.root: SupervisorRef

    async def session(self, expires_in: timedelta = HOUR) -> UUID:
        return (await self.manager.create(name="Amber Falcon", expires_in=expires_in)).id

    async def wake(self, session_id: UUID) -> None:
        """Have it in memory."""
        async with self.manager.lifecycle.using(session_id):
            pass

    async def join(
        self,
        session_id: UUID,
        name: str = "Ada",
        role: Role = "participant",
        origin: Origin = NOWHERE,
        link_key: str = "",
    ) -> str:
        record = await self.manager.join(
            session_id,
            display_name=name,
            avatar_color="#112233",
            role=role,
            origin=origin,
            link_key=link_key,
        )
        return record.user_id

    async def connect(
        self,
        session_id: UUID,
        user_id: str,
        resume: str | None = None,
        pace: float = 0.0,
        state: PresenceState = "active",
        dialect: Dialect = PLAIN,
    ) -> Someone:
        link = await self.manager.open(session_id, user_id)
        phone = Phone(user_id, dialect)
        await link.attach(phone, AttachOptions(resume, pace, state))
        return Someone(user_id, link, phone, phone.snapshot["epoch"])

    async def someone(self, session_id: UUID, name: str = "Ada") -> Someone:
        """Join and connect."""
        return await self.connect(session_id, await self.join(session_id, name))

    async def group(self, *names: str) -> tuple[UUID, list[Someone]]:
        """A session in which all of them are connected and have nothing left to read."""
        session_id = await self.session()
        people = [await self.someone(session_id, name) for name in names]
        await settle()
        for each in people:
            each.phone.messages.clear()
            each.phone.flushes = 0
        return session_id, people

    def table(self, session_id: UUID) -> SessionTable:
        return self.manager.directory._tables[session_id]

    def actor(self, session_id: UUID) -> ActorRef:
        ref = self.names.lookup(session_id)
        assert ref is not None
        return ref

    async def crash(self, session_id: UUID) -> None:
        """The session's handler raises; returns when the next incarnation is there."""
        ref = self.actor(session_id)
        ref.cast("a message that no session knows")
        await ref.wait_exit()
        await settle()


class Fault:
    """Makes a function raise when it is called with what ``when`` accepts, a number of times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.left = 0
        self.when: Any = lambda *_args: True
        original = getattr(owner, name)

        def faulty(*args: Any) -> Any:
            if self.left and self.when(*args):
                self.left -= 1
                raise RuntimeError("injected")
            return original(*args)

        monkeypatch.setattr(owner, name, faulty)


LIMITS = SessionLimits(max_participants=5)


@asynccontextmanager
async def house(
    limits: SessionLimits = LIMITS,
    max_sessions: int = 100,
    reaper: bool = True,
    features: FeatureSet = FEATURES,
) -> AsyncIterator[House]:
    """A running house; it has stopped in order when the block ends."""
    home = House(limits, features)
    children = [
        DynamicSpec(max_children=max_sessions, report=home.reports.append).child(
            SESSIONS, register=home.names.name(SESSIONS)
        )
    ]
    tasks = [TaskSpec("reaper", home.manager.reaper.run)] if reaper else []
    spec = SupervisorSpec([*children, *tasks], report=home.reports.append)
    async with open_supervisor(spec) as home.root:
        yield home
