"""Random histories of receivers that choose a pace and of senders that are asked for one.

Hypothesis plays the phones and the clock over the functions that the session actor calls, in the
order in which it calls them. Each phone knows only what it was written; after every step it knows
what its pace promises, and is asked for what those who see it want.
"""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Struct

from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.model.distance import metres
from locshare.model.pace import NORMAL, Pace
from locshare.model.participant import Member
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.session.delivery import send_positions
from locshare.session.far_apart import FAR_M, NEAR_M
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.pacing import (
    ask_senders,
    begin_pace,
    flush_paced,
    note_distances,
    note_moved,
    paced_due,
    set_pace,
)
from locshare.session.rules import SessionRules
from locshare.session.sender_pace import FAR, MAX_UNASKED, decide, pace_for
from locshare.wire.dialects import Dialect
from locshare.wire.plain import PLAIN
from tests.models.session_model import a_table
from tests.session.kit import messages_in

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
USERS = "Ada", "Bo", "Cy", "Di"
LIMITS = SessionLimits(max_participants=10, retention=30)
WINDOW_S = 0.25
NAMES = st.sampled_from(USERS)
PACES = st.sampled_from([0.0, 0.0, 0.25, 0.3, 5.0, 7.25, 30.0, 60.0])
PLACES = st.sampled_from([0.0, 0.001, 0.03, 0.06, 1.0])  # degrees: together, between, far apart


class Phone(Struct, eq=False):
    """A receiver that keeps what it was written."""

    user_id: str
    interval_s: float = 0.0
    known: dict[str, float] = {}
    pace: Pace = NORMAL
    written_at: float | None = None  # by its pace, since the first time after it chose it
    has_chosen: bool = True
    writes: int = 0
    closed: bool = False
    dialect: Dialect = PLAIN

    @property
    def backlog_bytes(self) -> int:
        return 0

    def send_event(self, frame: bytes) -> None:
        (message,) = messages_in(frame)
        assert message["type"] == "pace"
        before, self.pace = self.pace, Pace(**message["data"])
        assert self.pace != before, "no news"

    def send_positions(self, flush: Flush) -> None:
        data = flush.without(self.user_id)
        self.writes += bool(data)
        for message in messages_in(data):
            # What is written is as new as what was known, or newer: places only grow.
            number = message["data"]["accuracy"]
            assert number >= self.known.get(message["data"]["user_id"], 0)
            self.known[message["data"]["user_id"]] = number

    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        fan.add(entry or self, None)

    def send_rest(self, flush: Flush, sent: int) -> None:
        raise AssertionError("it has no socket")

    def close(self, reason: CloseReason) -> None:
        raise AssertionError("nothing here closes")


