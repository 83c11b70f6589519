"""The current picture of a session: a snapshot, and what happened since. Pure.

Invariant: a position belongs to someone in ``participants``; whoever left has none.
"""

from datetime import datetime, timedelta

from msgspec import Struct, UnsetType, structs

from locshare.wire.messages import (
    Ended,
    Joined,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantMoved,
    ParticipantPosition,
    ParticipantUpdated,
    ParticipantView,
    ServerMessage,
    SessionEnded,
    SessionState,
    SessionStateData,
    SessionUpdated,
    SessionView,
    You,
)


class Picture(Struct):
    """Who is in the session and where, as the last message left it."""

    session: SessionView
    you: You
    participants: dict[str, ParticipantView]
    positions: dict[str, ParticipantPosition]
    taken: dict[str, datetime]
    """When the fix of each position was taken, by the clock of whoever applies the messages."""
    ended: Ended | None = None

    @classmethod
    def of(cls, snapshot: SessionStateData, at: datetime) -> "Picture":
        """The picture that a snapshot gives, which was received at ``at``."""
        people = {each.user_id: each for each in snapshot.participants}
        positions = {each.user_id: each for each in snapshot.positions if each.user_id in people}
        taken = {user_id: at - _age(each) for user_id, each in positions.items()}
        return cls(snapshot.session, snapshot.you, people, positions, taken)

    def replace(self, snapshot: SessionStateData, at: datetime) -> None:
        """Forget what was; ``snapshot``, received at ``at``, is the picture now."""
        fresh = Picture.of(snapshot, at)
        self.session, self.you = fresh.session, fresh.you
        self.participants, self.positions = fresh.participants, fresh.positions
        self.taken = fresh.taken

    def age(self, user_id: str, at: datetime) -> timedelta | None:
        """How old the fix of somebody's position is at ``at``; None when they have none. From 30 s
        on it is not live.
        """
        taken = self.taken.get(user_id)
        return None if taken is None else max(at - taken, timedelta())

    def apply(self, message: ServerMessage, at: datetime) -> None:
        """What ``message``, received at ``at``, changes. One about a stranger changes nothing."""
        if isinstance(message, ParticipantMoved):
            if message.data.user_id in self.participants:
                self.positions[message.data.user_id] = message.data
                self.taken[message.data.user_id] = at - _age(message.data)
        elif isinstance(message, SessionState):
            self.replace(message.data, at)
        elif isinstance(message, ParticipantJoined):
            self.participants.setdefault(message.data.user_id, _newcomer(message.data, at))
        elif isinstance(message, ParticipantUpdated):
            known = self.participants.get(message.data.user_id)
            if known is not None:
                self.participants[known.user_id] = structs.replace(
                    known, online=message.data.online, last_seen=message.data.last_seen
                )
        elif isinstance(message, ParticipantLeft):
            self.participants.pop(message.data.user_id, None)
            self.positions.pop(message.data.user_id, None)
            self.taken.pop(message.data.user_id, None)
        elif isinstance(message, SessionUpdated):
            self.session = structs.replace(self.session, locked=message.data.locked)
        elif isinstance(message, SessionEnded):
            self.ended = message.data


def _age(position: ParticipantPosition) -> timedelta:
    # Absent when it is less than a second.
    return timedelta(milliseconds=0 if isinstance(position.age_ms, UnsetType) else position.age_ms)


def _newcomer(joined: Joined, at: datetime) -> ParticipantView:
    return ParticipantView(
        joined.user_id,
        joined.display_name,
        joined.avatar_color,
        joined_at=at,
        last_seen=at,
        is_active=True,
        online=False,
    )
