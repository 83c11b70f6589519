"""Which tests run which lines, and how long each takes: measured once for a state of the files.

The second half of this module is a plugin of pytest: `-p tools.mutants.recording`.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage, CoverageData

from tools.mutants.rooms import PACKAGE, ROOT, Room

FOLDER: Final = ROOT / ".mutants"
_RECORD_IN: Final = "MUTANTS_RECORD_IN"
"""Where the plugin writes to; when it is not set, it does nothing."""
OPTIONS: Final = ("--repeat=1", "-p", "no:cacheprovider", "-p", "no:randomly", "--allow-skips")
"""One repetition of the conformance tests; it is another order of the scheduler in each run."""


@dataclass(frozen=True)
class Record:
    """Of one room."""

    seconds: dict[str, float]
    """By test that passed."""
    lines: dict[str, dict[int, set[str]]]
    """By file and line, who runs it."""
    own: str
    """The folder of the room's own tests."""

    def tests_for(self, file: str, first: int, last: int) -> list[str]:
        """Who may notice a mutation of these lines, quickest first. What runs at import is noticed
        by whoever runs anything of the file, or, of declarations, by the room's own tests.
        """
        by_line = self.lines.get(file, {})
        found = set().union(*(by_line.get(line, set()) for line in range(first, last + 1)))
        if "" in found or not found:
            own = {test for test in self.seconds if test.startswith(self.own)}
            found = own.union(*by_line.values())
        return sorted(found & self.seconds.keys(), key=lambda test: self.seconds[test])


def record(room: Room) -> Record:
    """Run the tests of the room, unless nothing has changed since. Raises SystemExit when one of
    them fails as things are.
    """
    folder = FOLDER / room.name
    data, seconds, state = folder / "coverage", folder / "seconds.json", folder / "state"
    now = _state(room)
    if not state.exists() or state.read_text() != now:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        print(f"{room.name}: running its tests once, to see what runs what ...", flush=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", *OPTIONS, "-p", "tools.mutants.recording"),
                *map(str, room.test_files()),
            ],
            cwd=ROOT,
            env=os.environ | {_RECORD_IN: str(folder)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\nThe tests have to pass before anything is mutated.")
        state.write_text(now)
    return Record(json.loads(seconds.read_text()), _lines(data), f"tests/{room.name}/")


def _state(room: Room) -> str:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), Path(__file__)]
    digest = hashlib.sha256(repr(room).encode())
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _lines(data: Path) -> dict[str, dict[int, set[str]]]:
    recorded = CoverageData(str(data))
    recorded.read()
    found: dict[str, dict[int, set[str]]] = {}
    for file in recorded.measured_files():
        lines: dict[int, set[str]] = defaultdict(set)
        for line, contexts in recorded.contexts_by_lineno(file).items():
            lines[line] = set(contexts)
        found[Path(file).relative_to(ROOT).as_posix()] = lines
    return found


# --- the plugin -------------------------------------------------------------------------------

_seconds: dict[str, float] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Begin before any conftest imports the program."""
    if _RECORD_IN in os.environ:
        data = Path(os.environ[_RECORD_IN], "coverage")
        recording = Coverage(str(data), source_pkgs=["locshare"], config_file=False)
        # A conftest that is among the arguments has imported the package by now. What runs in its
        # functions is seen all the same.
        recording.set_option("run:disable_warnings", ["module-not-measured"])
        recording.start()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What runs now is run by this test."""
    if _RECORD_IN in os.environ and (running := Coverage.current()) is not None:
        running.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the phases of each test."""
    if report.passed:
        _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish() -> None:
    """Write what has been seen to where the caller wants it."""
    if _RECORD_IN in os.environ and (running := Coverage.current()) is not None:
        running.stop()
        running.save()
        Path(os.environ[_RECORD_IN], "seconds.json").write_text(json.dumps(_seconds))
