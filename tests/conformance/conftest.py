"""Fixtures of the conformance suite. It runs under the mock clock: nothing waits in real time.

Every asynchronous test runs `--repeat` times. Trio's scheduler runs a batch of tasks forwards or
backwards at random, and outside of Hypothesis it is not seeded, so each repetition sees another
order (test_repeated.py).
"""

import inspect
from pathlib import Path

import pytest

from locshare.supervisor.testing import TreeJournal
from tests.running import mock_the_clock_below

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        times = metafunc.config.getoption("--repeat")
        metafunc.parametrize("repetition", range(times), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mock_the_clock_below(HERE, items)


@pytest.fixture(autouse=True)
def repetition(request: pytest.FixtureRequest) -> int:
    """Which of its repetitions a test is."""
    number: int = getattr(request, "param", 0)
    return number


@pytest.fixture
def journal() -> TreeJournal:
    return TreeJournal()
