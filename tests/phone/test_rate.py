"""How often the device is asked, and which fixes are sent."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from locshare.client import Position
from phone.rate import Rate, Reports, Situation, is_saving, rate, receive_pace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE = Position(52.5, 13.4, 5.0, NOW)


@given(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 60))
def test_no_state_shares_so_rarely_that_the_others_lose_somebody(
    visible: bool, moving: bool, saving: bool, asked: float
) -> None:
    found = rate(Situation(visible, moving, saving, asked))
    assert 0 < found.interval_s <= 15
    assert found.interval_s >= min(asked, 15)
    assert 0 < receive_pace(visible=visible, saving=saving) <= 15


def test_each_state_has_its_rate() -> None:
    def interval(**state: bool) -> Rate:
        return rate(Situation(**{"visible": True, "moving": True, "saving": False, **state}))

    assert interval() == (2, True)
    assert interval(moving=False) == (10, True)
    assert interval(visible=False) == (5, True)
    assert interval(visible=False, moving=False) == (15, True)
    assert interval(saving=True) == (15, False)


def test_the_low_battery_mode_does_not_come_and_go() -> None:
    assert is_saving("auto", 20, saver_on=False, before=False)
    assert not is_saving("auto", 21, saver_on=False, before=False)
    assert is_saving("auto", 25, saver_on=False, before=True)
    assert not is_saving("auto", 26, saver_on=False, before=True)
    assert is_saving("auto", None, saver_on=True, before=False)
    assert not is_saving("off", 1, saver_on=True, before=True)
    assert is_saving("on", 100, saver_on=False, before=False)


def test_a_fix_is_sent_when_it_says_something_new_and_every_15_s_all_the_same() -> None:
    reports = Reports()
    assert reports.offer(HERE, 0.0, 2.0)
    reports.sent(HERE, 0.0)
    near = msgspec.structs.replace(HERE, lat=52.50003)
    far = msgspec.structs.replace(HERE, lat=52.501)
    assert not reports.offer(near, 5.0, 2.0)
    assert not reports.offer(far, 1.0, 2.0)
    assert reports.offer(far, 2.0, 2.0)
    assert reports.offer(near, 14.5, 2.0)
    assert reports.renewal_in(10.0) == 5.0


def test_the_noise_of_a_bad_receiver_is_no_movement() -> None:
    bad = msgspec.structs.replace(HERE, accuracy=60.0)
    reports = Reports()
    reports.offer(bad, 0.0, 2.0)
    reports.sent(bad, 0.0)
    moved = msgspec.structs.replace(bad, lat=52.5002)  # 22 m
    assert not reports.offer(moved, 5.0, 2.0)
    assert reports.is_moving(59.0)
    assert not reports.is_moving(61.0)
    assert reports.offer(msgspec.structs.replace(moved, speed=1.4), 62.0, 2.0)
    assert reports.is_moving(62.0)
