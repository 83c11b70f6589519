"""Random histories of a session against what its participants should know.

Hypothesis plays the host, the participants, their phones and the clock. What holds after every step
is in :mod:`tests.models.session_model`.
"""

import math
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, precondition, rule

from locshare.broadcast.addressed import is_addressed_to
from locshare.model.events import ParticipantJoined
from locshare.model.participant import LeaveReason, Member, PresenceState, Role
from locshare.model.position import Position
from locshare.model.reasons import EndReason
from locshare.model.session import Snapshot
from locshare.session.errors import ParticipantNotFound, SessionFull
from locshare.session.features.feature import Candidate
from locshare.session.features.roster import Lock, Remove, ReplaceLink, is_banned, roster_of
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.origin import NOWHERE, Origin
from locshare.session.rules import SessionRules
from tests.models.session_model import LIMITS, START, Phone, SessionModel, a_table

NAMES = st.sampled_from(["Ada", "ada", "\u0410da", "Bo"])
ORIGINS = st.sampled_from([NOWHERE, Origin(b"home"), Origin(b"cafe", b"device")])
STATES: st.SearchStrategy[PresenceState] = st.sampled_from(["active", "paused", "hidden"])
LINK_KEYS = st.sampled_from([None, "", "old", "new"])
ROLES: st.SearchStrategy[Role] = st.sampled_from(["participant", "participant", "host"])