class Paces(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = 1000.3
        self.table = a_table(self.clock)
        self.session = SessionRules(self.table, LIMITS)
        self.count = 0
        self.waited = 0.0  # what moved, for its flush
        self.newest: dict[str, tuple[int, float]] = {}  # number and arrival
        for number, user_id in enumerate(USERS):
            self.session.join(
                Member(user_id, user_id, "#112233", START, START), UUID(int=number), self.clock
            )
        self.table.pending.clear()

    @property
    def moment(self) -> Moment:
        return Moment(START + timedelta(seconds=self.clock - 1000), self.clock)

    @property
    def phones(self) -> dict[str, Phone]:
        return dict(self.table.receivers)  # type: ignore[arg-type]  # ours are all phones

    def ask(self, *, settled: bool = False) -> None:
        before = {user_id: phone.pace for user_id, phone in self.phones.items()}
        asked = ask_senders(self.table, LIMITS.retention, settled=settled)
        after = {user_id: phone.pace for user_id, phone in self.phones.items()}
        assert asked.sent == sum(before[user_id] != after[user_id] for user_id in after)
        wanted = {user_id: self.wanted_of(user_id) for user_id in after}
        assert asked.waiting is (wanted != after)
        assert not (settled and asked.waiting)

    def fire(self) -> None:
        """The timer of the receivers with a pace, if it is due."""
        due = paced_due(self.table)
        if due is None or due > self.clock:
            return
        before = {user_id: phone.writes for user_id, phone in self.phones.items()}
        flush_paced(self.table, self.clock, LIMITS.retention)
        for user_id, phone in self.phones.items():
            if phone.writes == before[user_id]:
                continue
            assert phone.writes == before[user_id] + 1, "all in one write"
            if phone.written_at is not None:
                assert self.clock - phone.written_at >= phone.interval_s - WINDOW_S - 1e-6
            # The first write after a choice is that of the earlier pace, if one was due.
            phone.written_at = None if phone.has_chosen else self.clock
            phone.has_chosen = False
        after = paced_due(self.table)
        assert after is None or after > self.clock, "its timer would run for ever"

    # --- what happens -----------------------------------------------------------------------------

    @rule(user_id=NAMES, interval_s=PACES)
    def connects(self, user_id: str, interval_s: float) -> None:
        phone = Phone(user_id, interval_s)
        snapshot = self.session.views.snapshot(user_id, "participant", self.moment)
        phone.known = {each.user_id: each.accuracy or 0.0 for each in snapshot.positions}
        self.session.connect(phone, self.moment)
        begin_pace(self.table, phone, interval_s, self.clock)
        self.table.pending.clear()
        self.ask()

    @rule(user_id=NAMES)
    def disconnects(self, user_id: str) -> None:
        phone = self.phones.get(user_id)
        if phone is not None:
            self.session.disconnect(phone, self.moment)
            self.table.pending.clear()
            set_pace(self.table, phone, 5.0, self.clock, LIMITS.retention)  # said too late
            self.ask()

    @rule(user_id=NAMES, interval_s=PACES)
    def chooses(self, user_id: str, interval_s: float) -> None:
        phone = self.phones.get(user_id)
        if phone is not None:
            set_pace(self.table, phone, interval_s, self.clock, LIMITS.retention)
            phone.interval_s, phone.written_at, phone.has_chosen = interval_s, None, True
            self.fire()
            self.ask()

    @rule(user_id=NAMES, lat=PLACES)
    def moves(self, user_id: str, lat: float) -> None:
        self.count += 1
        taken = self.moment.wall
        self.session.move(user_id, Position(lat, 0.0, float(self.count), taken), self.moment)
        self.newest[user_id] = self.count, self.clock

    @rule()
    def is_flushed(self) -> None:
        moved = self.session.take_moved(self.clock)
        self.waited = 0.0
        if moved:
            send_positions(self.table, moved, self.clock)
            note_moved(self.table, moved)
            self.fire()

    @rule()
    def waits_in_the_flush_window(self) -> None:
        if self.waited + 0.1 <= WINDOW_S:
            self.waited += 0.1
            self.passes(0.1)

    @rule(seconds=st.sampled_from([0.1, 0.25, 1.0, 4.9, 5.0, 14.0, 30.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.is_flushed()
        self.passes(seconds)

    def passes(self, seconds: float) -> None:
        until = self.clock + seconds
        while (due := paced_due(self.table)) is not None and due <= until:
            self.clock = max(self.clock, due)
            self.fire()
        self.clock = until
        self.session.forget_stale(self.clock)

    @rule()
    def settles(self) -> None:
        self.ask(settled=True)
        for user_id, phone in self.phones.items():
            assert phone.pace == self.wanted_of(user_id)

    @rule()
    def looks_how_far_apart_they_are(self) -> None:
        before = self.table.far
        note_distances(self.table)
        connected, positions = [*self.phones], self.table.positions
        apart = all(each in positions for each in connected) and len(connected) > 1
        for user_id in connected:
            limit = NEAR_M if user_id in before else FAR_M
            assert (user_id in self.table.far) is (
                apart
                and all(
                    metres(positions[user_id].position, positions[other].position) >= limit
                    for other in connected
                    if other != user_id
                )
            )
        self.ask()

    @rule()
    def crashes(self) -> None:
        """As a new incarnation adopts the table."""
        self.session = SessionRules(self.table, LIMITS)
        note_moved(self.table, self.table.positions)
        self.fire()
        self.ask()

    # --- what holds -------------------------------------------------------------------------------

    def wanted_of(self, user_id: str) -> Pace:
        """What the table in the documentation says."""
        others = [each for each in self.phones if each != user_id]
        paces = [self.phones[each].interval_s for each in others]
        if any(pace == 0 for pace in paces):
            return FAR if user_id in self.table.far else NORMAL
        rounded = [math.ceil(pace * 4) / 4 for pace in paces]
        return Pace(min([15.0, *(pace / 2 for pace in rounded)]), 0.0)

    @invariant()
    def every_phone_knows_what_its_pace_promises(self) -> None:
        for phone in self.phones.values():
            interval_s = math.ceil(phone.interval_s * 4) / 4
            for user_id, (number, arrived) in self.newest.items():
                fresh = arrived + LIMITS.retention > self.clock
                if not fresh or user_id == phone.user_id or user_id in self.table.moved:
                    continue
                if arrived + interval_s + 1e-6 < self.clock or not interval_s:
                    assert phone.known.get(user_id) == number

    @invariant()
    def every_phone_was_asked_for_what_the_table_says(self) -> None:
        for user_id, phone in self.phones.items():
            assert phone.pace == self.table.asked.get(user_id, NORMAL)
            assert phone.pace.interval_s <= self.wanted_of(user_id).interval_s, (
                "a request to send faster does not wait"
            )

    @invariant()
    def only_the_connected_have_a_pace(self) -> None:
        table, phones = self.table, self.phones
        chosen = {user_id for user_id, phone in phones.items() if phone.interval_s}
        assert set(table.paced) == chosen
        assert set(table.asked) <= set(phones)
        assert set(table.far) <= set(phones)


TestPaces = Paces.TestCase
TestPaces.settings = settings(max_examples=150, stateful_step_count=40)


@given(
    paces=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 30.0]), max_size=60),
    asked=st.lists(st.sampled_from([NORMAL, FAR, Pace(15.0, 0.0), Pace(2.0, 5.0)]), max_size=60),
)
def test_once_it_has_settled_each_sender_has_been_asked_for_its_own_pace(
    paces: list[float], asked: list[Pace]
) -> None:
    connected = [str(number) for number in range(len(paces))]
    chosen = {each: pace for each, pace in zip(connected, paces, strict=True) if pace}
    before = {each: pace for each, pace in zip(connected, asked, strict=False) if pace != NORMAL}
    requests = decide(connected, chosen, before, settled=True)
    assert not requests.waiting
    for each in connected:
        others = [other for other in connected if other != each]
        unpaced = [other for other in others if other not in chosen]
        shortest = min((chosen[other] for other in others if other in chosen), default=math.inf)
        watching, was = len(unpaced), before.get(each, NORMAL)
        wanted, now = pace_for(watching, shortest), requests.now.get(each, was)
        assert each not in requests.now or was != wanted, "no news"
        if now != wanted:
            assert now == was
            assert watching > 18
            assert abs(now.interval_s - watching / 20) <= 1 + watching / 200, "within a tenth"
        assert watching <= MAX_UNASKED or wanted.interval_s == math.ceil(watching / 20)
