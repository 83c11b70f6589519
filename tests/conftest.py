"""What holds for all tests."""

import gc
import inspect
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from bench.guardian import stand_guard
from tests.grouping import in_groups, require_groups
from tests.held_to_contract import found_wrong, is_held, watch
from tests.measuring import Measuring
from tests.running import LAST_RESORT_S, complete
from tests.skipping import judge, summarize

HERE = Path(__file__).parent

# A shell starts what it runs in the background (`make test &`) with SIGINT ignored, and so would be
# every program that a test starts and then interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example has no deadline, and none is too slow: that would test the machine.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# httpx gives up after 5 s, which is soon on a busy machine. Its default is one object for all.
for limit in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, limit, LAST_RESORT_S)

# A test that runs make is no part of the make that runs the tests.
for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS"):
    os.environ.pop(variable, None)

# What a test starts ends with the run, however that ends (bench/guardian.py).
stand_guard()


# Every message that is written while a test runs is held to its schema.
watch()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeat",
        type=int,
        default=3,
        metavar="N",
        help="run each asynchronous conformance test N times (default: 3)",
    )
    parser.addoption(
        "--restarts",
        type=int,
        default=800,
        metavar="N",
        help="after how many restarts leaks are looked for (default: 800)",
    )
    parser.addoption(
        "--allow-skips",
        action="store_true",
        help="let tests be skipped where the machine could have what they need (root, apt)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No asynchronous test passes because it was cancelled half-way. In parallel, a file's tests
    share a worker: tests/grouping.py says what new tests have to mind.
    """
    in_groups(items, HERE)
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = complete(item.obj)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays until the end. A full collection by a test, or by a
    benchmark between its rounds, would look through all of it: 60 ms to 400 ms each.
    """
    gc.collect()
    gc.freeze()
    require_groups(session)


measuring = Measuring()


def pytest_runtest_logstart(nodeid: str) -> None:
    """Before a test's first fixture."""
    measuring.before(nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    found_wrong()  # outside of a test
    yield
    wrong = found_wrong()
    if is_held(item):
        assert wrong == [], "messages that the contract does not have"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    judge(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    judge(report, collector.config)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    summarize(terminalreporter)
