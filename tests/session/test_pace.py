"""Receivers that choose how often positions come, and what senders are asked for."""

import math

import pytest
import trio
from msgspec import structs

from locshare.actors.testing import settle
from locshare.model.pace import NORMAL, Pace
from locshare.session.receiver_pace import next_instant, phase_of
from locshare.session.sender_pace import SETTLE_S, decide, pace_for
from tests.session.kit import LIMITS, Someone, house, position

EVERY_S = 10.0


def next_after(eve: Someone, interval_s: float) -> float:
    """Seconds to the next instant of this pace."""
    now = trio.current_time()
    return next_instant(now, interval_s, phase_of(eve.link._table.session.id)) - now


async def test_positions_come_once_an_interval_the_newest_of_each_in_one_write() -> None:
    async with house() as home:
        _, (ada, bob, eve) = await home.group("Ada", "Bob", "Eve")
        await eve.link.set_pace(EVERY_S)
        for step in range(60):  # half a minute
            for each in (ada, bob):
                await each.link.update(position(float(step)))
            await trio.sleep(0.5)
        assert eve.phone.flushes == 3
        assert len(eve.phone.heard()) == 2 * 3
        assert len(bob.phone.heard()) == 60  # without a pace: each of Ada's


async def test_no_position_waits_longer_than_the_interval() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(EVERY_S)
        for wait in (0.0, 3.3, 7.7, 9.99, 10.0, 12.5):
            await trio.sleep(wait)
            eve.phone.messages.clear()
            await ada.link.update(position(wait))
            await trio.sleep(EVERY_S + 0.001)
            assert eve.phone.heard() == [(ada.user_id, wait)]


async def test_the_age_is_that_at_the_write() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(EVERY_S)
        fresh = structs.replace(position(1.0), age_ms=0.0)
        wait = next_after(eve, EVERY_S)
        await ada.link.update(fresh)
        await trio.sleep(wait + 0.001)
        (found,) = eve.phone.all("location_update")
        assert found.get("age_ms", 0) == (int(wait * 1000) if wait >= 1 else 0)


async def test_nothing_older_than_the_retention_is_written() -> None:
    async with house(structs.replace(LIMITS, retention=3.0)) as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(60.0)
        await trio.sleep(next_after(eve, 60.0) + 1.0)  # nearly a minute before the next write
        await ada.link.update(position(1.0))
        await trio.sleep(61.0)
        assert eve.phone.heard() == []


async def test_events_do_not_wait_for_the_pace() -> None:
    async with house() as home:
        session_id, (_ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(60.0)
        await home.join(session_id, "Bob")
        await settle()
        assert "participant_joined" in eve.phone.types


@pytest.mark.parametrize("shorter", [0.0, 5.0])
async def test_a_shorter_pace_brings_up_to_date_at_once(shorter: float) -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(30.0)
        await ada.link.update(position(1.0))
        await settle()
        assert eve.phone.heard() == []
        await eve.link.set_pace(shorter)
        await settle()
        assert eve.phone.heard() == [(ada.user_id, 1.0)]


async def test_who_left_is_not_in_a_later_write() -> None:
    async with house() as home:
        _, (ada, _bob, eve) = await home.group("Ada", "Bob", "Eve")
        await eve.link.set_pace(EVERY_S)
        await ada.link.update(position(1.0))
        await ada.link.leave()
        await trio.sleep(2 * EVERY_S)
        assert eve.phone.heard() == []


async def test_a_crash_loses_neither_the_pace_nor_what_waits_for_it() -> None:
    async with house() as home:
        session_id, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(EVERY_S)
        await ada.link.update(position(1.0))
        await settle()
        await home.crash(session_id)
        assert eve.phone.heard() == []
        await trio.sleep(EVERY_S + 0.001)
        assert eve.phone.heard() == [(ada.user_id, 1.0)]


async def test_a_new_connection_begins_without_a_pace() -> None:
    async with house() as home:
        session_id, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(60.0)
        again = await home.connect(session_id, eve.user_id)
        await ada.link.update(position(1.0))
        await settle()
        assert again.phone.heard() == [(ada.user_id, 1.0)]


async def test_a_sender_is_slowed_once_nobody_looks_and_freed_as_soon_as_somebody_does() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(30.0)
        await trio.sleep(SETTLE_S - 1.0)
        assert ada.phone.all("pace") == []
        await trio.sleep(1.1)
        assert ada.phone.all("pace") == [{"interval_s": 15.0, "min_distance_m": 0.0}]
        assert eve.phone.all("pace") == []  # Ada sees her
        await eve.link.set_pace(0.0)
        await settle()
        assert ada.phone.all("pace")[1:] == [{"interval_s": 0.0, "min_distance_m": 0.0}]


async def test_a_receiver_that_wavers_costs_senders_two_requests_in_the_settling_time() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        for _ in range(50):
            await eve.link.set_pace(30.0)
            await trio.sleep(SETTLE_S / 2)
            await eve.link.set_pace(0.0)
            await settle()
        assert ada.phone.all("pace") == []


@pytest.mark.parametrize(
    ("watching", "shortest", "wanted"),
    [
        (0, math.inf, Pace(15.0, 0.0)),
        (0, 30.0, Pace(15.0, 0.0)),
        (0, 5.0, Pace(5.0, 0.0)),
        (1, 5.0, NORMAL),
        (20, math.inf, NORMAL),
        (21, math.inf, Pace(2.0, 5.0)),
        (50, math.inf, Pace(3.0, 5.0)),
        (99, math.inf, Pace(5.0, 5.0)),
        (1000, math.inf, Pace(15.0, 5.0)),
    ],
)
def test_what_is_asked_of_a_sender(watching: int, shortest: float, wanted: Pace) -> None:
    assert pace_for(watching, shortest) == wanted


def test_a_slower_request_waits_and_a_faster_one_does_not() -> None:
    waits = decide({"ada"}, {}, {}, settled=False)
    assert not waits.now
    assert waits.waiting
    slow = decide({"ada"}, {}, {}, settled=True).now
    assert slow == {"ada": Pace(15.0, 0.0)}
    assert decide({"ada", "eve"}, {}, slow, settled=False).now == {"ada": NORMAL}


@pytest.mark.parametrize("interval", [0.25, 0.3, 7.0, 59.9, 60.0])
@pytest.mark.parametrize("after", [0.0, 0.1, 7.0, 1e3 / 3, 123_456.789, 1e9])
def test_the_next_write_is_later_and_within_the_interval(after: float, interval: float) -> None:
    due = next_instant(after, interval, 12.34)
    assert after < due <= after + interval + 1e-6
