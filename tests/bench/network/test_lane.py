"""When what is under way arrives: in order, not too early, and never too much at once."""

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network.faults import Faults
from bench.network.lane import MOST_HELD, RETRANSMISSION_S, Lane

faults = st.builds(
    Faults,
    delay_s=st.floats(0, 2),
    jitter_s=st.floats(0, 2),
    rate=st.none() | st.floats(1, 1e7),
    loss=st.sampled_from([0.0, 0.2, 0.9]),
)
steps = st.lists(
    st.tuples(faults, st.floats(0, 3), st.binary(min_size=1, max_size=300)), max_size=40
)


def dice(seed: int) -> random.Random:
    return random.Random(seed)


@given(steps, st.integers(0, 9), st.sampled_from([b"", None]))
def test_all_arrives_in_order_not_before_its_time_and_the_end_comes_last(
    steps: list[tuple[Faults, float, bytes]], seed: int, end: bytes | None
) -> None:
    lane, now, arrived = Lane(dice(seed)), 0.0, []
    for each, gap, piece in steps:
        now += gap
        lane.put(now, piece, each)
        assert lane.due >= 0
    lane.put(now, end, Faults())
    assert lane.room(Faults()) == 0
    before = 0.0
    while not lane.over:
        assert before <= lane.due < inf
        before = lane.due
        arrived.append(lane.take())
    assert arrived.pop() == end
    assert arrived == [piece for _, _, piece in steps]
    assert lane.held == 0
    assert lane.due == inf
    assert before >= now


@given(st.lists(faults, min_size=1, max_size=200), st.integers(0, 9))
def test_what_is_held_is_bounded_and_something_always_moves(
    series: list[Faults], seed: int
) -> None:
    lane = Lane(dice(seed))
    for each in series:
        room = lane.room(each)
        assert room >= 1 or lane.held
        if room:
            lane.put(0.0, bytes(room), each)
        else:
            lane.take()
        assert lane.held <= MOST_HELD


def test_without_faults_a_piece_arrives_at_once() -> None:
    lane = Lane(dice(1))
    lane.put(5.0, b"a", Faults())
    assert lane.due == 5.0


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_a_delay_is_kept_within_its_jitter(delay_s: float, jitter_s: float, seed: int) -> None:
    lane = Lane(dice(seed))
    lane.put(5.0, b"a", Faults(delay_s=delay_s, jitter_s=jitter_s))
    assert max(delay_s - jitter_s, 0) - 1e-9 <= lane.due - 5.0 <= delay_s + jitter_s + 1e-9


def test_a_rate_is_kept_by_all_pieces_together_and_idle_time_is_not_saved_up() -> None:
    lane, slow = Lane(dice(1)), Faults(rate=100.0)
    arrivals = []
    for now in (0.0, 0.0, 0.0, 10.0):
        lane.put(now, bytes(50), slow)
    while lane.due < inf:
        arrivals.append(lane.due)
        lane.take()
    assert arrivals == pytest.approx([0.5, 1.0, 1.5, 10.5])


def test_a_throttled_lane_holds_a_quarter_of_a_second_and_what_is_under_way_anyway() -> None:
    lane = Lane(dice(1))
    for each, most in ((Faults(rate=1000), 250), (Faults(rate=1000, delay_s=1), 1250)):
        while room := lane.room(each):
            assert room <= 50
            lane.put(0.0, bytes(room), each)
        assert lane.held == most


def test_as_many_pieces_are_late_as_are_lost_each_by_a_retransmission_or_more() -> None:
    thrown, late = dice(1), 0
    for _ in range(10_000):
        lane = Lane(thrown)
        lane.put(0.0, b"a", Faults(loss=0.2))
        assert lane.due in [RETRANSMISSION_S * (2**losses - 1) for losses in range(7)]
        late += lane.due > 0
    assert 1_800 < late < 2_200


def test_what_follows_a_lost_piece_waits_for_it() -> None:
    lane, loss = Lane(dice(1)), Faults(loss=0.999)
    lane.put(0.0, b"a", loss)
    first = lane.due
    assert first > 1
    lane.put(0.1, b"b", Faults())
    lane.take()
    assert lane.due == first
