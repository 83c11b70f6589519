"""Sessions in the memory of one process, and the application with them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette

from bench.peers.common import messages
from bench.peers.common.app import create_app
from bench.peers.common.connection import FORBIDDEN, LEFT, Connection
from bench.peers.common.hub import Hub
from bench.peers.common.messages import EndReason, LeaveReason, Position
from bench.peers.common.model import (
    FORGET_S,
    RETENTION_S,
    Found,
    Participant,
    Session,
    snapshot,
    utc_now,
)
from bench.peers.common.problems import Problem
from bench.peers.common.settings import Settings


class Live:
    """A session and all that changes in it. Positions have the loop's time of their arrival."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.participants: dict[str, Participant] = {}
        self.last_seen: dict[str, datetime] = {}
        self.positions: dict[str, tuple[float, Position]] = {}
        self.seq = 0
        self.ended = False


class MemorySessions:
    """What a connection does is here twice: for callers that await, and (``…_now``) for those that
    cannot.
    """

    def __init__(self, max_participants: int) -> None:
        self._max_participants = max_participants
        self._sessions: dict[str, Live] = {}
        self._hub = Hub()
        self._epoch = uuid4().hex[:12]

    async def ready(self) -> bool:
        return True

    async def create(self, session: Session) -> None:
        self._sessions[session.id] = Live(session)
        seconds = (session.expires_at - session.created_at).total_seconds()
        asyncio.get_running_loop().call_later(seconds, self._end, session.id, "expired")

    async def find(self, session_id: str) -> Found:
        live = self._known(session_id)
        return Found(live.session, len(live.participants), not live.ended)

    async def join(self, session_id: str, participant: Participant) -> None:
        live = self._active(session_id)
        if len(live.participants) >= self._max_participants:
            raise Problem("SESSION_FULL", f"a session holds {self._max_participants}")
        live.participants[participant.user_id] = participant
        live.last_seen[participant.user_id] = participant.joined_at
        self._tell(live, participant.joined(), but=participant.user_id)

    async def participants(self, session_id: str) -> Sequence[dict[str, Any]]:
        return self._views(self._active(session_id))

    async def remove(self, session_id: str, user_id: str, reason: LeaveReason) -> None:
        self.remove_now(session_id, user_id, reason)

    def remove_now(self, session_id: str, user_id: str, reason: LeaveReason) -> None:
        live = self._active(session_id)
        if live.participants.pop(user_id, None) is None:
            raise Problem("PARTICIPANT_NOT_FOUND", "no such participant in this session")
        live.last_seen.pop(user_id, None)
        live.positions.pop(user_id, None)
        self._hub.close(session_id, user_id, LEFT if reason == "left" else FORBIDDEN)
        self._say(live, user_id, "participant_left", reason=reason)

    async def end(self, session_id: str) -> None:
        self._active(session_id)
        self._end(session_id, "ended_by_host")

    async def admit(self, session_id: str, user_id: str) -> None:
        self.admit_now(session_id, user_id)

    def admit_now(self, session_id: str, user_id: str) -> None:
        if user_id not in self._active(session_id).participants:
            raise Problem("NOT_A_PARTICIPANT", "no longer a participant")

    async def attach(self, connection: Connection) -> str:
        return self.attach_now(connection)

    def attach_now(self, connection: Connection) -> str:
        session_id, user_id = connection.session_id, connection.user_id
        self.admit_now(session_id, user_id)
        live = self._active(session_id)
        now = live.last_seen[user_id] = utc_now()
        if self._hub.add(connection) is None:
            self._say(live, user_id, "participant_updated", online=True, last_seen=now)
        oldest = asyncio.get_running_loop().time() - RETENTION_S
        positions = [
            position.of(user_id)
            for user_id, (arrived, position) in live.positions.items()
            if arrived > oldest
        ]
        return snapshot(
            live.session, connection, self._views(live), positions, epoch=self._epoch, seq=live.seq
        )

    async def move(self, connection: Connection, position: Position) -> None:
        if self.moved(connection, position):
            user_id = connection.user_id
            text = messages.encode("location_update", position.of(user_id))
            self._hub.send(connection.session_id, text, but=user_id)

    def moved(self, connection: Connection, position: Position) -> bool:
        """Keep ``position``. False when the others are not to hear of it."""
        live = self._sessions.get(connection.session_id)
        user_id = connection.user_id
        if live is None or live.ended or user_id not in live.participants:
            return False
        live.positions[user_id] = (asyncio.get_running_loop().time(), position)
        live.last_seen[user_id] = utc_now()
        return True

    def connected(self, session_id: str) -> Mapping[str, Connection]:
        """The connections of a session, by participant."""
        return self._hub.of(session_id)

    async def detach(self, connection: Connection) -> None:
        self.detach_now(connection)

    def detach_now(self, connection: Connection) -> None:
        if self._hub.remove(connection):
            live = self._sessions[connection.session_id]
            last_seen = live.last_seen[connection.user_id]
            user_id = connection.user_id
            self._say(live, user_id, "participant_updated", online=False, last_seen=last_seen)

    def _known(self, session_id: str) -> Live:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise Problem("SESSION_NOT_FOUND", "no such session") from None

    def _active(self, session_id: str) -> Live:
        live = self._known(session_id)
        if live.ended:
            raise Problem("SESSION_ENDED", "the session has ended")
        return live

    def _views(self, live: Live) -> list[dict[str, Any]]:
        session_id = live.session.id
        return [
            participant.view(
                last_seen=live.last_seen[user_id], online=self._hub.has(session_id, user_id)
            )
            for user_id, participant in live.participants.items()
        ]

    def _say(self, live: Live, user_id: str, kind: str, **data: object) -> None:
        self._tell(live, messages.event(kind, user_id=user_id, **data), but=user_id)

    def _tell(self, live: Live, event: str, but: str) -> None:
        live.seq += 1
        self._hub.send(live.session.id, event, but)

    def _end(self, session_id: str, reason: EndReason) -> None:
        live = self._sessions.get(session_id)
        if live is None or live.ended:
            return
        live.ended = True
        live.positions.clear()
        self._hub.end(session_id, reason)
        loop = asyncio.get_running_loop()
        loop.call_later(FORGET_S, self._sessions.pop, session_id, None)


def application() -> Starlette:
    """For uvicorn."""
    settings = Settings.handed_on()
    return create_app(MemorySessions(settings.max_participants), settings)
