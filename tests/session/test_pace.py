"""Receivers that choose how often positions come, and what senders are asked for."""

import json
import math

import pytest
import trio
from msgspec import structs

from locshare.actors.testing import settle
from locshare.model.pace import NORMAL, Pace
from locshare.model.position import HeldPosition
from locshare.session.commands import AttachOptions
from locshare.session.far_apart import far_from_all
from locshare.session.receiver_pace import (
    Arrivals,
    PacedReceiver,
    next_instant,
    note_arrivals,
    phase_of,
)
from locshare.session.sender_pace import SETTLE_S, decide, pace_for
from tests.broadcast.wire_kit import Rig
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
        (0, 5.0, Pace(2.5, 0.0)),
        (0, 60.0, Pace(15.0, 0.0)),
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


# --- connecting with a pace -----------------------------------------------------------------------


async def test_a_connection_may_begin_with_its_pace_and_frees_no_sender() -> None:
    """As a hidden page does that comes back: twenty senders need not hear of it."""
    async with house() as home:
        session_id, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(30.0)
        await trio.sleep(SETTLE_S + 0.1)
        assert len(ada.phone.all("pace")) == 1
        await ada.link.update(position(1.0))
        eve = await home.connect(session_id, eve.user_id, pace=30.0)
        assert [each["lat"] for each in eve.phone.snapshot["positions"]] == [1.0]
        await trio.sleep(next_after(eve, 30.0) + 0.1)
        assert eve.phone.heard() in ([], [(ada.user_id, 1.0)])  # it came at the same instant
        eve.phone.messages.clear()
        for step in range(60):
            await ada.link.update(position(float(step)))
            await trio.sleep(1.0)
        assert len(eve.phone.heard()) == 2
        assert len(ada.phone.all("pace")) == 1


async def test_one_who_comes_back_with_a_pace_is_told_what_they_missed() -> None:
    async with house() as home:
        session_id, (ada, eve) = await home.group("Ada", "Eve")
        table = home.table(session_id)
        point = f"{table.epoch}.{table.seq}"
        eve.link.detach()
        await home.join(session_id, "Bo")
        eve = await home.connect(session_id, eve.user_id, resume=point, pace=EVERY_S)
        assert eve.phone.snapshot["resumed"] is True
        assert [each["type"] for each in eve.phone.snapshot["missed"]] == ["participant_joined"]
        for step in range(20):
            await ada.link.update(position(float(step)))
            await trio.sleep(1.0)
        assert len(eve.phone.heard()) == 2


async def test_each_session_of_one_person_has_a_pace_of_its_own() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        _, (bo, other_eve) = await home.group("Bo", "Eve")
        await eve.link.set_pace(60.0)
        for step in range(3):
            await ada.link.update(position(float(step)))
            await bo.link.update(position(float(step)))
            await settle()
        assert eve.phone.heard() == []
        assert len(other_eve.phone.heard()) == 3


async def test_a_receiver_whose_socket_is_full_still_gets_the_newest_of_each_once() -> None:
    async with house() as home, trio.open_nursery() as nursery:
        session_id, (ada, bo, eve) = await home.group("Ada", "Bo", "Eve")
        rig = Rig(nursery, room=0, user_id=eve.user_id)
        link = await home.manager.open(session_id, eve.user_id)
        await link.attach(rig.receiver, AttachOptions(interval_s=2.0))
        for step in range(30):
            for each in (ada, bo):
                await each.link.update(position(float(step)))
            await trio.sleep(0.4)
        waiting = rig.outbox.backlog_bytes
        rig.wire.give_room(1 << 20)
        await settle()
        messages = [json.loads(payload) for _, payload in rig.wire.frames()]
        heard = [each["data"]["lat"] for each in messages if each["type"] == "location_update"]
        assert len(heard) == 2
        assert min(heard) >= 25.0
        assert waiting < 10_000, "bounded, however long it does not read"
        nursery.cancel_scope.cancel()


async def test_intervals_are_rounded_up_to_quarters_of_a_second() -> None:
    async with house() as home:
        session_id, (_, eve) = await home.group("Ada", "Eve")
        for chosen, given in ((0.001, 0.25), (0.25, 0.25), (7.1, 7.25), (60.0, 60.0)):
            await eve.link.set_pace(chosen)
            await settle()
            assert home.table(session_id).paced[eve.user_id].interval_s == given
        await eve.link.set_pace(0.0)
        await settle()
        assert home.table(session_id).paced == {}


