"""These tests run under the mock clock: hours pass at once, and nothing waits in real time. Only
where real sockets are waited for, a clock that jumps when everybody waits would jump at once.
"""

from pathlib import Path

import pytest

from tests.running import mock_the_clock_below

HERE = Path(__file__).parent
OVER_SOCKETS = HERE / "test_over_sockets.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mock_the_clock_below(HERE, [item for item in items if item.path != OVER_SOCKETS])
