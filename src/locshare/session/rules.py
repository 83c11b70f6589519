"""The rules of a session: a command comes in, the table changes, events come out.

Pure: no I/O, no clock (the time is given), no task. Receivers are stored and returned, not called.
The session actor is a thin task around these rules; the model test in
``tests/models/test_session_rules.py`` drives them through random histories.

Each command decides first, the features included, and then changes the table in plain assignments
that cannot fail; the decided events go into ``table.pending`` in the same step. So a crash anywhere
in the actor leaves a consistent table and loses no decided event.

Here is the core: seats, connections, positions, and presence (:mod:`locshare.session.presence`).
Everything else is decided by features (:mod:`locshare.session.features.feature`).

Invariants between any two commands:

- a user_id that is online, has a position or was active is in the roster; one that moved has a
  position;
- members and reserved seats together are never more than ``max_participants``, hosts excepted, and
  no two of them have confusable names;
- a connected receiver has got its snapshot, and every later event that is addressed to it;
- every member, and everyone who joins in a pending event, has a number that no other had before;
- a member is shown online to the others if and only if they are connected, were so within the
  grace period, or have reported a position lately, unless they are in ``table.presence_pending``;
- once ``table.ended`` is set, nothing changes any more, and no position is left.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar, final
from uuid import UUID

from msgspec import structs

from locshare.broadcast.addressed import EVERYONE, Audience, EveryoneBut, Only
from locshare.broadcast.receiver import Receiver
from locshare.model.confusables import distinct
from locshare.model.errors import LocshareError
from locshare.model.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
)
from locshare.model.participant import LeaveReason, Member, PresenceState, Role
from locshare.model.position import HeldPosition, Position
from locshare.model.reasons import EndReason
from locshare.session.errors import ParticipantNotFound, SessionFull
from locshare.session.features.feature import Candidate, Core, FeatureCommand
from locshare.session.features.feature_set import Decision, FeatureSet, decide_each
from locshare.session.features.registry import FEATURES
from locshare.session.features.roster import may_step_down
from locshare.session.fixes import clock_was_set_back, judge
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import NOWHERE, Origin
from locshare.session.presence import PresenceRules
from locshare.session.rate_limits import join_rate
from locshare.session.table import Reservation, SessionTable
from locshare.session.views import SessionViews, core_of

R = TypeVar("R")

MAX_NAME_CHARS: Final = 100
"""Of a display name, as in the database."""
_A_MOMENT: Final = timedelta(milliseconds=1)
_ANYBODY: Final = Candidate("participant")


@final
class SessionRules:
    """The rules over one table, which may have been in use: making one changes nothing in it, but
    for the parts of ``features`` in a table that has none.
    """

    __slots__ = ("_features", "_join_rate", "_limits", "_presence", "_table", "views")

    def __init__(
        self, table: SessionTable, limits: SessionLimits, features: FeatureSet = FEATURES
    ) -> None:
        self._table: Final = table
        self._features = features
        if not table.parts:
            table.parts = features.begin(table.session, {})
        self._limits = limits
        self._join_rate = join_rate(limits.max_participants)
        self._presence = PresenceRules(table, limits)
        self.views: Final = SessionViews(table, limits, features, self._presence)
        """What the members are shown. They read, and decide nothing."""

    # --- seats ------------------------------------------------------------------------------------

    def reserve(
        self,
        reservation: UUID,
        clock: float,
        name: str = "",
        candidate: Candidate = _ANYBODY,
    ) -> str | None:
        """Reserve a seat for a join that is about to be written. Idempotent.

        Returns the name that the participant may have: ``name``, with a number if it is confusable
        with another one. None if the session has ended, or a feature refuses (:meth:`refusal`).
        """
        table = self._table
        for other in [other for other, kept in table.reservations.items() if kept.until <= clock]:
            del table.reservations[other]
        if table.ended is not None:
            return None
        if reservation not in table.reservations:
            if self.refusal(candidate, clock) is not None:
                return None
            free = self._free_name(name)
            table.reservations[reservation] = Reservation(
                clock + self._limits.reservation_lifetime, free, candidate.role
            )
        return table.reservations[reservation].display_name

    def refusal(self, candidate: Candidate, clock: float) -> LocshareError | None:
        """Why ``candidate`` may not have a seat now; None if it may."""
        return self._features.refusal(self._table, candidate, self._core(), clock)

    def _free_name(self, name: str) -> str:
        table = self._table
        taken = [member.display_name for member in table.roster.values()]
        taken += [kept.display_name for kept in table.reservations.values()]
        return distinct(name, taken, MAX_NAME_CHARS)

    def join_wait(self, clock: float) -> float:
        """Count one join. 0 if it is within the rate limit, else the seconds until one will be."""
        table, limit = self._table, self._join_rate
        left = table.joins.take(limit, clock)
        if left is None:
            return max(table.joins.ready_at(limit) - clock, 0.001)
        table.joins = left
        return 0.0

    def cancel(self, reservation: UUID) -> None:
        """Cancel a reservation: the join was not written. Idempotent."""
        self._table.reservations.pop(reservation, None)

    def join(
        self,
        member: Member,
        reservation: UUID,
        clock: float,
        candidate: Candidate = _ANYBODY,
    ) -> bool:
        """Make ``member`` a participant, on the reserved seat. Idempotent.

        False if that cannot be: the session has ended, or the reservation has expired and its seat,
        or its name, is taken.
        """
        table = self._table
        if table.ended is not None:
            return False
        if member.user_id in table.roster:
            return True
        name = self.reserve(reservation, clock, member.display_name, candidate)
        if name == member.display_name:
            self._take_in(member, clock, candidate.origin)
        table.reservations.pop(reservation, None)
        return member.user_id in table.roster

    def _take_in(self, member: Member, clock: float, origin: Origin = NOWHERE) -> None:
        table = self._table
        decisions = decide_each(
            self._features.joined,
            table,
            lambda feature, part: feature.member_joined(part, member.user_id, origin),
        )
        self._give_number(member.user_id)
        table.roster[member.user_id] = member
        table.never_connected.add(member.user_id)
        table.lapsed.pop(member.user_id, None)
        table.active_at = clock
        self._decide(
            ParticipantJoined(member.user_id, member.display_name, member.avatar_color),
            EveryoneBut(member.user_id),
        )
        self._apply(decisions)

    def _give_number(self, user_id: str) -> None:
        """Give ``user_id`` the next number, and forget those of former members whose joining is no
        longer in the log: here, so that thousands who join and leave cost no more memory than those
        who stay and the log.
        """
        table = self._table
        if not table.pending:  # else an event that is still to be encoded may need one
            needed = table.roster.keys() | table.log.joined()
            for former in [other for other in table.numbers if other not in needed]:
                del table.numbers[former]
        if user_id not in table.numbers:
            number = table.next_number
            table.next_number = number + 1  # first: no crash may give it twice
            table.numbers[user_id] = number

    def can_restore_seat(self, user_id: str, clock: float) -> bool:
        """Whether :meth:`restore_seat` would find a seat for a participant who lost theirs."""
        member = self._table.lapsed.get(user_id)
        if member is None or self._table.ended is not None:
            return False
        return self.refusal(Candidate(member.role), clock) is None

    def restore_seat(self, user_id: str, clock: float) -> bool:
        """Give a seat to a participant who lost theirs; False if there is none."""
        table = self._table
        if not self.can_restore_seat(user_id, clock):
            return False
        member = table.lapsed[user_id]
        name = self._free_name(member.display_name)
        self._take_in(structs.replace(member, display_name=name), clock)
        return True

    def release_unused_seats(self, moment: Moment) -> list[str]:
        """Take the seats of members who have not connected in time. Returns the user_ids of those
        that can take none again: of lapsed members the newest ``max_participants`` are kept.
        """
        table = self._table
        for user_id, member in tuple(table.roster.items()):
            if user_id not in table.never_connected or self._lapses(user_id) > moment.wall:
                continue
            self.leave(user_id, "left", moment.clock)
            table.lapsed[user_id] = member
        forgotten = tuple(table.lapsed)[: -self._limits.max_participants]
        for user_id in forgotten:
            del table.lapsed[user_id]
        return [*forgotten]

    def seat_expiry(self) -> datetime | None:
        """When :meth:`release_unused_seats` is due; None if every member has connected."""
        return min(map(self._lapses, self._table.never_connected), default=None)

    def _lapses(self, user_id: str) -> datetime:
        within = timedelta(seconds=self._limits.connect_within)
        return self._table.roster[user_id].joined_at + within

    # --- connections ------------------------------------------------------------------------------

    def connect(
        self, receiver: Receiver, moment: Moment, state: PresenceState = "active"
    ) -> Receiver | None:
        """Make ``receiver`` the connection of its participant, who is in ``state``; returns the one
        that it replaces.

        The participant is in the roster, and the receiver gets the :meth:`snapshot` that was taken
        just before this, for the same state.
        """
        table = self._table
        user_id = receiver.user_id
        older = table.receivers.get(user_id)
        table.regroup()
        # Removed first, so that the order of this dict is the order of connecting.
        table.receivers.pop(user_id, None)
        self._forget_paces(user_id)
        table.far = frozenset()  # a newcomer may look at anyone
        table.receivers[user_id] = receiver
        table.last_heard[user_id] = table.active_at = moment.clock
        table.never_connected.discard(user_id)
        self._presence.connected(user_id, moment, state)
        return older

    def disconnect(self, receiver: Receiver, moment: Moment) -> None:
        """``receiver`` has ended. No effect if a newer one has replaced it. The others hear of it
        when the grace period ends.
        """
        table = self._table
        user_id = receiver.user_id
        if table.receivers.get(user_id) is not receiver:
            return
        table.regroup()
        del table.receivers[user_id]
        self._forget_paces(user_id)
        table.active_at = moment.clock
        self._presence.disconnected(user_id, moment)

    def _forget_paces(self, user_id: str) -> None:
        """They are the connection's: a new one begins without."""
        self._table.paced.pop(user_id, None)
        self._table.asked.pop(user_id, None)
        self._table.far -= {user_id}

    def report(self, user_id: str, position: Position, moment: Moment) -> None:
        """A position arrived without a connection, from a member in the roster: they are online
        until :meth:`update_presence` finds that no other report followed. Idempotent.
        """
        table = self._table
        if table.ended is not None:
            return
        table.active_at = moment.clock
        table.never_connected.discard(user_id)
        self.move(user_id, position, moment)
        self._presence.reported(user_id, moment)

    def presence_due(self) -> float | None:
        """When :meth:`update_presence` is due; None while it is not."""
        return self._presence.due()

    def update_presence(self, moment: Moment) -> None:
        """Time has passed: see :meth:`PresenceRules.time_passed`."""
        self._presence.time_passed(moment)

    def set_state(self, receiver: Receiver, state: PresenceState, moment: Moment) -> None:
        """See :meth:`PresenceRules.set_state`."""
        self._presence.set_state(receiver, state, moment)

    def move(self, user_id: str, position: Position, moment: Moment) -> None:
        """A position arrived. Ignored if its sender is not in the roster, or if its fix is older
        than the held one.
        """
        table, clock = self._table, moment.clock
        if user_id not in table.roster or table.ended is not None:
            return
        table.last_heard[user_id] = clock
        held = table.positions.get(user_id)
        known = table.clocks.get(user_id)
        taken, sender = judge(position, known, moment.wall, clock)
        if sender is not known:
            table.clocks[user_id] = sender
        if (
            held is not None
            and position.timestamp < held.position.timestamp
            and held.arrived + self._limits.retention > clock
            and not clock_was_set_back(position, taken, held.position, held.taken, moment.wall)
        ):
            return
        table.positions[user_id] = table.moved[user_id] = HeldPosition(position, clock, taken)

    # --- roles ------------------------------------------------------------------------------------

    def check_role(self, user_id: str, role: Role) -> None:
        """Raise ParticipantNotFound; SessionFull if a host would step down to no seat."""
        member = self._table.roster.get(user_id)
        if member is None:
            raise ParticipantNotFound
        if member.role == "host" != role and not may_step_down(self._core()):
            raise SessionFull(self._limits.max_participants)

    def set_role(self, user_id: str, role: Role, moment: Moment) -> None:
        """Make a member a host, or no longer one. Idempotent. Raises as :meth:`check_role`."""
        self.check_role(user_id, role)
        table = self._table
        member = table.roster[user_id]
        if member.role == role:
            return
        # The others keep the presence that they know; to themselves members are as they are.
        shown, seen = self._presence.shown(user_id), self._presence.last_seen(user_id, moment)
        changed = ParticipantUpdated(user_id, shown.online, seen, role, shown.state)
        state = table.states.get(user_id, "active")
        own = structs.replace(changed, online=user_id in table.online, state=state)
        table.roster[user_id] = structs.replace(member, role=role)
        self._decide(changed, EveryoneBut(user_id))
        self._decide(own, Only(user_id))

    # --- leaving and the end ----------------------------------------------------------------------

    def leave(self, user_id: str, reason: LeaveReason, clock: float) -> Receiver | None:
        """The member leaves for good, and is in the roster; returns their former connection."""
        table = self._table
        if user_id in table.receivers or user_id in table.reported:
            table.active_at = clock  # they may have been the last: inactivity counts from now
        decisions = decide_each(
            self._features.left, table, lambda feature, part: feature.member_left(part, user_id)
        )
        table.regroup()
        receiver = table.receivers.pop(user_id, None)
        for entries in (
            table.roster, table.positions, table.moved, table.last_heard, table.clocks,
        ):  # fmt: skip
            entries.pop(user_id, None)
        self._forget_paces(user_id)
        self._presence.forget(user_id)
        table.never_connected.discard(user_id)
        self._decide(ParticipantLeft(user_id, reason), EveryoneBut(user_id))
        self._apply(decisions)
        return receiver

    def take_out(self, user_id: str, reason: LeaveReason, clock: float) -> Receiver | None:
        """As :meth:`leave`; also for a lapsed member, whose leaving the others know. Raises
        ParticipantNotFound.
        """
        if self._table.lapsed.pop(user_id, None) is not None:
            return None
        if user_id not in self._table.roster:
            raise ParticipantNotFound
        return self.leave(user_id, reason, clock)

    def end(self, reason: EndReason) -> None:
        """End the session. The first reason stands. Connections stay, for the last event."""
        table = self._table
        if table.ended is not None:
            return
        table.ended = reason
        table.regroup()
        table.reservations.clear()
        table.positions.clear()
        table.moved.clear()
        table.paced.clear()
        table.asked.clear()
        table.presence_pending.clear()
        table.dropped.clear()
        table.states.clear()
        self._decide(SessionEnded(reason), EVERYONE)

    # --- features ---------------------------------------------------------------------------------

    def handle(self, command: FeatureCommand[R], moment: Moment) -> tuple[R, list[Receiver]]:
        """Let a feature decide ``command``; the session has not ended. Returns the reply, and the
        connections of participants that the feature removed.

        Raises what the feature refuses with, FeatureFull, and KeyError for a command of no feature.
        """
        decision = self._features.handle(self._table, command, self._core(), moment)
        reply: R = decision.outcome.reply
        self._apply([decision])
        return reply, self._remove([decision], moment.clock)

    def features_due(self) -> float | None:
        """When :meth:`run_features` is due, by Trio's clock; None if it is not."""
        return self._features.due(self._table)

    def run_features(self, moment: Moment) -> list[Receiver]:
        """Let each feature act that is due. Returns the connections of participants that they
        removed.
        """
        due = [
            each
            for each in self._features.timed
            if (at := each.due(self._table.parts[each.name])) is not None and at <= moment.clock
        ]
        core = self._core()
        decisions = decide_each(
            due, self._table, lambda feature, part: feature.time_passed(part, core, moment)
        )
        self._apply(decisions)
        return self._remove(decisions, moment.clock)

    def _core(self) -> Core:
        return core_of(self._table, self._limits)

    def _apply(self, decisions: Iterable[Decision]) -> None:
        for name, outcome in decisions:
            self._table.parts[name] = outcome.part
            for addressed in outcome.events:
                self._decide(addressed.event, addressed.audience)

    def _remove(self, decisions: Iterable[Decision], clock: float) -> list[Receiver]:
        """Remove the participants that ``decisions`` remove; returns their connections."""
        table = self._table
        receivers = [
            self.take_out(user_id, "removed", clock)
            for _, outcome in decisions
            for user_id in outcome.removed
            if user_id in table.roster or user_id in table.lapsed
        ]
        return [receiver for receiver in receivers if receiver is not None]

    # --- time -------------------------------------------------------------------------------------

    def forget_stale(self, clock: float) -> float | None:
        """Drop the positions that have reached the retention. Returns when the next one will; None
        if no position is left.
        """
        table = self._table
        # The same sum here, in the result and in the snapshot: they round alike, so a timer set for
        # the result finds the position due, and the snapshot leaves it out.
        retention = self._limits.retention
        for user_id in [u for u, h in table.positions.items() if h.arrived + retention <= clock]:
            table.moved.pop(user_id, None)
            del table.positions[user_id]
        if not table.positions:
            return None
        return min(held.arrived for held in table.positions.values()) + retention

    def inactive_at(self) -> float | None:
        """When the session ends by inactivity; None while a participant is online."""
        if self._table.online:
            return None
        return self._table.active_at + self._limits.inactive_after

    # --- output -----------------------------------------------------------------------------------

    def take_moved(self, clock: float) -> dict[str, HeldPosition]:
        """The positions that changed since the last flush, for the next one. They are no longer in
        the table as moved.
        """
        table = self._table
        moved, table.moved = table.moved, {}
        if self._features.watching:
            core = self._core()
            self._apply(
                decide_each(
                    self._features.watching,
                    table,
                    lambda feature, part: feature.positions_moved(part, moved, core, clock),
                )
            )
        return moved

    @property
    def has_unsaved_activity(self) -> bool:
        """Whether there was activity since the last :meth:`take_activity`."""
        return bool(self._table.online) or self._table.active_at > self._table.noted_at

    def take_activity(self, moment: Moment) -> tuple[datetime, Mapping[str, datetime]]:
        """The session's last activity, and that of each member active since the last call."""
        table = self._table
        since, table.noted_at = table.noted_at, moment.clock
        active = moment.wall if table.online else moment.wall_of(table.active_at)
        # Always later than the join: by this a loaded table knows which members have connected.
        seen = {
            user_id: max(moment.wall_of(at), table.roster[user_id].joined_at + _A_MOMENT)
            for user_id, at in table.last_heard.items()
            if at >= since
        }
        return active, seen

    def forget_events(self, clock: float) -> None:
        """Drop the events that are too old for a snapshot to tell."""
        self._table.log.forget(clock - self._limits.kept_events_s)

    def _decide(self, event: Event, audience: Audience) -> None:
        self._table.queue_event(event, audience)
