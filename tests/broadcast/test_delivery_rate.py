"""The delivery rate of a session, from one flush to the next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.broadcast.delivery_rate import SMOOTHING_S, DeliveryRate


def test_nothing_was_delivered_yet() -> None:
    assert DeliveryRate().per_second == 0.0


@given(
    st.floats(0.01, 2.0),
    st.integers(1, 10_000),
    st.floats(0, 1e6),
)
def test_what_is_delivered_evenly_is_seen_as_that(
    interval: float, deliveries: int, start: float
) -> None:
    """Right after a flush, so up to one flush's share too much."""
    rate, now = DeliveryRate(), start
    while now < start + 8 * SMOOTHING_S:
        rate.note(deliveries, now)
        now += interval
    true = deliveries / interval
    assert 0.99 * true <= rate.per_second <= true + deliveries / SMOOTHING_S + 1e-6


def test_how_it_is_cut_into_flushes_makes_no_difference() -> None:
    """A window that opens must not change what is thought of the session."""
    at_once, joined = DeliveryRate(), DeliveryRate()
    for step in range(400):
        at_once.note(7, step * 0.05)
        if step % 5 == 4:
            joined.note(35, step * 0.05)
    assert joined.per_second == pytest.approx(at_once.per_second, rel=0.05)


def test_after_a_silence_it_begins_anew() -> None:
    rate = DeliveryRate()
    for second in range(60):
        rate.note(1000, second)
    rate.note(1, 3600.0)
    assert rate.per_second == pytest.approx(1 / SMOOTHING_S)
