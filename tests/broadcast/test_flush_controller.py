"""The flush window: none while the core is free, wider under load, and still in between."""

import time

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from locshare.broadcast.flush_controller import INTERVAL_S, FlushController
from locshare.broadcast.flush_window import (
    DEFAULT_LIMITS,
    IDLE,
    Load,
    fitting_load,
    next_window,
    smooth,
    window_for,
)
from tests.running import LAST_RESORT_S

LIMITS = DEFAULT_LIMITS
MANY = 1e6
"""Deliveries per second: any window would join some."""


def busy_at(base: float, writes: float, window: float) -> float:
    """The load of a core with `base` and, at no window, `writes` load, of which a window of w saves
    all but 1/(1 + 20 w): a session with twenty updates per second.
    """
    return min(1.0, base + writes / (1 + 20 * window))


def settle(base: float, writes: float, *, steps: int = 600, start: float = 0.0) -> list[float]:
    """The windows chosen, one after the other."""
    window, load, windows = start, IDLE, []
    for _ in range(steps):
        load = smooth(load, Load(busy_at(base, writes, window), 0.001), LIMITS)
        window = next_window(window, load, LIMITS)
        windows.append(window)
    return windows


def test_a_free_core_has_no_window() -> None:
    assert set(settle(0.1, 0.4)) == {0.0}


def test_a_single_long_turn_on_a_free_core_moves_nothing() -> None:
    load = smooth(IDLE, Load(1.0, 0.1), LIMITS)
    assert next_window(0.0, load, LIMITS) == 0.0


def test_an_overloaded_core_gets_the_widest_window_within_two_seconds() -> None:
    windows = settle(0.8, 5.0, steps=20)
    assert windows[-1] == LIMITS.max_window


LOADS = [(0.3, 1.0), (0.4, 0.5), (0.2, 3.0), (0.5, 0.9), (0.05, 0.7)]


@pytest.mark.parametrize(("base", "writes"), LOADS)
def test_under_load_the_window_comes_to_rest_where_the_core_has_room(
    base: float, writes: float
) -> None:
    rest = settle(base, writes)[-100:]
    assert max(rest) == pytest.approx(min(rest), rel=1e-6), "no oscillation"
    busy = busy_at(base, writes, rest[0])
    # Worked out here, not asked of the code: from 58 % at no window to 88 % at 250 ms, as a square.
    fits = 0.58 + 0.30 * (rest[0] / 0.25) ** 2
    assert busy == pytest.approx(fits, abs=1e-6) or (
        rest[0] == LIMITS.first_window and busy < LIMITS.opening
    )


@pytest.mark.parametrize(("base", "writes"), LOADS)
def test_where_it_comes_to_rest_does_not_depend_on_what_was_before(
    base: float, writes: float
) -> None:
    from_below, from_above = settle(base, writes), settle(base, writes, start=LIMITS.max_window)
    assert from_below[-1] == pytest.approx(from_above[-1], rel=1e-6)


def test_a_little_more_load_makes_the_window_a_little_wider() -> None:
    """A tenth of the sessions, ten thousand people, sending four times as often: the case of
    bench/diary.md, in which the others are to feel at most a fifth.
    """
    before, after = settle(0.28, 1.9)[-1], settle(0.34, 1.9)[-1]
    assert before < after < 1.2 * before


def test_when_the_load_goes_the_window_closes_again() -> None:
    assert settle(0.1, 0.2, start=0.25, steps=60)[-1] == 0.0


def test_the_narrowest_window_stays_open_until_the_core_is_calm() -> None:
    between = Load((LIMITS.calm + LIMITS.opening) / 2, 0.001)
    assert next_window(0.0, between, LIMITS) == 0.0
    assert next_window(LIMITS.first_window, between, LIMITS) >= LIMITS.first_window
    assert next_window(LIMITS.first_window, Load(0.0, 0.0), LIMITS) == 0.0


def test_long_turns_of_the_loop_widen_the_window_whatever_the_share() -> None:
    assert next_window(0.02, Load(0.3, LIMITS.max_lag * 1.1), LIMITS) == 0.04


