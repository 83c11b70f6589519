"""Fixtures of the conformance suite. It runs under the mock clock: nothing waits in real time."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from tests.conformance.children import Journal

HERE = Path(__file__).parent


def run_mocked(async_fn: Callable[..., Any], **options: Any) -> Any:
    """`trio.run` with a clock that jumps as soon as everybody waits."""
    options["clock"] = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(async_fn, **options)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function) or HERE not in item.path.parents:
            continue
        if inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.trio(run=run_mocked), append=False)


@pytest.fixture
def journal() -> Journal:
    return Journal()
