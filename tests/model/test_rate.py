"""Token buckets: one, one in place, and one for each key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.model.rate import KeyedRateLimiter, Rate, RateLimiter, TokenBucket


def test_a_bucket_gives_its_burst_at_once_and_its_rate_in_the_long_run() -> None:
    bucket = RateLimiter(Rate(8.0, 20.0), 0.0)
    assert sum(bucket.take(0.0) for _ in range(100)) == 20
    assert sum(bucket.take(n / 64) for n in range(1, 64 * 10 + 1)) == 80


def test_a_bucket_tells_when_there_will_be_one_to_take() -> None:
    bucket = RateLimiter(Rate(4.0, 2.0), 10.0)
    assert bucket.ready_at() == 10.0
    assert bucket.take(10.0)
    assert bucket.ready_at() == 10.0
    assert bucket.take(10.0)
    assert bucket.ready_at() == 10.25
    assert not bucket.take(10.125)
    assert bucket.ready_at() == 10.25
    assert bucket.take(10.25)


@given(st.lists(st.floats(0, 5), max_size=80))
def test_no_rhythm_gets_more_than_burst_and_rate_out_of_a_bucket(pauses: list[float]) -> None:
    bucket, now, taken = RateLimiter(Rate(10.0, 20.0), 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
        assert taken <= 20 + 10 * now + 1e-6


def test_a_burst_is_allowed_and_then_a_rate() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=2, burst=3), 10)
    assert [limiter.take("a", 0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert limiter.take("a", 0.25) == 0.25
    assert limiter.take("a", 0.5) == 0
    assert limiter.take("a", 0.5) > 0


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=2, burst=3), 10)
    limiter.take("a", 0)
    assert [limiter.take("a", 1000) > 0 for _ in range(4)] == [False, False, False, True]


def test_each_address_has_a_bucket_of_its_own() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=1, burst=1), 10)
    assert limiter.take("a", 0) == 0
    assert limiter.take("a", 0) > 0
    assert limiter.take("b", 0) == 0


def test_the_address_not_seen_for_longest_is_forgotten_first() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=0.001, burst=1), 2)
    limiter.take("a", 0)
    limiter.take("b", 0)
    assert limiter.take("a", 0) > 0
    limiter.take("c", 0)
    assert len(limiter) == 2
    assert limiter.take("a", 0) > 0
    assert limiter.take("b", 0) == 0


def test_a_key_is_forgotten_when_its_bucket_is_full_again() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=1, burst=5), 1000)
    for number in range(100):
        limiter.take(number, 0.0)
    limiter.penalise("flooded", 0.0, 60.0)
    assert len(limiter) == 101
    for number in range(50):
        limiter.take("another", 2.0 + number)
    assert len(limiter) == 2
    assert limiter.take("flooded", 52.0) > 0


def test_a_rate_of_zero_is_no_limit() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=0, burst=0), 10)
    assert [limiter.take("a", 0) for _ in range(1000)] == [0] * 1000
    assert len(limiter) == 0


@given(
    times=st.lists(st.floats(min_value=0, max_value=100), max_size=60).map(sorted),
    burst=st.integers(min_value=1, max_value=5),
    rate=st.floats(min_value=0.1, max_value=10),
)
def test_no_more_is_allowed_than_the_burst_and_the_rate(
    times: list[float], burst: int, rate: float
) -> None:
    limiter = KeyedRateLimiter(Rate(rate, burst), 1)
    allowed = sum(limiter.take("a", now) == 0 for now in times)
    assert allowed <= burst + (times[-1] - times[0] if times else 0) * rate + 1e-6


def test_a_penalty_leaves_a_key_without_a_token_for_exactly_its_time() -> None:
    limiter = KeyedRateLimiter(Rate(per_second=0.5, burst=3), 4)
    limiter.penalise("a", 100.0, 10.0)
    assert limiter.take("a", 109.9) > 0
    assert limiter.take("a", 110.0) == 0
    assert limiter.take("a", 110.0) > 0


@given(rate=st.floats(0.01, 1000), start=st.floats(0, 1e6), spent=st.integers(1, 50))
def test_at_the_time_that_it_names_there_is_a_token(rate: float, start: float, spent: int) -> None:
    limiter = RateLimiter(Rate(rate, 3.0), start)
    now = start
    for _ in range(spent):
        if not limiter.take(now):
            now = limiter.ready_at()
            assert limiter.take(now), "whatever the rounding, or a waiting task would spin"


@pytest.mark.parametrize(
    ("level", "ready_at"), [(2.0, 10.0), (1.0, 10.0), (0.75, 10.5), (0.0, 12.0)]
)
def test_what_is_there_already_shortens_the_wait_for_a_token(level: float, ready_at: float) -> None:
    assert TokenBucket(level, 10.0).ready_at(Rate(0.5, 9)) == ready_at
