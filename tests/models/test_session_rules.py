"""Random histories of a session against what its participants should know.

Hypothesis plays the host, the participants, their phones and the clock. Beside the rules stands a
shadow of every connected phone, which knows only what it was sent: the snapshot, then each event
and each flush. After every step the rules' invariants hold, and each shadow knows the
session's state.
"""

import math
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct

from locshare.broadcast.addressed import recipients
from locshare.broadcast.fanout import Flush
from locshare.model.confusables import confusable
from locshare.model.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.participant import LeaveReason, Member, Role
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.model.session import EndReason, Snapshot
from locshare.session.errors import ParticipantNotFound, SessionFull
from locshare.session.features.registry import FEATURES
from locshare.session.features.roster import Lock, Remove, is_banned, roster_of
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import NOWHERE, Origin
from locshare.session.rules import SessionRules
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, StoredSession
from locshare.wire.dialects import Dialect
from locshare.wire.plain import PLAIN

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = SessionLimits(
    max_participants=4,
    retention=30,
    inactive_after=600,
    reservation_lifetime=15,
    connect_within=60,
    online_after_report=20,
    host_seats=2,
)


NAMES = st.sampled_from(["Ada", "ada", "\u0410da", "Bo"])
ORIGINS = st.sampled_from([NOWHERE, Origin(b"home"), Origin(b"cafe", b"device")])
ROLES: st.SearchStrategy[Role] = st.sampled_from(["participant", "participant", "host"])


class Phone(Struct, eq=False):
    """A receiver that keeps what it knows. The rules never call it; the test does."""

    user_id: str
    roster: dict[str, bool]
    positions: dict[str, float]
    ended: str | None = None
    locked: bool = False
    closed: bool = False
    dialect: Dialect = PLAIN

    @property
    def backlog_bytes(self) -> int:
        return 0

    def send_event(self, frame: bytes) -> None:
        raise AssertionError("the rules call no receiver")

    def send_positions(self, flush: Flush) -> None:
        raise AssertionError("the rules call no receiver")

    def close(self, reason: CloseReason) -> None:
        raise AssertionError("the rules call no receiver")

    def learn(self, snapshot: Snapshot) -> None:
        """Take over what a snapshot tells."""
        self.roster = {each.user_id: each.online for each in snapshot.participants}
        self.positions = {each.user_id: each.lat for each in snapshot.positions}
        self.locked = snapshot.session.locked


