"""Percentiles by the nearest rank, and what is read from /proc."""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.guardian import entrust
from bench.procfs import PROC, Clocks, Shares, busy_seconds, cpu_seconds, descendants, started
from bench.stats import percentile, summary

linux = pytest.mark.skipif(not PROC.joinpath("stat").exists(), reason="there is no /proc")


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=200), st.floats(0.001, 1))
def test_a_percentile_is_the_least_value_that_its_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(each <= found for each in ordered) >= share * len(ordered)
    assert sum(each < found for each in ordered) < share * len(ordered)


def test_the_percentiles_of_a_hundred_are_their_ranks() -> None:
    values = [each / 1000 for each in range(100, 0, -1)]
    assert summary(values) == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_nothing_measured_is_zero() -> None:
    assert percentile([], 0.5) == 0.0


@linux
def test_a_child_is_a_descendant_until_it_ends() -> None:
    child = entrust(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
    try:
        began = started(child.pid)
        assert began is not None
        assert descendants(os.getpid())[child.pid] == began
    finally:
        child.communicate()
    assert started(child.pid) is None
    assert child.pid not in descendants(os.getpid())


@linux
def test_processor_time_grows_with_work() -> None:
    before, all_before = cpu_seconds(os.getpid()), busy_seconds()
    assert before is not None
    assert all_before is not None
    while (now := cpu_seconds(os.getpid())) is not None and now < before + 0.05:
        sum(range(10_000))
    after = busy_seconds()
    assert after is not None
    assert after > all_before


@linux
def test_work_of_this_process_is_the_generators_share() -> None:
    clocks = Clocks(os.getppid())
    until = time.process_time() + 0.1
    while time.process_time() < until:
        sum(range(10_000))
    shares = clocks.shares()
    assert shares.generator is not None
    assert 0.05 / shares.wall < shares.generator < 1.1
    assert shares.server is not None
    assert shares.others is not None


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        pytest.param(Shares(1, 0.5, 0.9, 0.1), None, id="quiet"),
        pytest.param(Shares(1, 0.9, 0.5, 0.1), "generator", id="busy generator"),
        pytest.param(Shares(1, 0.5, 0.5, 0.6), "other", id="disturbed"),
        pytest.param(Shares(1, 0.5, None, None), None, id="not told"),
    ],
)
def test_figures_that_are_not_the_servers_come_with_a_warning(
    shares: Shares, word: str | None
) -> None:
    found = shares.warnings()
    assert [word in each for each in found if word] == [True] * (word is not None)
    assert len(found) == (word is not None)