@given(st.floats(0, 0.25), st.floats(0, 1), st.floats(0, 10), st.floats(0, 1), st.floats(0, 10))
def test_the_window_stays_in_its_bounds_and_is_never_wider_for_less_load(
    window: float, busy: float, lag: float, other_busy: float, other_lag: float
) -> None:
    loads = sorted([(busy, lag), (other_busy, other_lag)])
    less, more = Load(*loads[0]), Load(loads[1][0], max(lag, other_lag))
    narrow, wide = next_window(window, less, LIMITS), next_window(window, more, LIMITS)
    assert 0.0 <= narrow <= wide <= LIMITS.max_window


def test_a_window_that_would_join_little_is_none() -> None:
    assert window_for(0.25, 28.0, LIMITS) == 0.0, "eight people: seven deliveries in it"
    assert window_for(0.25, 4950.0, LIMITS) == 0.25, "a hundred"
    assert window_for(LIMITS.first_window, 4950.0, LIMITS) == LIMITS.first_window
    assert window_for(LIMITS.first_window, 1225.0, LIMITS) == 0.0, "fifty"
    assert window_for(0.0, MANY, LIMITS) == 0.0


@given(st.floats(0, 0.25), st.floats(0, 1e6), st.floats(0, 0.25), st.floats(0, 1e6))
def test_more_to_deliver_and_a_wider_window_never_make_it_narrower(
    window: float, deliveries: float, other: float, others: float
) -> None:
    less = window_for(min(window, other), min(deliveries, others), LIMITS)
    assert less <= window_for(max(window, other), max(deliveries, others), LIMITS)


# --- by numbers that were worked out by hand ---------------------------------------------------


@pytest.mark.parametrize(
    ("window", "load"),
    [(0.0, 0.58), (0.025, 0.583), (0.05, 0.592), (0.125, 0.655), (0.25, 0.88)],
)
def test_the_load_at_which_a_window_fits_rises_with_its_square(window: float, load: float) -> None:
    assert fitting_load(window, LIMITS) == pytest.approx(load, abs=1e-12)


def test_the_newest_figure_weighs_two_fifths() -> None:
    once = smooth(Load(0.5, 0.01), Load(1.0, 0.06), LIMITS)
    assert (once.busy, once.lag) == pytest.approx((0.7, 0.03))
    twice = smooth(smooth(IDLE, Load(1.0, 0.1), LIMITS), Load(1.0, 0.1), LIMITS)
    assert (twice.busy, twice.lag) == pytest.approx((0.64, 0.064))


@pytest.mark.parametrize(
    ("window", "busy", "lag", "expected"),
    [
        (0.0, 0.64, 0.0, 0.0),  # up to this none opens…
        (0.0, 0.6401, 0.0, 0.005),  # …and above it the narrowest does
        (0.004, 0.7, 0.0, 0.005),
        (0.004, 0.5, 0.0, 0.0),
        (0.005, 0.5599, 0.0, 0.0),  # it closes when the core is calm…
        (0.005, 0.56, 0.0, 0.005),  # …and not before
        (0.02, 0.7, 0.0, 0.021723),  # by e^(0.7 * (0.7 - 0.58192))
        (0.02, 0.5, 0.0, 0.018885),  # by e^(0.7 * (0.5 - 0.58192))
        (0.02, 0.88, 0.0, 0.024640),  # just not strained
        (0.02, 0.8801, 0.0, 0.04),  # strained: twice
        (0.02, 0.1, 0.1, 0.014273),
        (0.02, 0.1, 0.1001, 0.04),
        (0.0, 0.95, 0.0, 0.005),
        (0.001, 0.95, 0.0, 0.005),
        (0.2, 0.95, 0.0, 0.25),
        (0.25, 0.88, 0.0, 0.25),
        (0.25, 0.0, 0.0, 0.135025),
    ],
)
def test_the_next_window(window: float, busy: float, lag: float, expected: float) -> None:
    assert next_window(window, Load(busy, lag), LIMITS) == pytest.approx(expected, abs=1e-6)


def test_a_window_is_had_from_sixteen_deliveries_in_it_on() -> None:
    assert window_for(0.25, 64.0, LIMITS) == 0.25
    assert window_for(0.25, 63.99, LIMITS) == 0.0


def after(*measured: tuple[float, float, float]) -> FlushController:
    """A controller after so many adjustments, each as (elapsed, demanded, lag)."""
    controller = FlushController()
    for each in measured:
        controller._adjust(*each)
    return controller


