"""The rules of a session: a command comes in, the table changes, events come out.

Pure: no I/O, no clock (the time is given), no task. Receivers are kept and handed back, never
called. The session actor is a thin task around this, and the model test in
``tests/model/test_session_state.py`` drives it through random histories.

Each command first decides, then changes the table in plain assignments that cannot fail; the
events it decided go into ``table.pending`` in the same step. So a crash anywhere in the actor
leaves a whole table, and no event that was decided is lost.

Invariants between any two commands:

- whoever is online, has a position or was heard of is in the roster; who moved has a position;
- members and reserved seats together never grow beyond ``max_participants``;
- a connected receiver has had its snapshot, and every event since, except those about itself;
- once ``table.ended`` is set, nothing changes any more and nobody's position is left.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, final
from uuid import UUID

from locshare.broadcast.receiver import Receiver
from locshare.session.limits import SessionLimits
from locshare.session.table import Held, Member, Moment, SessionTable
from locshare.wire.messages import (
    Ended,
    EndReason,
    Event,
    Joined,
    LeaveReason,
    Left,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantPosition,
    ParticipantUpdated,
    ParticipantView,
    Position,
    Role,
    SessionEnded,
    SessionStateData,
    SessionView,
    Updated,
    You,
)


@final
class SessionState:
    """The rules over one table. Making one changes nothing: the table may have been in use."""

    __slots__ = ("_limits", "_table", "seq")

    def __init__(self, table: SessionTable, limits: SessionLimits) -> None:
        self._table: Final = table
        self._limits = limits
        self.seq = 0
        """How many events were decided since this was made."""

    # --- who may come in --------------------------------------------------------------------------

    def reserve(self, seat: UUID, clock: float) -> bool:
        """Keep a place for a join that is about to be written. False when the session is full."""
        table = self._table
        for other in [other for other, until in table.seats.items() if until <= clock]:
            del table.seats[other]
        if table.ended is not None:
            return False
        if seat not in table.seats:
            if len(table.roster) + len(table.seats) >= self._limits.max_participants:
                return False
            table.seats[seat] = clock + self._limits.seat_lifetime
        return True

    def release(self, seat: UUID) -> None:
        """The join did not happen."""
        self._table.seats.pop(seat, None)

    def join(self, member: Member, seat: UUID, clock: float) -> bool:
        """``member`` is in, and takes the place of its seat. Doing it twice is doing it once.

        False when it is not in: the session has ended, or the seat was not kept for so long and
        somebody else has the last one.
        """
        table = self._table
        if table.ended is not None:
            return False
        if member.user_id in table.roster:
            return True
        if not self.reserve(seat, clock):
            return False
        del table.seats[seat]
        table.roster[member.user_id] = member
        table.active_at = clock
        self._decide(
            ParticipantJoined(Joined(member.user_id, member.display_name, member.avatar_color))
        )
        return True

    # --- connections ------------------------------------------------------------------------------

    def connect(self, receiver: Receiver, moment: Moment) -> Receiver | None:
        """``receiver`` is its participant's connection from now on; returns the one it replaces.

        The participant is in the roster, and the receiver gets :meth:`snapshot`, asked for just
        before this.
        """
        table = self._table
        user_id = receiver.user_id
        older = table.receivers.get(user_id)
        # Taken out first, so that the order of this dict is the order of connecting.
        table.receivers.pop(user_id, None)
        table.receivers[user_id] = receiver
        table.heard[user_id] = table.active_at = moment.clock
        if older is None:
            self._decide(ParticipantUpdated(Updated(user_id, True, moment.wall)))
        return older

    def disconnect(self, receiver: Receiver, moment: Moment) -> None:
        """``receiver`` is gone. Nothing happens when a newer one has replaced it."""
        table = self._table
        user_id = receiver.user_id
        if table.receivers.get(user_id) is not receiver:
            return
        del table.receivers[user_id]
        table.active_at = moment.clock
        self._decide(ParticipantUpdated(Updated(user_id, False, self._last_seen(user_id, moment))))

    def move(self, user_id: str, position: Position, clock: float) -> None:
        """A position arrived. Ignored when it is from somebody who is not, or no longer, in."""
        table = self._table
        if user_id not in table.roster or table.ended is not None:
            return
        table.positions[user_id] = Held(position, clock)
        table.moved[user_id] = position
        table.heard[user_id] = clock

    # --- who goes out -----------------------------------------------------------------------------

    def leave(self, user_id: str, reason: LeaveReason) -> Receiver | None:
        """A member leaves for good; returns the connection that is theirs no more. The member is
        in the roster.
        """
        table = self._table
        receiver = table.receivers.pop(user_id, None)
        for entries in (table.roster, table.positions, table.moved, table.heard):
            entries.pop(user_id, None)
        self._decide(ParticipantLeft(Left(user_id, reason)))
        return receiver

    def end(self, reason: EndReason) -> None:
        """The session is over. The first reason stands. Connections stay for the farewell."""
        table = self._table
        if table.ended is not None:
            return
        table.ended = reason
        table.seats.clear()
        table.positions.clear()
        table.moved.clear()
        self._decide(SessionEnded(Ended(reason)))

    # --- time -------------------------------------------------------------------------------------

    def forget_stale(self, clock: float) -> float | None:
        """Drop the positions that are as old as the retention. Returns when the next one will be,
        or None when there is none.
        """
        table = self._table
        # The same sum here, in the answer and in the snapshot: they round alike, so a timer that
        # is set for the answer finds the position due, and the snapshot leaves it out.
        retention = self._limits.retention
        for user_id in [u for u, h in table.positions.items() if h.arrived + retention <= clock]:
            table.moved.pop(user_id, None)
            del table.positions[user_id]
        if not table.positions:
            return None
        return min(held.arrived for held in table.positions.values()) + retention

    def inactive_at(self) -> float | None:
        """When the session ends by inactivity; None while somebody is connected."""
        if self._table.receivers:
            return None
        return self._table.active_at + self._limits.inactive_after

    # --- what comes out ---------------------------------------------------------------------------

    def take_moved(self) -> dict[str, ParticipantPosition]:
        """What changed since the last flush, and is now that flush's to carry."""
        table = self._table
        moved, table.moved = table.moved, {}
        return {user_id: ParticipantPosition.of(user_id, p) for user_id, p in moved.items()}

    def take_seen(self, moment: Moment) -> tuple[datetime, Mapping[str, datetime]]:
        """The session's last activity, and who was heard of since this was last asked."""
        table = self._table
        since, table.touched_at = table.touched_at, moment.clock
        active = moment.wall if table.receivers else moment.wall_of(table.active_at)
        seen = {u: moment.wall_of(at) for u, at in table.heard.items() if at >= since}
        return active, seen

    def snapshot(self, user_id: str, role: Role, moment: Moment, epoch: str) -> SessionStateData:
        """All that ``user_id``, who is about to connect, should know: themselves online."""
        table = self._table
        session = table.session
        retention = self._limits.retention
        return SessionStateData(
            SessionView(str(session.id), session.name, session.created_at, session.expires_at),
            You(user_id, role),
            self.participants(moment, connecting=user_id),
            tuple(
                ParticipantPosition.of(user, held.position)
                for user, held in table.positions.items()
                if held.arrived + retention > moment.clock
            ),
            moment.wall,
            epoch,
            self.seq + (user_id not in table.receivers),
        )

    def participants(self, moment: Moment, connecting: str = "") -> tuple[ParticipantView, ...]:
        """Everyone who is in, in the order of joining."""
        return tuple(
            ParticipantView(
                user_id,
                member.display_name,
                member.avatar_color,
                member.joined_at,
                moment.wall if user_id == connecting else self._last_seen(user_id, moment),
                True,
                user_id == connecting or user_id in self._table.receivers,
            )
            for user_id, member in self._table.roster.items()
        )

    def _last_seen(self, user_id: str, moment: Moment) -> datetime:
        heard = self._table.heard.get(user_id)
        if heard is None:
            return self._table.roster[user_id].last_seen
        return moment.wall_of(heard)

    def _decide(self, event: Event) -> None:
        self.seq += 1
        self._table.pending.append(event)
