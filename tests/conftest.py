"""What holds for all tests."""

import inspect

import pytest

from tests.running import complete


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No asynchronous test passes because it was cancelled half-way."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = complete(item.obj)