def test_the_load_is_the_share_of_a_core_and_at_most_all_of_it() -> None:
    assert after((0.1, 0.05, 0.0)).peek().busy == pytest.approx(0.4 * 0.5)
    assert after((0.1, 0.3, 0.0)).peek().busy == pytest.approx(0.4)
    assert after((0.1, 0.05, 0.0), (0.1, 0.05, 0.0)).peek().busy == pytest.approx(0.64 * 0.5)


@pytest.mark.parametrize(
    ("elapsed", "steps"), [(0.01, 1), (0.14, 1), (0.16, 2), (0.31, 3), (0.5, 5), (60.0, 5)]
)
def test_an_adjustment_that_comes_late_stands_for_those_that_were_missed(
    elapsed: float, steps: int
) -> None:
    controller = after((elapsed, elapsed, 0.0))
    assert controller.peek().busy == pytest.approx(1 - 0.6**steps)


def test_an_interval_without_time_changes_nothing() -> None:
    load = after((0.0, 0.5, 3.0), (-1.0, 0.5, 3.0)).peek()
    assert (load.busy, load.lag, load.longest_lag) == (0.0, 0.0, 0.0)


def test_the_longest_lag_is_kept_until_statistics_are_taken_and_peek_keeps_it() -> None:
    controller = after((0.1, 0.0, 0.02), (0.1, 0.0, 0.07), (0.1, 0.0, 0.01))
    assert controller.peek().longest_lag == 0.07
    assert controller.statistics().longest_lag == 0.07
    assert controller.statistics().longest_lag == 0.0


def test_the_window_is_overdue_only_when_the_adjustment_is_late_by_more_than_the_lag() -> None:
    controller = FlushController()
    controller._due = 100.0
    assert controller.window(100.0 + LIMITS.max_lag - 0.001, MANY) == 0.0
    assert controller.window(100.0 + LIMITS.max_lag + 0.001, MANY) == LIMITS.max_window


# --- measured -----------------------------------------------------------------------------------


async def test_a_pacer_on_a_busy_loop_widens_and_forgets_it_when_it_ends() -> None:
    controller = FlushController()
    assert controller.window(trio.current_time(), MANY) == 0.0
    async with trio.open_nursery() as nursery:
        await nursery.start(controller.run)
        with trio.fail_after(LAST_RESORT_S):
            while controller.window(trio.current_time(), MANY) == 0.0:
                work(0.002)
                await trio.lowlevel.checkpoint()
        assert controller.peek().busy > LIMITS.opening
        nursery.cancel_scope.cancel()
    assert controller.window(trio.current_time(), MANY) == 0.0


async def test_a_long_turn_is_seen_as_lag_once_in_full() -> None:
    controller = FlushController()
    async with trio.open_nursery() as nursery:
        await nursery.start(controller.run)
        work(INTERVAL_S + 0.05)
        await trio.testing.wait_all_tasks_blocked()
        statistics = controller.statistics()
        assert statistics.longest_lag >= 0.05
        assert 0.0 < statistics.lag < statistics.longest_lag
        assert controller.statistics().longest_lag == 0.0
        nursery.cancel_scope.cancel()


async def test_while_an_adjustment_is_overdue_the_window_is_the_widest() -> None:
    controller = FlushController()
    async with trio.open_nursery() as nursery:
        await nursery.start(controller.run)
        assert controller.window(trio.current_time(), MANY) == 0.0
        work(INTERVAL_S + LIMITS.max_lag + 0.01)
        assert controller.window(trio.current_time(), MANY) == LIMITS.max_window
        await trio.testing.wait_all_tasks_blocked()
        assert controller.window(trio.current_time(), MANY) < LIMITS.max_window
        nursery.cancel_scope.cancel()


async def test_a_session_with_little_to_deliver_has_none_even_then() -> None:
    controller = FlushController()
    async with trio.open_nursery() as nursery:
        await nursery.start(controller.run)
        work(INTERVAL_S + LIMITS.max_lag + 0.01)
        assert controller.window(trio.current_time(), 28.0) == 0.0
        nursery.cancel_scope.cancel()


async def test_waiting_is_no_load() -> None:
    controller = FlushController()
    async with trio.open_nursery() as nursery:
        await nursery.start(controller.run)
        await trio.sleep(5 * INTERVAL_S)
        assert 0.0 < controller.peek().busy < LIMITS.calm
        nursery.cancel_scope.cancel()


def work(seconds: float) -> None:
    """Hold the loop."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