# --- what senders are asked for -------------------------------------------------------------------


async def test_somebody_who_comes_finds_fresh_positions_and_hears_the_next_at_once() -> None:
    async with house() as home:
        session_id, (ada,) = await home.group("Ada")
        viewer = await home.join(session_id, "Eve")

        async def obey() -> None:
            """As a client does: at the pace asked for, and at once when it becomes faster."""
            step = 0
            while True:
                step += 1
                await ada.link.update(position(float(step)))
                asked = ada.phone.all("pace")
                interval_s = asked[-1]["interval_s"] if asked else 0.0
                for _ in range(round((interval_s or 2.0) / 0.05)):
                    if len(ada.phone.all("pace")) > len(asked):
                        break
                    await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey)
            for away in (100.0, 61.3, 44.4, 123.7):
                await trio.sleep(away)
                eve = await home.connect(session_id, viewer)
                (found,) = eve.phone.snapshot["positions"]
                newest = home.table(session_id).positions[ada.user_id]
                assert trio.current_time() - newest.arrived <= 15.0
                await trio.sleep(0.1)
                assert [lat for _, lat in eve.phone.heard()] == [found["lat"] + 1.0]
                await trio.sleep(30.0)
                eve.link.detach()
            nursery.cancel_scope.cancel()
        sent = ada.phone.all("pace")
        assert [each["interval_s"] for each in sent] == [15.0, 0.0] * 4


