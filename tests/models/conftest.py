"""The models run under the mock clock, as does what they have found."""

from pathlib import Path

import pytest

from tests.running import mock_the_clock_below

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mock_the_clock_below(HERE, items)
