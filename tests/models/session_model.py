"""What holds of a session at any time, for the random histories of test_session_rules.py.

Beside the rules stands a shadow of every connected phone, which knows only what it was sent: the
snapshot, then each event and each flush. After every step the rules' invariants hold, and each
shadow knows the session's state.
"""

import math
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine, invariant
from msgspec import Struct

from locshare.broadcast.addressed import Addressed, recipients
from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.confusables import confusable
from locshare.model.events import (
    Event,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    SessionEnded,
    SessionUpdated,
)
from locshare.model.participant import PresenceState, Role
from locshare.model.reasons import CloseReason
from locshare.model.session import Snapshot
from locshare.session.features.registry import FEATURES
from locshare.session.features.roster import roster_of
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
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
    offline_grace=5,
    kept_events=8,
    kept_events_s=40,
    host_seats=2,
)


class Phone(Struct, eq=False):
    """A receiver that keeps what it knows. The rules never call it; the test does."""

    user_id: str
    roster: dict[str, tuple[bool, str]]
    positions: dict[str, float]
    told: list[Event] = []  # live, or as missed
    state: PresenceState = "active"
    began: PresenceState = "active"
    ended: str | None = None
    locked: bool = False
    link_key: str = ""
    closed: bool = False
    dialect: Dialect = PLAIN

    @property
    def backlog_bytes(self) -> int:
        return 0

    def send_event(self, frame: bytes) -> None:
        raise AssertionError("the rules call no receiver")

    def send_positions(self, flush: Flush) -> None:
        raise AssertionError("the rules call no receiver")

    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        fan.add(entry or self, None)

    def send_rest(self, flush: Flush, sent: int) -> None:
        raise AssertionError("it has no socket")

    def close(self, reason: CloseReason) -> None:
        raise AssertionError("the rules call no receiver")

    def learn(self, snapshot: Snapshot) -> None:
        """Take over what a snapshot tells."""
        self.roster = {each.user_id: (each.online, each.state) for each in snapshot.participants}
        self.positions = {each.user_id: each.lat for each in snapshot.positions}
        self.locked = snapshot.session.locked
        self.link_key = snapshot.session.link_key or ""


class SessionModel(RuleBasedStateMachine):
    """The rules over one table, and the invariants. What happens is for a subclass to say."""

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
        self.sent_seq = 0
        self.history: list[tuple[Addressed, float]] = []  # every event, and when
        self.known: dict[str, int] = {}  # the last event that each one's client knows
        self.frozen: tuple[object, ...] | None = None
        self.somebody_online_at = -math.inf

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
            assert addressed.event.seq > self.sent_seq, "in order, and no number twice"
            self.sent_seq = addressed.event.seq
            self.table.log.append(addressed, self.clock, LIMITS.kept_events)
            self.history.append((addressed, self.clock))
            for phone in recipients(addressed.audience, self.phones()):
                phone.told.append(addressed.event)
                self.known[phone.user_id] = self.sent_seq
                match addressed.event:
                    case ParticipantJoined(user_id):
                        assert user_id not in phone.roster, "joined twice"
                        phone.roster[user_id] = (False, "active")
                    case ParticipantUpdated(user_id, online, _, role, state):
                        assert user_id != phone.user_id or role, "nobody is sent their own presence"
                        assert user_id in phone.roster, "updated before it joined"
                        assert role or phone.roster[user_id] != (online, state), "no news"
                        if user_id != phone.user_id:
                            phone.roster[user_id] = (online, state)
                    case ParticipantLeft(user_id):
                        assert user_id != phone.user_id
                        del phone.roster[user_id]
                        phone.positions.pop(user_id, None)
                    case SessionUpdated(locked, link_key):
                        phone.locked, phone.link_key = locked, link_key
                    case SessionEnded(reason):
                        phone.ended = reason

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
        assert set(table.states) <= set(table.receivers)
        assert set(table.dropped) <= set(table.presence) - set(table.receivers)
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
        assert table.log.joined() <= set(table.numbers), "to write what was missed"
        assert len(table.log) <= LIMITS.kept_events
        assert len(table.numbers) <= len(self.numbered)

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
            assert set(phone.roster) == set(table.roster)
            for user in table.roster:
                shown = phone.roster[user]
                if user == phone.user_id:
                    assert shown == (True, phone.began), "nobody is sent their own presence"
                elif user in table.dropped and user not in table.receivers:
                    assert shown[0], "within the grace period"
                else:
                    connected = self.phones().get(user)
                    actual = (user in table.online, "active" if not connected else connected.state)
                    assert (shown == actual) is (user not in table.presence_pending)
            assert phone.locked is roster_of(table).locked or table.ended is not None
            assert phone.link_key == roster_of(table).link_key or table.ended is not None
            for user_id, held in table.positions.items():
                # What is stale and not yet forgotten is in no snapshot.
                fresh = held.arrived + LIMITS.retention > self.clock
                if fresh and user_id != phone.user_id and user_id not in table.moved:
                    assert phone.positions[user_id] == held.position.lat

    @invariant()
    def inactivity_is_counted_while_nobody_is_online(self) -> None:
        deadline = self.session.inactive_at()
        assert (deadline is None) == bool(self.table.online)
        if deadline is None:
            self.somebody_online_at = self.clock
        else:
            assert deadline == self.table.active_at + LIMITS.inactive_after
            if self.table.ended is None:
                assert self.table.active_at >= self.somebody_online_at, "since the last one went"

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
