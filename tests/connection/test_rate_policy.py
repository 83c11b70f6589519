"""Rates and abuse, without sockets."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locshare.connection.rate_policy import RateDecision, RateLimits, RatePolicy
from locshare.model.position import Position

LIMITS = RateLimits()


def test_a_phone_that_sends_twice_a_second_is_never_limited() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    assert {policy.position(n / 2) for n in range(1000)} == {RateDecision.ACCEPT}


def test_the_limit_of_positions_speaks_before_that_of_all_messages() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    decisions = [policy.position(0.0) for _ in range(30)]
    assert decisions[:20] == [RateDecision.ACCEPT] * 20
    assert decisions[20] is RateDecision.WARN
    assert policy.message(0.0) is RateDecision.ACCEPT, "a ping still gets through"


def test_a_flood_is_warned_once_a_second_and_then_closed() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    decisions = [policy.position(n / 100) for n in range(300)]
    assert decisions.count(RateDecision.WARN) in {2, 3}
    assert decisions[-1] is RateDecision.CLOSE
    assert RateDecision.CLOSE not in decisions[: 20 + int(LIMITS.excess_tolerated)]


def test_a_hundred_messages_over_the_rate_are_dropped_and_one_more_closes() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    decisions = [policy.position(0.0) for _ in range(20 + 100 + 1)]
    assert decisions[20:] == [RateDecision.WARN] + [RateDecision.DROP] * 99 + [RateDecision.CLOSE]


def test_a_little_over_the_rate_is_dropped_but_forgiven_for_ever() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    decisions = {policy.position(n / 12) for n in range(10_000)}  # 12 a second; 10 are allowed
    assert decisions == {RateDecision.ACCEPT, RateDecision.WARN, RateDecision.DROP}


def position(taken: float) -> Position:
    return Position(taken, 0.0, None, datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=taken))


def queue(policy: RatePolicy, order: Iterable[int]) -> list[int]:
    """What a queue of positions that comes at once, in this order, leaves of itself at once."""
    passed = []
    for taken in order:
        decision = policy.position(0.0)
        policy.keep_newest(position(taken), decision)
        if decision is RateDecision.ACCEPT:
            passed.append(taken)
    return passed


@given(st.permutations(range(40)))
def test_of_a_queue_over_the_rate_the_newest_is_held_and_the_old_end_is_dropped(
    order: list[int],
) -> None:
    policy = RatePolicy(LIMITS, 0.0)
    passed = queue(policy, order)
    assert len(passed) == 20
    late = order[20:]
    assert policy.held == {None: position(max(late))}
    assert policy.due == pytest.approx(1 / LIMITS.position_rate)
    assert policy.release(policy.due) == (None, position(max(late)))
    assert policy.release(policy.due) is None
    assert policy.position(0.15) is not RateDecision.ACCEPT, "it took what there was"
    assert policy.position(0.25) is RateDecision.ACCEPT


def test_a_held_position_is_given_up_for_a_newer_one_that_passes() -> None:
    for taken, left in ((5, None), (3, {None: position(4)})):
        policy = RatePolicy(LIMITS, 0.0)
        queue(policy, [1] * 20 + [4])
        assert policy.position(0.2) is RateDecision.ACCEPT
        policy.keep_newest(position(taken), RateDecision.ACCEPT)
        assert policy.held == left


def test_each_subscription_of_a_socket_has_its_own_held_position() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    for topic, taken in (("a", 1), ("b", 2), ("a", 3), ("b", 1)):
        policy.keep_newest(position(taken), RateDecision.DROP, topic)
    assert policy.held == {"a": position(3), "b": position(2)}
    policy.keep_newest(position(3), RateDecision.ACCEPT, "b")
    assert policy.held == {"a": position(3)}
    assert policy.release(1.0) == ("a", position(3))
    assert policy.release(2.0) is None
    policy.keep_newest(position(4), RateDecision.DROP, "a")
    policy.forget("a")
    assert policy.release(2.0) is None


def test_twenty_bad_messages_in_a_row_are_too_many_at_any_pace() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    assert [policy.bad(n * 60.0) for n in range(20)] == [False] * 19 + [True]


def test_unknown_types_are_too_many_only_by_their_rate() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    assert not any(policy.bad(n * 30.0, unknown_type=True) for n in range(1000))
    policy = RatePolicy(LIMITS, 0.0)
    decisions = [policy.bad(n * 0.15, unknown_type=True) for n in range(50)]
    assert decisions == [False] * 49 + [True]


def test_fifty_bad_messages_in_ten_seconds_are_too_many_even_between_good_ones() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    decisions = []
    for n in range(50):
        policy.good()
        decisions.append(policy.bad(n * 0.15))
    assert decisions == [False] * 49 + [True]


def test_bad_messages_now_and_then_between_good_ones_are_never_too_many() -> None:
    policy = RatePolicy(LIMITS, 0.0)
    for n in range(500):
        assert policy.position(n * 0.25) is RateDecision.ACCEPT
        assert not policy.bad(n * 0.25)


def test_a_held_position_that_goes_on_counts_as_one_of_the_rate() -> None:
    policy = RatePolicy(RateLimits(position_rate=1.0, position_burst=1.0), 0.0)
    assert policy.position(0.0) is RateDecision.ACCEPT
    policy.keep_newest(position(1), policy.position(0.5))
    assert policy.due == 1.0
    assert policy.release(1.0) == (None, position(1))
    assert policy.due == 2.0
    assert policy.release(5.0) is None, "of nothing nothing is counted"
    assert policy.position(5.0) is RateDecision.ACCEPT
