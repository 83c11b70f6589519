"""Fixtures of the conformance suite. It runs under the mock clock: nothing waits in real time."""

import inspect
from collections.abc import Callable
from functools import wraps
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


def complete(async_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Fail a test that Cancelled leaves: pytest-trio would let it pass, half run."""

    @wraps(async_fn)
    async def test(**fixtures: Any) -> None:
        try:
            await async_fn(**fixtures)
        except trio.Cancelled as error:
            raise AssertionError("Cancelled left the test") from error
        except BaseExceptionGroup as group:
            if group.split(trio.Cancelled)[0] is not None:
                raise AssertionError("Cancelled left the test, in a group") from group
            raise

    return test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function) or HERE not in item.path.parents:
            continue
        if inspect.iscoroutinefunction(item.obj):
            item.obj = complete(item.obj)
            item.add_marker(pytest.mark.trio(run=run_mocked), append=False)


@pytest.fixture
def journal() -> Journal:
    return Journal()
