"""The current picture of a session: a snapshot, and what happened since. Pure.

Invariant: a position belongs to someone in ``participants``; whoever left has none.
"""

from datetime import datetime

from msgspec import Struct, structs

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
    ended: Ended | None = None

    @classmethod
    def of(cls, snapshot: SessionStateData) -> "Picture":
        """The picture that a snapshot gives."""
        people = {each.user_id: each for each in snapshot.participants}
        return cls(
            snapshot.session,
            snapshot.you,
            people,
            {each.user_id: each for each in snapshot.positions if each.user_id in people},
        )

    def replace(self, snapshot: SessionStateData) -> None:
        """Forget what was; ``snapshot`` is the picture now."""
        fresh = Picture.of(snapshot)
        self.session, self.you = fresh.session, fresh.you
        self.participants, self.positions = fresh.participants, fresh.positions

    def apply(self, message: ServerMessage, at: datetime) -> None:
        """What ``message``, received at ``at``, changes. One about a stranger changes nothing."""
        if isinstance(message, ParticipantMoved):
            if message.data.user_id in self.participants:
                self.positions[message.data.user_id] = message.data
        elif isinstance(message, SessionState):
            self.replace(message.data)
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
        elif isinstance(message, SessionUpdated):
            self.session = structs.replace(self.session, locked=message.data.locked)
        elif isinstance(message, SessionEnded):
            self.ended = message.data


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
