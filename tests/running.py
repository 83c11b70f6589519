"""How asynchronous tests are run here: whole, and where they ask for it under a mock clock."""

import inspect
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
import trio.testing

T = TypeVar("T")

LAST_RESORT_S = 100.0
"""How long to wait for what has to come. It says that it never comes, not that it is late: on a
busy machine everything is. Less than a test's own limit, so that it says what was waited for. What
must not be waited for (a linger, a lock) is made to last longer than this.
"""


def given_time(run: Callable[[float], T], enough: Callable[[T], bool]) -> T:
    """What ``run`` gives in a time that is enough on this machine: it is called with 1, and when
    nothing came of that with 5 and with 25, how many times longer than usual it may take.
    """
    found = run(1)
    for longer in (5, 25):
        if enough(found):
            break
        found = run(longer)
    return found


def given_more_time(test: Callable[..., None]) -> Callable[..., None]:
    """For a test whose measurement takes seconds by the clock, in which a busy machine gets too
    little done: it is called with ``times=1``, and while it fails again with 5 and 25, how many
    times longer than usual everything may take.
    """

    @wraps(test)
    def patient(**fixtures: Any) -> None:
        for times in (1, 5):
            try:
                test(times=times, **fixtures)
            except AssertionError:
                continue
            return
        test(times=25, **fixtures)

    whole = inspect.signature(test)
    fixtures = [each for name, each in whole.parameters.items() if name != "times"]
    patient.__signature__ = whole.replace(parameters=fixtures)  # type: ignore[attr-defined]
    return patient


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


def run_mocked(async_fn: Callable[..., Any], **options: Any) -> Any:
    """`trio.run` with a clock that jumps as soon as everybody waits."""
    options["clock"] = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(async_fn, **options)


def mock_the_clock_below(folder: Path, items: list[pytest.Item]) -> None:
    """For a folder's conftest: its asynchronous tests run under the mock clock."""
    # `items` are those of the whole run, and each folder that calls this looks at all of them.
    is_below = cache(lambda path: path.is_relative_to(folder))
    for item in items:
        if (
            is_below(item.path)
            and isinstance(item, pytest.Function)
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.add_marker(pytest.mark.trio(run=run_mocked), append=False)
