"""When what is under way arrives: in order, not too early, and never too much at once."""

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network.relay import HELD_BYTES_MAX, RETRANSMISSION_S, DelayLine, Impairment

impairments = st.builds(
    Impairment, st.floats(0, 2), st.floats(0, 2), st.sampled_from([0.0, 0.2, 0.9])
)
steps = st.lists(st.tuples(st.floats(0, 3), st.binary(min_size=1, max_size=300)), max_size=40)


def delayed(impairment: Impairment, seed: int = 1) -> DelayLine:
    return DelayLine(impairment, random.Random(seed))


@given(impairments, steps, st.integers(0, 9), st.sampled_from([b"", None]))
def test_all_arrives_in_order_not_before_its_time_and_the_end_comes_last(
    impairment: Impairment, steps: list[tuple[float, bytes]], seed: int, end: bytes | None
) -> None:
    lane, now, arrived = delayed(impairment, seed), 0.0, []
    for gap, piece in steps:
        now += gap
        lane.put(now, piece)
    lane.put(now, end)
    assert lane.room == 0
    before = 0.0
    while not lane.over:
        assert before <= lane.due < inf
        before = lane.due
        arrived.append(lane.take())
    assert arrived.pop() == end
    assert arrived == [piece for _, piece in steps]
    assert lane.due == inf
    assert before >= now


def test_what_is_held_is_bounded() -> None:
    lane, held = delayed(Impairment(delay_s=9)), 0
    while room := lane.room:
        lane.put(0.0, bytes(room))
        held += room
    assert held == HELD_BYTES_MAX
    lane.take()
    assert lane.room


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_a_delay_is_kept_within_its_jitter(delay_s: float, jitter_s: float, seed: int) -> None:
    lane = delayed(Impairment(delay_s, jitter_s), seed)
    lane.put(5.0, b"a")
    assert max(delay_s - jitter_s, 0) - 1e-9 <= lane.due - 5.0 <= delay_s + jitter_s + 1e-9


def test_as_many_pieces_are_late_as_are_lost_each_by_a_retransmission_or_more() -> None:
    thrown, late = random.Random(1), 0
    for _ in range(10_000):
        lane = DelayLine(Impairment(loss=0.2), thrown)
        lane.put(0.0, b"a")
        assert lane.due in [RETRANSMISSION_S * (2**losses - 1) for losses in range(7)]
        late += lane.due > 0
    assert 1_800 < late < 2_200


def test_what_follows_a_lost_piece_waits_for_it() -> None:
    lane = delayed(Impairment(loss=0.999))
    lane.put(0.0, b"a")
    first = lane.due
    assert first > 1
    lane.put(0.1, b"b")
    lane.take()
    assert lane.due == pytest.approx(first)
