"""A flush on its way out of a session, through its fans and real sockets."""

import gc
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import trio

from locshare.broadcast.native import WriteCounters
from locshare.broadcast.outbox import Outbox
from locshare.connection.subscription import Subscription
from locshare.connection.transport import Transport
from locshare.model.participant import Member
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.ops.faults.fault_points import FaultPoints, ReceiverWithFaults
from locshare.ops.faults.handlers import InjectedFault
from locshare.session.counters import SessionCounters
from locshare.session.delivery import deliver_end, resume, send_positions
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.pacing import begin_pace, set_pace
from locshare.session.rules import SessionRules
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, StoredSession
from locshare.wire.compact import COMPACT
from locshare.wire.dialects import Dialect
from locshare.wire.plain import PLAIN
from tests.broadcast.wire_kit import no_link, parse
from tests.running import LAST_RESORT_S
from tests.session.kit import messages_in

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = SessionLimits()


class Phone:
    """A connection: its socket, its outbox, and its subscriptions' owner."""

    def __init__(self, nursery: trio.Nursery) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.far = socket.create_connection(listener.getsockname())
            self.near, _ = listener.accept()
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for each in (self.near, self.far):
            each.setblocking(False)
        self._nursery = nursery
        self.counters = WriteCounters()
        self.transport = Transport(self.near)
        self.outbox = Outbox(self.transport, self, spawn=self._spawn, counters=self.counters)
        self.closed: list[CloseReason] = []
        self.failures = 0
        self.whole = trio.Event()

    def _spawn(self, drain: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(drain)

    def drained(self) -> None:
        self.whole.set()

    def write_failed(self) -> None:
        self.failures += 1

    def too_slow(self) -> None:
        raise AssertionError("it is waited for")

    def close_subscription(self, _subscription: Subscription, reason: CloseReason) -> None:
        self.closed.append(reason)

    def came(self) -> bytes:
        data = b""
        try:
            while more := self.far.recv(1 << 20):
                data += more
        except BlockingIOError:
            pass
        return data

    def heard(self) -> list[tuple[str, float]]:
        """Who was where, of the plain dialect."""
        moved = [each["data"] for each in messages_in(self.came())]
        return [(data["user_id"], data["lat"]) for data in moved]

    def end(self) -> None:
        self.outbox.abandon()
        self.transport.close()
        self.far.close()


class Session:
    """Rules and their table, with the phones of its members."""

    def __init__(self, nursery: trio.Nursery) -> None:
        record = SessionRecord(
            UUID(int=1), "A", START, START + timedelta(hours=1), UUID(int=2), True, START
        )
        self.clock = 10.0
        self.table = SessionTable(StoredSession(record, ()), self.clock)
        self.rules = SessionRules(self.table, LIMITS)
        self.phones: list[Phone] = []
        self._nursery = nursery

    @property
    def moment(self) -> Moment:
        return Moment(START + timedelta(seconds=self.clock), self.clock)

    def phone(self) -> Phone:
        self.phones.append(Phone(self._nursery))
        return self.phones[-1]

    def connect(self, name: str, phone: Phone, dialect: Dialect = PLAIN) -> Subscription:
        if name not in self.table.roster:
            number = len(self.table.roster)
            member = Member(name, name, "#112233", START, START)
            self.rules.join(member, UUID(int=number), self.clock)
        subscription = Subscription(
            self.table.session.id, name, dialect, phone.outbox, phone, no_link()
        )
        self.rules.connect(subscription, self.moment)
        return subscription

    def flush(self, **moved: float) -> None:
        for name, lat in moved.items():
            self.clock += 0.01
            self.rules.move(name, Position(lat, 0.0, 5.0, self.moment.wall), self.moment)
        send_positions(self.table, self.rules.take_moved(self.clock), self.clock)


@pytest.fixture
def session(nursery: trio.Nursery) -> Iterator[Session]:
    made = Session(nursery)
    yield made
    for phone in made.phones:
        phone.end()


async def test_everyone_hears_the_others_in_one_write_each(session: Session) -> None:
    phones = {name: session.phone() for name in ("ada", "bo", "cy")}
    for name, phone in phones.items():
        session.connect(name, phone)
    session.flush(ada=1, bo=2)
    assert phones["ada"].heard() == [("bo", 2)]
    assert phones["bo"].heard() == [("ada", 1)]
    assert phones["cy"].heard() == [("ada", 1), ("bo", 2)]
    assert [phone.counters.writes for phone in phones.values()] == [1, 1, 1]


async def test_receivers_of_each_dialect_get_a_flush_in_theirs(session: Session) -> None:
    ada, bo, cy = (session.phone() for _ in range(3))
    session.connect("ada", ada)
    session.connect("bo", bo, COMPACT)
    session.connect("cy", cy)
    session.flush(ada=1)
    assert cy.heard() == [("ada", 1)]
    assert [first for first, _ in parse(bo.came())] == [0x82]
    assert ada.came() == b""


async def test_a_flush_cut_by_a_full_socket_is_finished_before_anything_else(
    session: Session,
) -> None:
    slow = session.phone()
    session.connect("ada", session.phone())
    session.connect("slow", slow)
    lat = 0
    while slow.outbox.exit.open:
        lat += 1
        session.flush(ada=lat / 1000)
    session.flush(ada=80)
    slow.outbox.send_event(b"\x81\x02{}")
    session.flush(ada=81)
    data = b""
    with trio.fail_after(LAST_RESORT_S):
        while not slow.whole.is_set():
            data += slow.came()
            await trio.lowlevel.checkpoint()
    session.flush(ada=82)
    data += slow.came()
    payloads = [payload for _, payload in parse(data)]
    event = payloads.index(b"{}")
    lats = [message["data"]["lat"] for message in messages_in(data) if message]
    assert event == len(payloads) - 3, "behind what was begun, before what came after it"
    assert lats[-2:] == [81, 82]
    begun = lats[:-2]
    assert begun == [number / 1000 for number in range(1, len(begun) + 1)]
    assert len(begun) in (lat, lat - 1), "the last was cut, or found no room for its first byte"


async def test_a_receiver_with_a_pace_is_left_out_until_it_gives_it_up(session: Session) -> None:
    ada, bo = session.phone(), session.phone()
    session.connect("ada", ada)
    paced = session.connect("bo", bo)
    session.flush(ada=1)
    begin_pace(session.table, paced, 5.0, session.clock)
    session.flush(ada=2)
    assert bo.heard() == [("ada", 1)]
    set_pace(session.table, paced, 0.0, session.clock, LIMITS.retention)
    assert bo.heard() == [("ada", 2)]
    session.flush(ada=3)
    assert bo.heard() == [("ada", 3)]


async def test_one_of_several_on_a_socket_that_has_ended_gets_nothing_more(
    session: Session,
) -> None:
    both = session.phone()
    session.connect("ada", session.phone())
    ended = session.connect("bo", both)
    session.connect("cy", both)
    session.flush(ada=1)
    assert both.heard() == [("ada", 1)] * 2
    ended.end()
    session.flush(ada=2)
    assert both.heard() == [("ada", 2)]
    session.table.regroup()  # before the session has heard of the end
    session.flush(ada=3)
    assert both.heard() == [("ada", 3)]


@pytest.mark.parametrize("armed_before", [False, True])
async def test_a_stand_in_with_faults_is_written_to_by_the_fan_until_a_fault_is_armed(
    session: Session, armed_before: bool
) -> None:
    points, bo = FaultPoints(), session.phone()
    session.connect("ada", session.phone())
    real = session.connect("bo", bo)
    stand_in = ReceiverWithFaults(real, session.table.session.id, points)
    session.rules.connect(stand_in, session.moment)
    if not armed_before:
        session.flush(ada=1, bo=2)
        assert bo.heard() == [("ada", 1)]
    points.arm(session.table.session.id, "positions", 0)
    with pytest.raises(InjectedFault):
        session.flush(ada=3)
    resume(session.table)
    assert bo.heard() == [("ada", 3)]
    real.end()
    session.flush(ada=4)
    assert bo.heard() == []


async def test_who_is_replaced_or_leaves_gets_nothing_more(session: Session) -> None:
    old, new, other = (session.phone() for _ in range(3))
    session.connect("ada", session.phone())
    session.connect("bo", old)
    gone = session.connect("cy", other)
    session.flush(ada=1)
    session.connect("bo", new)
    session.rules.disconnect(gone, session.moment)
    session.flush(ada=2)
    assert (old.heard(), other.heard()) == ([("ada", 1)], [("ada", 1)])
    assert new.heard() == [("ada", 2)]


async def test_a_lost_socket_is_reported_once_and_holds_nobody_up(session: Session) -> None:
    lost, bo = session.phone(), session.phone()
    session.connect("ada", session.phone())
    session.connect("lost", lost)
    session.connect("bo", bo)
    lost.near.shutdown(socket.SHUT_RDWR)
    for lat in (1, 2, 3):
        session.flush(ada=lat)
    assert lost.failures == 1
    assert bo.heard() == [("ada", 1), ("ada", 2), ("ada", 3)]


async def test_what_has_ended_is_given_back_without_the_collector(session: Session) -> None:
    session.connect("ada", session.phone())
    subscription = session.connect("bo", session.phone())
    session.flush(ada=1)
    gone = weakref.ref(subscription.link)  # which nobody else holds
    gc.disable()
    try:
        subscription.end()
        session.rules.disconnect(subscription, session.moment)
        del subscription
        assert gone() is None
    finally:
        gc.enable()


async def test_after_the_end_nobody_is_written_to(session: Session) -> None:
    bo = session.phone()
    session.connect("ada", session.phone())
    session.connect("bo", bo)
    session.flush(ada=1)
    bo.came()
    session.rules.end("ended_by_host")
    deliver_end(session.table, SessionCounters())
    types = [each["type"] for each in messages_in(bo.came())]
    assert types[-1] == "session_ended"
    assert "location_update" not in types
    assert bo.closed == [CloseReason.SESSION_ENDED]
    assert session.table.fans is None