class Histories(RuleBasedStateMachine):
    users: "Bundle[str]" = Bundle("users")
    seats: "Bundle[tuple[int, str]]" = Bundle("seats")

    def __init__(self) -> None:
        super().__init__()
        self.clock = 1000.3
        self.made = 0
        self.table = a_table(self.clock)
        self.session = SessionRules(self.table, LIMITS)
        self.gone: list[Phone] = []
        self.left: set[str] = set()
        self.connected: set[str] = set()
        self.arrived: dict[str, float] = {}
        self.newest: dict[str, float] = {}
        self.numbered: dict[int, str] = {}
        self.taken: dict[str, datetime] = {}
        self.frozen: tuple[object, ...] | None = None

    # --- what happens -----------------------------------------------------------------------------

    @property
    def moment(self) -> Moment:
        return Moment(START + timedelta(seconds=self.clock - 1000), self.clock)

    def seated(self) -> list[tuple[Role, str]]:
        """Role and name of everybody who is in, or has a seat."""
        found = [(each.role, each.display_name) for each in self.table.roster.values()]
        return found + [(kept.role, kept.display_name) for kept in self.table.reservations.values()]

    def phones(self) -> dict[str, Phone]:
        return dict(self.table.receivers)  # type: ignore[arg-type]  # ours are all phones

    def deliver(self) -> None:
        """As the actor does after each command: each event to its audience."""
        pending = self.table.pending
        while pending:
            addressed = pending.popleft()
            for phone in recipients(addressed.audience, self.phones()):
                match addressed.event:
                    case ParticipantJoined(user_id):
                        assert user_id not in phone.roster, "joined twice"
                        phone.roster[user_id] = False
                    case ParticipantUpdated(user_id, online, _, role):
                        assert user_id != phone.user_id or role, "nobody is sent their own presence"
                        assert user_id in phone.roster, "updated before it joined"
                        phone.roster[user_id] = online
                    case ParticipantLeft(user_id):
                        assert user_id != phone.user_id
                        del phone.roster[user_id]
                        phone.positions.pop(user_id, None)
                    case SessionUpdated(locked):
                        phone.locked = locked
                    case SessionEnded(reason):
                        phone.ended = reason

    @rule(target=users, name=NAMES, role=ROLES, origin=ORIGINS)
    def joins(self, name: str, role: Role, origin: Origin) -> str:
        self.made += 1
        user_id, seat = f"user {self.made}", UUID(int=100 + self.made)
        table = self.table
        taken = len(table.roster) + len(table.reservations)
        hosts = [role for role, _ in self.seated()].count("host")
        room = taken < LIMITS.max_participants or (role == "host" and hosts < LIMITS.host_seats)
        part = roster_of(table)
        barred = part.locked or is_banned(part.bans, origin, self.clock)
        room = room and (role == "host" or not barred)
        expired = any(kept.until <= self.clock for kept in table.reservations.values())
        reserved = self.session.reserve(seat, self.clock, name, role, origin)
        if table.ended is not None:
            assert reserved is None
        elif not expired:
            assert (reserved is not None) is room
        if reserved is not None:
            assert reserved == name or reserved.startswith(name + " ")
            self.comes_in(user_id, seat, reserved, role, origin)
        self.deliver()
        return user_id

    def comes_in(
        self, user_id: str, seat: UUID, name: str, role: Role, origin: Origin = NOWHERE
    ) -> None:
        member = Member(user_id, name, "#112233", self.moment.wall, self.moment.wall, role)
        known = user_id in self.table.roster
        entered = self.session.join(member, seat, self.clock, origin)
        assert entered is (user_id in self.table.roster and self.table.ended is None)
        assert seat not in self.table.reservations
        assert len(self.table.pending) == (entered and not known)
        # Asked again, after a crash:
        assert self.session.join(member, seat, self.clock, origin) is entered
        assert len(self.table.pending) == (entered and not known)
        if entered and not known:
            assert self.table.active_at == self.clock, "a join is activity"
            assert roster_of(self.table).origins.get(user_id, NOWHERE) == origin

    @rule(target=seats, name=NAMES)
    def reserves(self, name: str) -> tuple[int, str]:
        """The join is written slowly, or never."""
        self.made += 1
        seat = UUID(int=100 + self.made)
        promised = self.session.reserve(seat, self.clock, name)
        assert self.session.reserve(seat, self.clock, name) == promised, "a crash: again"
        return self.made, promised or name

    @rule(target=users, seat=seats)
    def joins_at_last(self, seat: tuple[int, str]) -> str:
        number, name = seat
        user_id, place = f"user {number}", UUID(int=100 + number)
        kept = self.table.reservations.get(place)
        if user_id not in self.left and user_id not in self.table.lapsed:
            self.comes_in(user_id, place, name, "participant")
            if kept is not None and kept.until > self.clock:
                assert user_id in self.table.roster, "a seat is kept for whom it is"
        self.deliver()
        return user_id

    @rule()
    def gives_a_seat_back(self) -> None:
        self.made += 1
        seat = UUID(int=100 + self.made)
        before = len(self.table.reservations)
        if self.session.reserve(seat, self.clock, "Somebody") is not None:
            self.session.cancel(seat)
            assert len(self.table.reservations) <= before

    @rule()
    def gives_back_the_seats_of_who_never_connected(self) -> None:
        if self.table.ended is not None:
            return
        due = {
            user_id
            for user_id, member in self.table.roster.items()
            if user_id not in self.connected
            and member.joined_at + timedelta(seconds=LIMITS.connect_within) <= self.moment.wall
        }
        until = self.session.seat_expiry()
        assert bool(due) is (until is not None and until <= self.moment.wall)
        before = set(self.table.roster)
        forgotten = self.session.release_unused_seats(self.moment)
        assert before - set(self.table.roster) == due
        assert due <= {*self.table.lapsed, *forgotten}
        assert len(self.table.lapsed) <= LIMITS.max_participants
        self.left |= set(forgotten)
        self.deliver()

    @rule(user_id=users)
    def takes_a_seat_again(self, user_id: str) -> None:
        table = self.table
        lapsed = table.lapsed.get(user_id)
        taken = len(table.roster) + len(table.reservations)
        sits = self.session.restore_seat(user_id, self.clock)
        assert sits is (user_id in table.roster) or lapsed is None
        if lapsed is not None and lapsed.role == "participant":
            full = taken >= LIMITS.max_participants
            room = not full and not roster_of(table).locked and table.ended is None
            assert sits is room
        if lapsed is None:
            assert not sits
        self.deliver()

    @rule(user_id=users, role=ROLES)
    def passes_the_role(self, user_id: str, role: Role) -> None:
        table = self.table
        member = table.roster.get(user_id)
        if member is None or table.ended is not None:
            return  # the actor refuses
        others = [each for each, _ in self.seated()].count("participant")
        full = role != "host" and member.role == "host" and others >= LIMITS.max_participants
        try:
            self.session.set_role(user_id, role, self.moment)
        except SessionFull:
            assert full
        else:
            assert not full
            assert table.roster[user_id].role == role
            assert bool(table.pending) is (member.role != role)
        self.deliver()

    @rule(locked=st.booleans())
    def locks(self, locked: bool) -> None:
        if self.table.ended is not None:
            return  # the actor refuses
        before = roster_of(self.table).locked
        self.session.handle(Lock(locked), self.moment)
        assert len(self.table.pending) == (locked is not before)
        assert roster_of(self.table).locked is locked
        self.deliver()

    @rule(user_id=users)
    def connects(self, user_id: str) -> None:
        if user_id not in self.table.roster or self.table.ended is not None:
            return  # the actor refuses
        before = self.table.receivers.get(user_id)
        hidden = user_id in self.table.presence_pending
        phone = Phone(user_id, {}, {})
        snapshot = self.session.snapshot(user_id, "participant", self.moment, "epoch")
        phone.learn(snapshot)
        assert phone.roster[user_id], "one sees oneself online"
        assert phone.positions == {
            user: self.newest[user]
            for user, arrived in self.arrived.items()
            if user in self.table.roster and arrived + LIMITS.retention > self.clock
        }, "all that are fresh, and nothing older"
        assert self.session.connect(phone, self.moment) is before
        self.connected.add(user_id)
        assert snapshot.seq == self.session.seq, "the next event is the next number"
        if before is not None:
            if not hidden:
                assert not self.table.pending, "a replacement is no news"
            self.gone.append(before)  # type: ignore[arg-type]  # ours are all phones
        self.deliver()

    @rule(user_id=users)
    def flaps(self, user_id: str) -> None:
        """As a phone on a bad network, or somebody who wants everybody to hear it all the time."""
        for _ in range(4):
            self.loses_the_connection(user_id)
            self.connects(user_id)

    @rule()
    def a_delayed_presence_is_sent_when_it_may_be(self) -> None:
        due = self.session.presence_due()
        assert (due is None) == (not self.table.presence_pending)
        while due is not None:
            before = len(self.table.presence_pending)
            self.clock = max(self.clock, due)
            self.session.announce_presence(self.moment)
            assert len(self.table.presence_pending) < before, "its timer would run for ever"
            self.deliver()
            due = self.session.presence_due()
        for phone in self.phones().values():
            assert phone.roster == {u: u in self.table.online for u in self.table.roster}

    @rule()
    def reports_that_stopped_no_longer_count(self) -> None:
        if self.table.ended is not None:
            return  # the actor is gone
        due = self.session.reports_due()
        late = {u for u, at in self.table.reported.items() if at + 20 <= self.clock}
        assert bool(late) is (due is not None and due <= self.clock)
        before = set(self.table.reported)
        self.session.end_reports(self.moment)
        assert set(self.table.reported) == before - late
        self.deliver()

    @rule(user_id=users)
    def loses_the_connection(self, user_id: str) -> None:
        phone = self.phones().get(user_id)
        if phone is not None:
            self.session.disconnect(phone, self.moment)
            self.gone.append(phone)
        self.deliver()

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def hears_late_of_a_lost_connection(self, data: st.DataObject) -> None:
        before = self.whole_state()
        self.session.disconnect(data.draw(st.sampled_from(self.gone)), self.moment)
        assert self.whole_state() == before
        assert not self.table.pending

    @rule(
        user_id=users,
        lat=st.integers(-90, 90),
        age=st.sampled_from([0.0, 0.0, 0.4, 10.0, 45.0, 4000.0]),
        said=st.booleans(),
        reported=st.booleans(),
    )
    def moves(self, user_id: str, lat: int, age: float, said: bool, reported: bool) -> None:
        """With a clock that is right, and a fix of now, or one that had to wait; over a connection
        or without one.
        """
        moment = self.moment
        age_ms = age * 1000 if said else None
        taken = moment.wall - timedelta(seconds=age)
        position = Position(float(lat), 0.0, 5.0, taken, age_ms=age_ms)
        if reported and user_id in self.table.roster and self.table.ended is None:
            self.session.report(user_id, position, moment)
            self.connected.add(user_id)
            assert user_id in self.table.online
            self.deliver()
        else:
            self.session.move(user_id, position, moment)
        if user_id not in self.table.roster or self.table.ended is not None:
            assert user_id not in self.table.positions
            return
        held = self.arrived.get(user_id, -math.inf) + LIMITS.retention > self.clock
        if not held or taken >= self.taken[user_id]:
            self.newest[user_id], self.arrived[user_id] = float(lat), self.clock
            self.taken[user_id] = taken
        entry = self.table.positions[user_id]
        assert entry.taken <= entry.arrived

    @rule()
    def is_flushed(self) -> None:
        moved = self.session.take_moved(self.clock)
        assert not self.table.moved
        for phone in self.phones().values():
            phone.positions |= {
                u: held.position.lat for u, held in moved.items() if u != phone.user_id
            }

    @rule(user_id=users, ban=st.booleans())
    def is_removed_by_the_host(self, user_id: str, ban: bool) -> None:
        table = self.table
        if table.ended is not None:
            return  # the actor refuses
        known, phone = user_id in table.roster, self.phones().get(user_id)
        origin = roster_of(table).origins.get(user_id, NOWHERE)
        command = Remove(user_id, ban)
        if not known and user_id not in table.lapsed:
            with pytest.raises(ParticipantNotFound):
                self.session.handle(command, self.moment)
            return
        before = roster_of(table).bans
        assert self.session.handle(command, self.moment) == (None, [phone] if phone else [])
        assert len(table.pending) == known, "the others know of a lost seat already"
        assert user_id not in {*table.roster, *table.lapsed}
        if ban:
            assert is_banned(roster_of(table).bans, origin, self.clock) is (origin != NOWHERE)
        else:
            assert roster_of(table).bans == before
        self.left.add(user_id)
        if phone is not None:
            self.gone.append(phone)
        self.deliver()

    @rule(user_id=users, reason=st.sampled_from(["left", "removed"]))
    def leaves(self, user_id: str, reason: LeaveReason) -> None:
        if user_id not in self.table.roster or self.table.ended is not None:
            return  # the actor refuses
        phone = self.phones().get(user_id)
        self.left.add(user_id)
        assert self.session.leave(user_id, reason) is phone
        if phone is not None:
            self.gone.append(phone)
        self.deliver()

    @rule(seconds=st.sampled_from([0.1, 0.7, 4.0, 14.3, 29.5, 31.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock += seconds

    @rule()
    def forgets(self) -> None:
        deadline = self.session.forget_stale(self.clock)
        held = [entry.arrived for entry in self.table.positions.values()]
        assert deadline == (min(held) + LIMITS.retention if held else None)
        assert deadline is None or deadline > self.clock
        fresh = {u for u, at in self.arrived.items() if at + LIMITS.retention > self.clock}
        if self.table.ended is None:
            assert set(self.table.positions) == fresh & set(self.table.roster)

    @rule()
    def is_noted(self) -> None:
        since = self.table.noted_at
        active, seen = self.session.take_activity(self.moment)
        assert active <= self.moment.wall
        heard = {user for user, at in self.table.last_heard.items() if at >= since}
        assert set(seen) == heard

    @rule()
    def is_adopted_by_a_new_incarnation(self) -> None:
        before = self.whole_state()
        self.session = SessionRules(self.table, LIMITS)
        assert self.whole_state() == before

    @precondition(lambda self: self.made > 3)
    @rule(reason=st.sampled_from(["expired", "ended_by_host", "inactive"]))
    def ends(self, reason: EndReason) -> None:
        first = self.table.ended is None
        before = self.table.ended
        self.session.end(reason)
        self.deliver()
        assert self.table.ended == (reason if first else before)
        if first:
            assert all(phone.ended == reason for phone in self.phones().values())
            self.table.receivers.clear()  # as the delivery of the end does

    def whole_state(self) -> tuple[object, ...]:
        table = self.table
        return (
            dict(table.roster), dict(table.positions), dict(table.moved), dict(table.receivers),
            table.ended,
        )  # fmt: skip

    # --- what holds -------------------------------------------------------------------------------

    @invariant()
    def what_belongs_together_is_together(self) -> None:
        table = self.table
        roster = set(table.roster)
        assert set(table.receivers) <= roster
        assert set(table.reported) <= roster
        assert table.presence_pending <= set(table.presence) <= roster
        assert set(table.last_heard) <= roster
        assert set(table.positions) <= roster
        assert set(table.moved) <= set(table.positions)
        assert set(table.clocks) <= roster
        assert not table.pending

    @invariant()
    def every_member_has_a_number_that_no_other_ever_had(self) -> None:
        table = self.table
        assert set(table.roster) <= set(table.numbers)
        for user_id, number in table.numbers.items():
            assert self.numbered.setdefault(number, user_id) == user_id
            assert number < table.next_number

    @invariant()
    def there_are_never_too_many(self) -> None:
        table = self.table
        seats = self.seated()
        others = [role for role, _ in seats].count("participant")
        assert others <= LIMITS.max_participants
        assert len(seats) <= LIMITS.max_participants + LIMITS.host_seats
        assert len(table.lapsed) <= LIMITS.max_participants
        assert set(table.never_connected) <= set(table.roster)
        assert not set(table.lapsed) & set(table.roster)

    @invariant()
    def features_stay_within_their_bounds_and_know_only_who_is_in(self) -> None:
        for size, bound in FEATURES.sizes(self.table, LIMITS).values():
            assert size <= bound
        assert set(roster_of(self.table).origins) <= set(self.table.roster)

    @invariant()
    def no_two_names_look_alike(self) -> None:
        names = [name for _, name in self.seated()]
        assert not any(confusable(one, other) for one, other in combinations(names, 2))

    @invariant()
    def positions_are_the_newest(self) -> None:
        for user_id, held in self.table.positions.items():
            assert held.position.lat == self.newest[user_id]
            assert held.arrived == self.arrived[user_id]

    @invariant()
    def every_phone_knows_the_state_of_the_session(self) -> None:
        table = self.table
        for phone in self.phones().values():
            expected = {
                user: (user in table.online) is not (user in table.presence_pending)
                for user in table.roster
            }
            expected[phone.user_id] = True
            assert phone.roster == expected
            assert phone.locked is roster_of(table).locked or table.ended is not None
            for user_id, held in table.positions.items():
                # What is stale and not yet forgotten is in no snapshot.
                fresh = held.arrived + LIMITS.retention > self.clock
                if fresh and user_id != phone.user_id and user_id not in table.moved:
                    assert phone.positions[user_id] == held.position.lat

    @invariant()
    def inactivity_is_counted_while_nobody_is_online(self) -> None:
        deadline = self.session.inactive_at()
        assert (deadline is None) == bool(self.table.online)
        if deadline is not None:
            assert deadline == self.table.active_at + LIMITS.inactive_after

    @invariant()
    def an_ended_session_holds_no_position_and_never_changes(self) -> None:
        if self.table.ended is None:
            return
        assert not self.table.positions
        assert not self.table.moved
        assert not self.table.reservations
        if self.frozen is None:
            self.frozen = self.whole_state()
        assert self.whole_state() == self.frozen


def a_table(clock: float) -> SessionTable:
    """Of a session in which nobody is."""
    record = SessionRecord(
        UUID(int=1), "A", START, START + timedelta(hours=1), UUID(int=2), True, START
    )
    return SessionTable(StoredSession(record, ()), clock)


@given(arrived=st.floats(0, 1e9), retention=st.floats(0.001, 1e5))
@example(arrived=2.3, retention=30.0)  # 2.3 + 30 - 30 < 2.3
def test_a_position_is_forgotten_at_the_instant_that_was_announced(
    arrived: float, retention: float
) -> None:
    table = a_table(arrived)
    rules = SessionRules(table, SessionLimits(retention=retention))
    rules.join(Member("user", "Name", "#112233", START, START), UUID(int=3), arrived)
    rules.move("user", Position(1.0, 2.0, 5.0, START), Moment(START, arrived))
    due = rules.forget_stale(arrived)
    if due is None:
        assert arrived + retention == arrived  # too short to be told
        return
    at_last = rules.snapshot("user", "participant", Moment(START, due), "epoch")
    assert at_last.positions == ()
    assert rules.forget_stale(due) is None, "its timer would run for ever"


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=200, stateful_step_count=40)
