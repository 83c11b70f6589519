"""These tests run under the mock clock: hours pass at once, and nothing waits in real time."""

from pathlib import Path

import pytest

from tests.running import mock_the_clock_below

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mock_the_clock_below(HERE, items)
