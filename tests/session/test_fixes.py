"""How old a fix is, and which of two is the newer."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from locshare.actors.testing import settle
from locshare.model.participant import Member
from locshare.model.position import Position
from locshare.session.fixes import MAX_AGE_S, STEADY_S, judge
from locshare.session.limits import SessionLimits
from locshare.session.moment import Moment
from locshare.session.rules import SessionRules
from locshare.session.table import SessionTable
from locshare.store.port import SessionRecord, StoredSession
from tests.session.kit import House, Someone, house

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600.0


class Sender:
    """One participant, whose updates arrive at seconds after noon, by a server whose clock is
    right. Trio's clock is a hundred seconds at noon.
    """

    def __init__(self) -> None:
        record = SessionRecord(
            UUID(int=1), "A", NOON, NOON + timedelta(hours=1), UUID(int=2), True, NOON
        )
        self.table = SessionTable(StoredSession(record, ()), 100.0)
        self.rules = SessionRules(self.table, SessionLimits())
        self.rules.join(Member("ada", "Ada", "#112233", NOON, NOON), UUID(int=3), 100.0)

    def sends(self, at: float, lat: float, taken: float, age_ms: float | None = None) -> None:
        """A position whose timestamp is ``taken`` seconds after noon arrives at ``at``."""
        position = Position(lat, 0.0, None, NOON + timedelta(seconds=taken), age_ms=age_ms)
        self.rules.move("ada", position, Moment(NOON + timedelta(seconds=at), 100.0 + at))

    @property
    def held(self) -> float:
        return self.table.positions["ada"].position.lat

    def age(self, at: float) -> float:
        return 100.0 + at - self.table.positions["ada"].taken


def test_an_older_fix_does_not_replace_a_newer_one() -> None:
    sender = Sender()
    sender.sends(at=30.0, lat=1, taken=30)
    sender.sends(at=30.1, lat=2, taken=0)
    sender.sends(at=30.2, lat=3, taken=-3 * HOUR)
    assert sender.held == 1
    assert sender.table.moved == sender.table.positions
    sender.sends(at=30.3, lat=4, taken=30)
    assert sender.held == 4, "equal: a repeat, of which the later counts"
    assert sender.table.last_heard["ada"] == pytest.approx(130.3)
    sender.sends(at=31.0, lat=5, taken=10)
    assert sender.table.last_heard["ada"] == 131.0, "heard of, whatever was heard"


def test_after_the_retention_arrival_decides() -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=0)
    sender.sends(at=29.9, lat=2, taken=-1)
    assert sender.held == 1
    sender.sends(at=30.0, lat=3, taken=-1)
    assert sender.held == 3


@given(st.permutations(range(40)))
def test_of_a_queue_that_is_sent_in_any_order_the_newest_fix_is_held(order: list[int]) -> None:
    sender = Sender()
    for place, taken in enumerate(order):
        sender.sends(at=40 + place / 100, lat=taken, taken=taken)
    assert sender.held == 39
    assert sender.age(at=40.4) == pytest.approx(1.4, abs=0.5)


@pytest.mark.parametrize("ahead", [3.0, 600.0, 100 * HOUR])
def test_a_clock_that_was_ahead_and_is_put_right_is_believed_at_once(ahead: float) -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=ahead)
    assert sender.age(at=0.0) == 0.0
    sender.sends(at=1.0, lat=2, taken=1.0)
    assert sender.held == 2
    sender.sends(at=1.1, lat=3, taken=-HOUR)
    assert sender.held == 2, "but an old fix is still one"


@pytest.mark.parametrize(
    ("taken", "believed"), [(3.1, False), (2.9, True), (1.0, True), (-26.9, True), (-27.1, False)]
)
def test_a_clock_is_put_right_when_its_fix_is_one_of_now(taken: float, believed: bool) -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=600)
    sender.sends(at=1.0, lat=2, taken=taken)
    assert sender.held == (2 if believed else 1)


def test_a_timestamp_of_this_very_moment_is_not_ahead() -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=1)
    sender.sends(at=1.0, lat=2, taken=0.5)
    assert sender.held == 1


def test_of_two_measured_fixes_of_the_same_moment_the_timestamps_decide() -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=0, age_ms=0)
    sender.sends(at=2.0, lat=2, taken=-1, age_ms=2000)
    assert sender.held == 1
    sender.sends(at=2.0, lat=3, taken=-1, age_ms=1999)
    assert sender.held == 3


def test_a_clock_that_is_ahead_changes_nothing_in_the_order() -> None:
    sender = Sender()
    sender.sends(at=30.0, lat=1, taken=600 + 30)
    sender.sends(at=30.1, lat=2, taken=600)
    sender.sends(at=30.2, lat=3, taken=600 - 3 * HOUR)
    assert sender.held == 1


def test_the_age_that_the_sender_measured_counts_whatever_its_clock_says() -> None:
    for clock_error in (-2 * HOUR, 0.0, 77.0, 2 * HOUR):
        sender = Sender()
        sender.sends(at=10.0, lat=1, taken=10 - 7 + clock_error, age_ms=7000)
        assert sender.age(at=10.0) == pytest.approx(7.0)
        # The same clock, when the age is left out.
        sender.sends(at=20.0, lat=2, taken=20 - 3 + clock_error)
        assert sender.age(at=20.0) == pytest.approx(3.0)


def test_a_clock_set_back_between_two_measured_fixes_is_allowed_for() -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=0, age_ms=0)
    sender.sends(at=2.0, lat=2, taken=-298, age_ms=0)
    assert sender.held == 2
    sender.sends(at=3.0, lat=3, taken=-310, age_ms=13_000)
    assert sender.held == 2


def test_a_fix_is_as_old_as_its_timestamp_says() -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=-300)
    assert sender.age(at=0.0) == pytest.approx(300.0)
    # A dead device: the same fix again and again.
    for at in range(1, 60, 3):
        sender.sends(at=at, lat=1, taken=-300)
        assert sender.age(at=at) == pytest.approx(300.0 + at)


def test_no_fix_is_from_the_future_nor_older_than_a_session_can_be() -> None:
    for clock_error in (0.5, 86_400.0, 1e9, -MAX_AGE_S - 1, -1e9):
        sender = Sender()
        sender.sends(at=0.0, lat=1, taken=clock_error)
        assert sender.age(at=0.0) == 0.0
        sender.sends(at=20.0, lat=2, taken=clock_error)
        assert sender.age(at=20.0) == pytest.approx(20.0), "known by now"
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=-MAX_AGE_S)
    assert sender.age(at=0.0) == MAX_AGE_S


@given(st.floats(-50_000, 50_000), st.sampled_from([0.2, 1.0, 4.0, 15.0]))
def test_a_clock_that_keeps_step_with_ours_is_one_that_is_off(error: float, every: float) -> None:
    sender = Sender()
    steps = int(STEADY_S / every) + 2
    for step in range(steps):
        sender.sends(at=step * every, lat=step, taken=step * every + error)
    assert sender.age(at=(steps - 1) * every) <= 0.001
    assert sender.held == steps - 1


def test_what_waited_in_a_phone_is_not_taken_for_a_wrong_clock() -> None:
    sender = Sender()
    for number in range(60):  # a minute of fixes, four minutes late, ten a second
        sender.sends(at=number / 10, lat=number, taken=-300 + number)
        assert sender.age(at=number / 10) == pytest.approx(300 - number * 0.9)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 40), st.floats(-1e10, 1e10), st.none() | st.floats(0, MAX_AGE_S * 1000)
        ),
        max_size=12,
    )
)
def test_an_age_is_never_negative_and_never_beyond_a_day(
    sent: Iterable[tuple[float, float, float | None]],
) -> None:
    known, now = None, 0.0
    for wait, error, said in sent:
        now += wait
        position = Position(0.0, 0.0, None, NOON + timedelta(seconds=error), age_ms=said)
        taken, known = judge(position, known, NOON + timedelta(seconds=now), now)
        assert 0.0 <= now - taken <= MAX_AGE_S + 0.001


def test_what_was_known_of_the_clock_of_who_left_is_forgotten() -> None:
    sender = Sender()
    sender.sends(at=0.0, lat=1, taken=-300)
    sender.rules.leave("ada", "left", 100.0)
    assert sender.table.clocks == {}


# --- in a session ---------------------------------------------------------------------------------


async def fix(home: House, who: Someone, lat: float, age: float) -> None:
    """``who`` sends a fix that is ``age`` old."""
    taken = home.clock() - timedelta(seconds=age)
    await who.link.update(Position(lat, 13.4, None, taken))
    await settle()


async def test_everyone_is_sent_the_age_of_the_fix_not_of_the_message() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await fix(home, ada, 1, age=0.0)
        await fix(home, bo, 2, age=250.0)
        home.window = 2.0
        await trio.sleep(3.0)
        await fix(home, ada, 3, age=0.9)
        await fix(home, ada, 4, age=0.4)
        await trio.sleep(2.1)
        (first, *_), last = bo.phone.all("location_update"), bo.phone.all("location_update")[-1]
        assert "age_ms" not in first
        assert last["lat"] == 4
        assert last["age_ms"] == 400 + 2000, "what waits for a flush grows older"
        (seen,) = ada.phone.all("location_update")
        assert seen["age_ms"] == 250_000
        await trio.sleep(10.0)
        cy = await home.someone(session, "Cy")
        ages = {p["lat"]: p["age_ms"] for p in cy.phone.snapshot["positions"]}
        assert ages == {4: 12_500, 2: 265_100}


async def test_a_fix_that_is_ignored_keeps_nobody_s_place_alive() -> None:
    async with house() as home:
        session, (ada, bo) = await home.group("Ada", "Bo")
        await fix(home, ada, 1, age=0.0)
        await trio.sleep(20)
        await fix(home, ada, 2, age=100.0)
        await trio.sleep(9.9)
        assert set(home.table(session).positions) == {ada.user_id}
        await trio.sleep(0.2)
        assert home.table(session).positions == {}
        assert [lat for _, lat in bo.phone.heard()] == [1]
