"""Fixtures of the conformance suite. It runs under the mock clock: nothing waits in real time."""

from pathlib import Path

import pytest
from tests.conformance.children import Journal
from tests.running import mock_the_clock_below

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mock_the_clock_below(HERE, items)


@pytest.fixture
def journal() -> Journal:
    return Journal()
