"""These tests run under the mock clock: seconds pass at once, and nothing waits in real time. Only
those that count memory do not: each jump of that clock takes some.
"""

from pathlib import Path

import pytest

from tests.running import mock_the_clock_below

HERE = Path(__file__).parent
LEAKS = HERE / "test_leaks.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mock_the_clock_below(HERE, [item for item in items if item.path != LEAKS])