class Histories(SessionModel):
    users: "Bundle[str]" = Bundle("users")
    seats: "Bundle[tuple[int, str]]" = Bundle("seats")

    @rule(target=users, name=NAMES, role=ROLES, origin=ORIGINS, link_key=LINK_KEYS)
    def joins(self, name: str, role: Role, origin: Origin, link_key: str | None) -> str:
        self.made += 1
        user_id, seat = f"user {self.made}", UUID(int=100 + self.made)
        table = self.table
        taken = len(table.roster) + len(table.reservations)
        hosts = [role for role, _ in self.seated()].count("host")
        room = taken < LIMITS.max_participants or (role == "host" and hosts < LIMITS.host_seats)
        part = roster_of(table)
        barred = part.locked or is_banned(part.bans, origin, self.clock)
        barred = barred or (link_key is not None and part.link_key not in ("", link_key))
        room = room and (role == "host" or not barred)
        expired = any(kept.until <= self.clock for kept in table.reservations.values())
        reserved = self.session.reserve(seat, self.clock, name, Candidate(role, origin, link_key))
        if table.ended is not None:
            assert reserved is None
        elif not expired:
            assert (reserved is not None) is room
        if reserved is not None:
            assert reserved == name or reserved.startswith(name + " ")
            self.comes_in(user_id, seat, reserved, role, origin, link_key)
        self.deliver()
        return user_id

    def comes_in(
        self,
        user_id: str,
        seat: UUID,
        name: str,
        role: Role,
        origin: Origin = NOWHERE,
        link_key: str | None = None,
    ) -> None:
        member = Member(user_id, name, "#112233", self.moment.wall, self.moment.wall, role)
        known = user_id in self.table.roster
        candidate = Candidate(role, origin, link_key)
        entered = self.session.join(member, seat, self.clock, candidate)
        assert entered is (user_id in self.table.roster and self.table.ended is None)
        assert seat not in self.table.reservations
        assert len(self.table.pending) == (entered and not known)
        # Asked again, after a crash:
        assert self.session.join(member, seat, self.clock, candidate) is entered
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

    @rule(link_key=LINK_KEYS.filter(bool))
    def replaces_the_link(self, link_key: str) -> None:
        if self.table.ended is not None:
            return  # the actor refuses
        before = roster_of(self.table).link_key
        self.session.handle(ReplaceLink(link_key), self.moment)
        assert len(self.table.pending) == (link_key != before)
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

    @rule(
        user_id=users,
        asks=st.sampled_from([None, 0, 0, 0, 2, -1, 10_000]),
        state=st.sampled_from(["active", "active", "paused", "hidden"]),
    )
    def connects(self, user_id: str, asks: int | None = 0, state: PresenceState = "active") -> None:
        """``asks`` to be told what it missed: since what it knows, or longer ago, or nonsense."""
        if user_id not in self.table.roster or self.table.ended is not None:
            return  # the actor refuses
        table = self.table
        before = self.phones().get(user_id)
        seen = user_id in table.receivers or user_id in table.dropped
        shown = table.presence.get(user_id)
        no_news = seen and shown is not None and (shown.online, shown.state) == (True, state)
        phone = Phone(user_id, {}, {}, state=state, began=state)
        known = None if asks is None else self.known.get(user_id, 0) - asks
        resume = None if known is None else f"{table.epoch}.{known}"
        snapshot = self.session.views.snapshot(user_id, "participant", self.moment, resume, state)
        phone.learn(snapshot)
        self.is_told_what_it_missed(user_id, known, snapshot)
        self.known[user_id] = snapshot.seq
        assert phone.roster[user_id] == (True, state), "one sees oneself online"
        assert phone.positions == {
            user: self.newest[user]
            for user, arrived in self.arrived.items()
            if user in self.table.roster and arrived + LIMITS.retention > self.clock
        }, "all that are fresh, and nothing older"
        assert self.session.connect(phone, self.moment, state) is before
        self.connected.add(user_id)
        assert snapshot.seq == self.table.seq, "the next event is the next number"
        if before is not None:
            self.gone.append(before)
        if no_news:
            assert not table.pending, "a replacement, and a return within the grace, is no news"
        self.deliver()

    def is_told_what_it_missed(self, user_id: str, known: int | None, snapshot: Snapshot) -> None:
        """Exactly what a client would have been told that had never dropped; or nothing of it."""
        if known is None:
            assert (snapshot.resumed, snapshot.missed) == (None, None)
            return
        after = [(each, at) for each, at in self.history if each.event.seq > known]
        newcomer = any(
            isinstance(each.event, ParticipantJoined) and each.event.user_id == user_id
            for each, _ in after
        )
        kept = len(after) <= LIMITS.kept_events and all(
            at > self.clock - LIMITS.kept_events_s for _, at in after
        )
        assert snapshot.resumed is (0 <= known <= self.sent_seq and kept and not newcomer)
        if not snapshot.resumed:
            assert snapshot.missed is None
            return
        assert snapshot.missed is not None
        assert [each.data for each in snapshot.missed] == [
            each.event for each, _ in after if is_addressed_to(each.audience, user_id)
        ]

    @rule(user_id=users)
    def flaps(self, user_id: str) -> None:
        """As a phone on a bad network, or somebody who wants everybody to hear it all the time."""
        for _ in range(4):
            self.loses_the_connection(user_id)
            self.connects(user_id)

    @rule()
    def presence_catches_up(self) -> None:
        """Time passes until the others have been sent everything about it."""
        if self.table.ended is not None:
            return  # the actor is gone
        while (due := self.session.presence_due()) is not None:
            self.clock = max(self.clock, due)
            self.session.update_presence(self.moment)
            after = self.session.presence_due()
            assert after is None or after > self.clock, "its timer would run for ever"
            self.deliver()
        for phone in self.phones().values():
            assert {u: online for u, (online, _) in phone.roster.items()} == {
                u: u in self.table.online for u in self.table.roster
            }

    @rule()
    def presence_is_updated(self) -> None:
        table, now = self.table, self.clock
        if table.ended is not None:
            return  # the actor is gone
        late = {u for u, at in table.reported.items() if at + 20 <= now}
        over = {u for u, at in table.dropped.items() if at + 5 <= now}
        due = self.session.presence_due()
        assert not late | over or (due is not None and due <= now)
        reported, dropped = set(table.reported), set(table.dropped)
        self.session.update_presence(self.moment)
        assert set(table.reported) == reported - late
        assert set(table.dropped) == dropped - over
        self.deliver()

    @rule(user_id=users, state=STATES, stale=st.booleans())
    def shows_a_state(self, user_id: str, state: PresenceState, stale: bool) -> None:
        phone = self.phones().get(user_id)
        if stale and self.gone:
            before = self.whole_state()
            self.session.set_state(self.gone[-1], state, self.moment)
            assert self.whole_state() == before
            assert not self.table.pending, "of an earlier connection"
        elif phone is not None and self.table.ended is None:
            self.session.set_state(phone, state, self.moment)
            phone.state = state
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
        assert self.session.leave(user_id, reason, self.clock) is phone
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
    at_last = rules.views.snapshot("user", "participant", Moment(START, due))
    assert at_last.positions == ()
    assert rules.forget_stale(due) is None, "its timer would run for ever"


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=200, stateful_step_count=40)
