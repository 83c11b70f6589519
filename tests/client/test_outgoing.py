"""Which position is sent next, and when."""

from msgspec.structs import replace

from locshare.client.outgoing import RENEW_S, Outgoing
from locshare.model.pace import Pace
from locshare.model.position import MAX_AGE_MS, Position
from tests.client.kit import PLACE

FAR = replace(PLACE, lat=53.0)
NEAR = replace(PLACE, lat=PLACE.lat + 0.000_05)  # 5.6 m


def test_nothing_waits_before_a_position_is_given_and_after_it_was_taken() -> None:
    outgoing = Outgoing()
    assert outgoing.wait(0) is None
    outgoing.give(PLACE, 0)
    assert outgoing.wait(0) == 0
    assert outgoing.take(0, 0) == PLACE
    assert outgoing.wait(99) is None


def test_the_newest_replaces_what_waits() -> None:
    outgoing = Outgoing()
    outgoing.give(PLACE, 0)
    outgoing.give(FAR, 0)
    assert outgoing.take(0, 0) == FAR
    assert outgoing.wait(0) is None


def test_waiting_makes_a_position_older() -> None:
    def sent(age_ms: float | None, waited: float) -> float | None:
        outgoing = Outgoing()
        outgoing.give(replace(PLACE, age_ms=age_ms), 100)
        found = outgoing.take(0, 100 + waited)
        assert found is not None
        return found.age_ms

    assert sent(None, 0.9) is None, "as good as now: the server compares the clocks"
    assert sent(None, 90) == 90_000
    assert sent(500.0, 0) == 500
    assert sent(500.0, 0.25) == 750
    assert sent(None, -5) is None, "a wall clock that was set back"


def test_a_position_of_more_than_a_day_is_not_sent() -> None:
    outgoing = Outgoing()
    outgoing.give(PLACE, 0)
    assert outgoing.take(0, MAX_AGE_MS / 1000 + 1) is None
    assert outgoing.wait(0) is None


def test_an_interval_is_between_two_positions() -> None:
    outgoing = Outgoing()
    outgoing.pace = Pace(10, 0)
    outgoing.give(PLACE, 0)
    outgoing.take(100, 0)
    outgoing.give(FAR, 0)
    assert outgoing.wait(104) == 6
    assert outgoing.wait(110) == 0


def test_a_distance_is_what_a_move_needs_but_who_stays_is_renewed() -> None:
    outgoing = Outgoing()
    outgoing.pace = Pace(0, 10)
    outgoing.give(PLACE, 0)
    outgoing.take(100, 0)
    outgoing.give(NEAR, 0)
    assert outgoing.wait(101) == RENEW_S - 1
    outgoing.give(FAR, 0)
    assert outgoing.wait(101) == 0


def test_the_distance_is_short_over_the_date_line() -> None:
    outgoing = Outgoing()
    outgoing.pace = Pace(0, 100)
    outgoing.give(Position(0.0, 179.9999, None, PLACE.timestamp), 0)
    outgoing.take(100, 0)
    outgoing.give(Position(0.0, -179.9999, None, PLACE.timestamp), 0)
    assert outgoing.wait(100) == RENEW_S


def test_a_new_connection_sends_the_newest_and_knows_no_pace() -> None:
    outgoing = Outgoing()
    outgoing.connected()
    assert outgoing.wait(0) is None
    outgoing.pace = Pace(60, 1000)
    outgoing.give(PLACE, 0)
    outgoing.take(100, 0)
    outgoing.connected()
    assert outgoing.wait(100) == 0
    assert outgoing.pace == Pace(0, 0)


def test_what_is_forgotten_is_not_sent() -> None:
    outgoing = Outgoing()
    outgoing.give(PLACE, 0)
    outgoing.forget()
    outgoing.connected()
    assert outgoing.wait(0) is None
    assert outgoing.take(0, 0) is None
