"""Scripted connections for :class:`locshare.client.Live`, and what it tells of them."""

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
import trio

from locshare.client import (
    PLAIN_DIALECT,
    ClientError,
    End,
    NotConnected,
    Watcher,
)
from locshare.client import live as live_module
from locshare.model.events import Event
from locshare.model.participant import ParticipantView, You
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import SessionView, Snapshot
from locshare.wire.messages import Pong, ServerMessage

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = Position(52.5, 13.4, 5.0, NOW)


def at(user_id: str, age_ms: int | None = None) -> ParticipantPosition:
    return ParticipantPosition(user_id, 1.0, 2.0, 3.0, NOW, age_ms=age_ms)


def snapshot(
    *people: str, positions: Iterable[ParticipantPosition] = (), seq: int = 0, **more: Any
) -> Snapshot:
    return Snapshot(
        SessionView("id", "Alps", NOW, NOW),
        You("ada", "participant"),
        tuple(ParticipantView(each, each, "#112233", NOW, NOW, True, True) for each in people),
        tuple(positions),
        NOW,
        "epoch",
        seq,
        **more,
    )


class Middle(Random):
    """Chance that is none: always the upper end of what it may be."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Scripted:
    """A connection that lives for ``seconds``, skips one message, gives what it is told to, and
    ends with ``code``. ``sent`` has what it was given, and when.
    """

    dialect = PLAIN_DIALECT

    def __init__(
        self,
        seconds: float,
        code: int,
        *messages: ServerMessage,
        first: Snapshot | None = None,
        mute: bool = False,
    ) -> None:
        self.snapshot = snapshot("bo") if first is None else first
        self.unreadable = 1
        self.end = End.of(code)
        self.broken = False
        self.mute = mute
        self.sent: list[tuple[float, object]] = []
        self._ends_in = seconds
        self._ends_at: float | None = None
        self._messages = deque(messages)
        self._more = trio.Event()

    def give(self, message: ServerMessage) -> None:
        self._messages.append(message)
        self._more.set()

    def __aiter__(self) -> "Scripted":
        return self

    async def __anext__(self) -> ServerMessage:
        if self._ends_at is None:
            self._ends_at = trio.current_time() + self._ends_in
        with trio.move_on_at(self._ends_at):
            while not self._messages:
                self._more = trio.Event()
                await self._more.wait()
        if not self._messages:
            raise StopAsyncIteration
        await trio.lowlevel.checkpoint()
        return self._messages.popleft()

    async def _send(self, what: object) -> None:
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise NotConnected(self.end)
        self.sent.append((trio.current_time(), what))

    async def send_position(self, position: Position) -> None:
        await self._send(position)

    async def set_pace(self, interval_s: float) -> None:
        await self._send(("pace", interval_s))

    async def set_presence(self, state: str) -> None:
        await self._send(("presence", state))

    async def ping(self) -> None:
        await self._send("ping")
        if not self.mute:
            self.give(Pong())

    async def leave(self) -> None:
        await self._send("leave")


class Hangs:
    """An attempt to connect that never succeeds."""


class Notes(Watcher):
    """When and for how long there was no connection, and what came."""

    def __init__(self) -> None:
        self.waits: list[float | None] = []
        self.causes: list[ClientError] = []
        self.heard: list[object] = []

    def connected(self, snapshot: Snapshot) -> None:
        self.heard.append("connected")

    def missed(self, event: Event) -> None:
        self.heard.append(("missed", event))

    def received(self, message: ServerMessage) -> None:
        self.heard.append(message)

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        self.waits.append(retry_in)
        self.causes.append(cause)


def script(
    monkeypatch: pytest.MonkeyPatch, *steps: Scripted | ClientError | Hangs
) -> list[dict[str, Any]]:
    """Let Live connect to these, once each. Returns what it asked for, and when (``at``)."""
    left, made = deque(steps), list[dict[str, Any]]()

    @asynccontextmanager
    async def scripted(url: str, token: str, **options: Any) -> AsyncIterator[Scripted]:
        made.append(options | {"at": trio.current_time()})
        await trio.lowlevel.checkpoint()
        step = left.popleft()
        if isinstance(step, ClientError):
            raise step
        while isinstance(step, Hangs):
            await trio.sleep_forever()
        yield step

    monkeypatch.setattr(live_module, "connect", scripted)
    return made
