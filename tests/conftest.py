"""What holds for all tests."""

import inspect
import signal

import pytest

from tests.running import complete

# A shell starts what it runs in the background (`make test &`) with SIGINT ignored, and so would be
# every program that a test starts and then interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeat",
        type=int,
        default=3,
        metavar="N",
        help="run each asynchronous conformance test N times (default: 3)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No asynchronous test passes because it was cancelled half-way."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = complete(item.obj)
