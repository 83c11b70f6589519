"""Sessions and participants, and the interface of their storage."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from bench.peers.common.connection import Connection
from bench.peers.common.messages import LeaveReason, Position, encode

Role = Literal["participant", "host"]

RETENTION_S = 30
"""How long a position lives without a newer one."""
FORGET_S = 3600
"""How long an ended session is remembered, so that its people get 410 and not 404."""


class Session(Struct, frozen=True):
    """What does not change in the life of a session."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime


class Participant(Struct, frozen=True):
    user_id: str
    display_name: str
    avatar_color: str
    joined_at: datetime

    def view(self, *, last_seen: datetime, online: bool) -> dict[str, Any]:
        """What others see."""
        now = {"last_seen": last_seen, "is_active": True, "online": online}
        return msgspec.structs.asdict(self) | now

    def joined(self) -> str:
        """The event for the others."""
        fields = msgspec.structs.asdict(self)
        del fields["joined_at"]
        return encode("participant_joined", fields)


def snapshot(
    session: Session,
    connection: Connection,
    participants: Sequence[dict[str, Any]],
    positions: Sequence[dict[str, Any]],
    *,
    epoch: str,
    seq: int,
) -> str:
    """The first message of a connection."""
    data = {
        "session": session,
        "you": {"user_id": connection.user_id, "role": connection.role},
        "participants": participants,
        "positions": positions,
        "server_time": utc_now(),
        "epoch": epoch,
        "seq": seq,
    }
    return encode("session_state", data)


class Found(Struct, frozen=True):
    """A session as it is now."""

    session: Session
    participants: int
    is_active: bool


class Sessions(Protocol):
    """Storage of sessions: this process, or Redis.

    Those with a ``session_id`` raise Problem SESSION_NOT_FOUND and, except :meth:`find`,
    SESSION_ENDED.
    """

    async def ready(self) -> bool:
        """True when requests can be served."""

    async def create(self, session: Session) -> None:
        """Keep a new one."""

    async def find(self, session_id: str) -> Found:
        """Also one that has ended, for a while."""

    async def join(self, session_id: str, participant: Participant) -> None:
        """Raises Problem SESSION_FULL."""

    async def participants(self, session_id: str) -> Sequence[dict[str, Any]]:
        """Views, in the order of joining."""

    async def remove(self, session_id: str, user_id: str, reason: LeaveReason) -> None:
        """Out of the session for good, and their connection closed. Raises Problem
        PARTICIPANT_NOT_FOUND.
        """

    async def end(self, session_id: str) -> None:
        """Ended by the host."""

    async def admit(self, session_id: str, user_id: str) -> None:
        """Raises Problem NOT_A_PARTICIPANT unless they may connect."""

    async def attach(self, connection: Connection) -> str:
        """Deliver events of the session to it from now on. Returns the snapshot, which is to be
        sent first. Raises as :meth:`admit`.
        """

    async def move(self, connection: Connection, position: Position) -> None:
        """An update came."""

    async def detach(self, connection: Connection) -> None:
        """The connection has ended, or was never attached."""


def utc_now() -> datetime:
    return datetime.now(UTC)
