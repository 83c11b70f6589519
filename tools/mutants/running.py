"""Whether the tests notice a mutant: in a fork of this process, which has imported all the rest.

The fork imports locshare with one module's code replaced, and runs the tests that run the mutated
lines: the quick ones first, then the others, until one fails.
"""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Final, Literal

import pytest

from tools.mutants.making import Mutant
from tools.mutants.recording import FOLDER, OPTIONS, Record
from tools.mutants.rooms import ROOT

Verdict = Literal["killed", "survived", "timeout"]

_QUICK_S: Final = 1.0
_QUICK_FILES: Final = 5
TEST_TIMEOUT_S: Final = 30
"""Of one test. A machine that is busy must not make a mutant look killed."""
_OPTIONS: Final = (
    *("-x", "-q", "--no-header", "--tb=short", "-o", f"timeout={TEST_TIMEOUT_S}"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what _warm_up has imported
    *("-p", "no:unraisableexception"),  # it raises after the tests, which is no verdict
)
_WALL_S: Final = 120.0
_CPU_S: Final = 90
_SLOWER: Final = 10
"""How much longer than without a mutation all the tests together may take."""
_POLL_S: Final = 0.02


@dataclass
class _Child:
    mutant: Mutant
    pid: int
    until: float


def run(record: Record, mutants: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, Verdict]]:
    """Each with what became of it, in the order in which that is known. Raises RuntimeError when
    the tests fail in this way without a mutation.
    """
    _warm_up()
    if mutants:
        _control(record, mutants[0].file)
    waiting = list(reversed(mutants))
    children: dict[int, _Child] = {}
    try:
        while waiting or children:
            while waiting and len(children) < jobs:
                mutant = waiting.pop()
                lines = range(mutant.line, mutant.line + mutant.before.count("\n") + 1)
                tests = record.tests_for(mutant.file, lines[0], lines[-1])
                if not tests:
                    yield mutant, "survived"
                    continue
                total = sum(record.seconds[test] for test in tests)
                child = _Child(mutant, _fork(mutant, tests, record), 0)
                child.until = time.monotonic() + _WALL_S + _SLOWER * total
                children[child.pid] = child
            yield from _ended(children)
            time.sleep(_POLL_S)
    finally:
        for child in children.values():
            _kill(child.pid)


def _control(record: Record, file: str) -> None:
    unchanged = Mutant(file, 1, "", "", (ROOT / file).read_text())
    tests, _ = _in_stages(record.tests_for(file, 0, 0), record)
    _, status = os.waitpid(_fork(unchanged, tests, record), 0)
    if os.waitstatus_to_exitcode(status) != _SURVIVED:
        said = (FOLDER / f"{unchanged.id}.log").read_text()[-3000:]
        raise RuntimeError(f"{said}\nwithout a mutation of {file}")


def _warm_up() -> None:
    """Import what does not import locshare."""
    import asyncpg  # noqa: F401
    import httpx  # noqa: F401
    import hypercorn  # noqa: F401
    import hypothesis.stateful  # noqa: F401
    import jwt  # noqa: F401
    import msgspec  # noqa: F401
    import quart_trio  # noqa: F401
    import structlog  # noqa: F401
    import trio.testing  # noqa: F401
    import trio_websocket  # noqa: F401
    import websockets.sync.client  # noqa: F401

    if ours := {"locshare", "tests"} & sys.modules.keys():
        raise RuntimeError(f"{ours} would not be imported again, with the mutation")


def _ended(children: dict[int, _Child]) -> Iterator[tuple[Mutant, Verdict]]:
    for child in list(children.values()):
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            if time.monotonic() > child.until:
                _kill(child.pid)
                del children[child.pid]
                yield child.mutant, "timeout"
            continue
        del children[child.pid]
        with suppress(ProcessLookupError):  # what the tests have started
            os.killpg(child.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(status)
        if code == _BROKEN:
            raise RuntimeError(f"could not run {child.mutant}")
        yield child.mutant, _VERDICTS.get(code, "killed")


_SURVIVED: Final = 100
_TIMEOUT: Final = 101
_BROKEN: Final = 102
"""Not the tests failed but this program."""
_VERDICTS: Final[dict[int, Verdict]] = {
    _SURVIVED: "survived",
    _TIMEOUT: "timeout",
    -signal.SIGXCPU: "timeout",
}


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _fork(mutant: Mutant, tests: Sequence[str], record: Record) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        with suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    code = _BROKEN
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        code = _in_child(mutant, tests, record)
    except BaseException:  # noqa: BLE001 - nothing of the parent may run in the child
        traceback.print_exc()
        code = _BROKEN
    finally:
        os._exit(code)


def _in_child(mutant: Mutant, tests: Sequence[str], record: Record) -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    total = sum(record.seconds[test] for test in tests)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S + int(_SLOWER * total), hard))
    output = os.open(FOLDER / f"{mutant.id}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    _replace(mutant)
    quick, others = _in_stages(tests, record)
    for stage in filter(None, (quick, others)):
        noticed = _Noticed(stage)
        files = list(dict.fromkeys(test.partition("::")[0] for test in stage))
        status = pytest.main(
            [*OPTIONS, *_OPTIONS, *files],
            plugins=[noticed],
        )
        if status != pytest.ExitCode.OK:
            return _TIMEOUT if noticed.timed_out else 1
    return _SURVIVED


def _in_stages(tests: Sequence[str], record: Record) -> tuple[list[str], list[str]]:
    """A few quick ones of a few files, and the rest."""
    quick: list[str] = []
    files: set[str] = set()
    spent = 0.0
    for test in tests:
        file = test.partition("::")[0]
        if spent < _QUICK_S and (file in files or len(files) < _QUICK_FILES):
            quick.append(test)
            files.add(file)
            spent += record.seconds[test]
    chosen = set(quick)
    return quick, [test for test in tests if test not in chosen]


class _Noticed:
    """A plugin: only the tests of the stage, and whether it was a timeout that ended them."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: number for number, test in enumerate(tests)}
        self.timed_out = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._order]
        items.sort(key=lambda item: self._order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and "Timeout (>" in str(report.longrepr):
            self.timed_out = True


def _replace(mutant: Mutant) -> None:
    """Have the import of the module find the mutated code."""
    path = str(ROOT / mutant.file)
    get_code = SourceFileLoader.get_code

    def mutated(self: Any, fullname: str) -> CodeType | None:
        if str(Path(self.path).resolve()) == path:
            return compile(mutant.code, path, "exec", dont_inherit=True)
        return get_code(self, fullname)

    SourceFileLoader.get_code = mutated  # type: ignore[method-assign]