async def test_two_who_are_far_apart_are_asked_for_less_until_one_comes_near() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")

        async def stay(apart_deg: float, seconds: int) -> None:
            for _ in range(seconds // 5):
                await ada.link.update(position(52.0))
                await eve.link.update(position(52.0 + apart_deg))
                await trio.sleep(5.0)

        await stay(0.1, 60)
        slower = {"interval_s": 5.0, "min_distance_m": 10.0}
        assert ada.phone.all("pace") == eve.phone.all("pace") == [slower]
        await stay(0.04, 60)  # 4.4 km: between near and far
        assert len(ada.phone.all("pace")) == 1
        await stay(0.01, 35)
        assert ada.phone.all("pace")[1:] == [{"interval_s": 0.0, "min_distance_m": 0.0}]
        await stay(0.1, 60)
        assert ada.phone.all("pace")[2:] == [slower]


async def test_a_newcomer_frees_those_who_are_far_apart_at_once() -> None:
    async with house() as home:
        session_id, (ada, eve) = await home.group("Ada", "Eve")
        for _ in range(12):
            await ada.link.update(position(10.0))
            await eve.link.update(position(20.0))
            await trio.sleep(5.0)
        await home.someone(session_id, "Bo")
        await settle()
        for each in (ada, eve):
            assert [asked["interval_s"] for asked in each.phone.all("pace")] == [5.0, 0.0]


async def test_a_crowd_is_asked_for_less_and_one_who_wavers_changes_nothing() -> None:
    async with house(structs.replace(LIMITS, max_participants=100)) as home:
        session_id, people = await home.group(*(f"Person {number}" for number in range(41)))
        await trio.sleep(SETTLE_S + 0.1)
        crowd = {"interval_s": 2.0, "min_distance_m": 5.0}
        assert {tuple(each.phone.all("pace")[0].items()) for each in people} == {
            tuple(crowd.items())
        }
        late = await home.join(session_id, "Late")
        for _ in range(10):
            waverer = await home.connect(session_id, late)
            await trio.sleep(5.0)
            waverer.link.detach()
            await trio.sleep(5.0)
        assert all(len(each.phone.all("pace")) == 1 for each in people)


async def test_one_who_toggles_a_pace_costs_senders_two_requests_in_the_settling_time() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        for _ in range(int(10 * SETTLE_S)):
            await eve.link.set_pace(60.0)
            await trio.sleep(0.9)
            await eve.link.set_pace(0.0)
            await trio.sleep(0.1)
        assert len(ada.phone.all("pace")) <= 2 * 10


async def test_with_a_short_retention_nothing_longer_than_half_of_it_is_asked_for() -> None:
    async with house(structs.replace(LIMITS, retention=8.0)) as home:
        _, (ada,) = await home.group("Ada")
        await trio.sleep(SETTLE_S + 0.1)
        assert [each["interval_s"] for each in ada.phone.all("pace")] == [4.0]


async def test_those_who_report_over_http_are_asked_for_nothing_and_do_not_count() -> None:
    async with house() as home:
        session_id, (ada,) = await home.group("Ada")
        reporter = await home.join(session_id, "Bo")
        for _ in range(10):
            await home.manager.report(session_id, reporter, position(1.0))
            await trio.sleep(5.0)
        assert [each["interval_s"] for each in ada.phone.all("pace")] == [15.0]


async def test_requests_and_paces_are_counted() -> None:
    async with house() as home:
        _, (_, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(30.0)
        await trio.sleep(SETTLE_S + 0.1)
        found = home.manager.statistics()
        assert (found.paced, found.pace_requests) == (1, 1)


def test_a_sender_in_the_middle_of_a_group_is_not_far_and_the_one_away_from_it_is() -> None:
    def held(lat: float, lng: float) -> HeldPosition:
        return HeldPosition(position(lat, lng), 0.0, 0.0)

    group = {"ada": held(47.0, 8.0), "bo": held(47.001, 8.0), "eve": held(47.1, 8.0)}
    assert far_from_all(group, group, ()) == {"eve"}
    assert far_from_all(group, [*group, "watcher"], ()) == frozenset(), "who may look at anyone"
    assert far_from_all(group, ["eve"], ()) == frozenset()
    near = group | {"eve": held(47.04, 8.0)}
    assert far_from_all(near, near, ()) == frozenset()
    assert far_from_all(near, near, {"eve"}) == {"eve"}, "until it is nearer than that"
    border = {"ada": held(0.0, 179.99), "bo": held(0.0, -179.99)}
    assert far_from_all(border, border, ()) == frozenset(), "across the date line it is near"


async def test_what_waits_for_its_flush_when_a_pace_is_chosen_is_not_lost() -> None:
    async with house() as home:
        home.window = 0.25
        _, (ada, eve) = await home.group("Ada", "Eve")
        await ada.link.update(position(1.0))
        await settle()
        await ada.link.update(position(2.0))
        await trio.sleep(0.1)  # within the window
        await eve.link.set_pace(EVERY_S)
        await trio.sleep(EVERY_S + 0.3)
        assert eve.phone.heard() == [(ada.user_id, 1.0), (ada.user_id, 2.0)]


async def test_what_waits_when_a_longer_pace_is_chosen_does_not_wait_longer() -> None:
    async with house() as home:
        _, (ada, eve) = await home.group("Ada", "Eve")
        await eve.link.set_pace(EVERY_S)
        await ada.link.update(position(1.0))
        await settle()
        await eve.link.set_pace(60.0)
        await trio.sleep(EVERY_S + 0.001)
        assert eve.phone.heard() == [(ada.user_id, 1.0)]


def test_of_the_positions_of_a_flush_the_first_one_counts_for_the_promise() -> None:
    moved = {
        "ada": HeldPosition(position(), 9.9, 9.9),
        "bo": HeldPosition(position(), 10.1, 10.1),
    }
    arrivals = Arrivals.of(moved)
    assert arrivals is not None
    lacks_both = note_arrivals(PacedReceiver(10.0, 3.0), arrivals, "eve", 0.0)
    assert lacks_both.due == 10.0, "an instant between the two"
    lacks_one = note_arrivals(PacedReceiver(10.0, 10.0), arrivals, "eve", 0.0)
    assert lacks_one.due == 20.0, "it has the first"
    lacks_none = note_arrivals(PacedReceiver(10.0, 10.2), arrivals, "eve", 0.0)
    assert lacks_none.due is None


def test_a_crowd_that_shrinks_is_no_hurry() -> None:
    connected = [str(number) for number in range(30)]
    asked = {each: Pace(3.0, 5.0) for each in connected}
    assert decide(connected[:20], {}, asked, settled=False) == ({}, True)
    assert decide(connected, {}, asked, settled=False) == ({}, True)
    settled = decide(connected, {}, asked, settled=True)
    assert set(settled.now.values()) == {Pace(2.0, 5.0)}
