"""A client's replica of a session: a snapshot with every later message applied to it. Pure.

Invariant: each position belongs to a participant in ``participants``.
"""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from locshare.model.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.participant import ParticipantView, You
from locshare.model.position import MAX_AGE_MS, ParticipantPosition
from locshare.model.reasons import EndReason
from locshare.model.session import SessionView, Snapshot
from locshare.wire.messages import ServerMessage


class Replica(Struct):
    """The session as of the last message."""

    session: SessionView
    you: You
    participants: dict[str, ParticipantView]
    positions: dict[str, ParticipantPosition]
    taken: dict[str, datetime]
    """When the fix of each position was taken, by the client's clock."""
    ended: EndReason | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, at: datetime) -> "Replica":
        """The replica after ``snapshot``, which was received at ``at``."""
        participants = {each.user_id: each for each in snapshot.participants}
        positions = {
            each.user_id: each for each in snapshot.positions if each.user_id in participants
        }
        taken = {user_id: at - _age(each) for user_id, each in positions.items()}
        return cls(snapshot.session, snapshot.you, participants, positions, taken)

    def replace(self, snapshot: Snapshot, at: datetime) -> None:
        """Start anew from ``snapshot``, which was received at ``at``."""
        fresh = Replica.of(snapshot, at)
        self.session, self.you = fresh.session, fresh.you
        self.participants, self.positions = fresh.participants, fresh.positions
        self.taken = fresh.taken

    def age(self, user_id: str, at: datetime) -> timedelta | None:
        """The age at ``at`` of a participant's fix; None without a position. From 30 s on it is
        not live.
        """
        taken = self.taken.get(user_id)
        return None if taken is None else max(at - taken, timedelta())

    def apply(self, message: ServerMessage, at: datetime) -> None:
        """Apply ``message``, which was received at ``at``. A message about an unknown participant
        changes nothing.
        """
        match message:
            case ParticipantPosition(user_id):
                if user_id in self.participants:
                    self.positions[user_id] = message
                    self.taken[user_id] = at - _age(message)
            case Snapshot():
                self.replace(message, at)
            case ParticipantJoined(user_id):
                self.participants.setdefault(user_id, _newcomer(message, at))
            case ParticipantUpdated(user_id, online, last_seen, role, state):
                known = self.participants.get(user_id)
                if known is not None:
                    self.participants[user_id] = structs.replace(
                        known,
                        online=online,
                        last_seen=last_seen,
                        role=role or known.role,
                        state=state,
                    )
            case ParticipantLeft(user_id):
                self.participants.pop(user_id, None)
                self.positions.pop(user_id, None)
                self.taken.pop(user_id, None)
            case SessionUpdated(locked, link_key):
                key = link_key or self.session.link_key
                self.session = structs.replace(self.session, locked=locked, link_key=key)
            case SessionEnded(reason):
                self.ended = reason


def _age(position: ParticipantPosition) -> timedelta:
    """Within the bounds of the contract, whatever a server says: a date has an end."""
    return timedelta(milliseconds=min(max(position.age_ms or 0, 0), MAX_AGE_MS))


def _newcomer(joined: ParticipantJoined, at: datetime) -> ParticipantView:
    return ParticipantView(
        joined.user_id,
        joined.display_name,
        joined.avatar_color,
        joined_at=at,
        last_seen=at,
        is_active=True,
        online=False,
    )
