"""A run that is killed leaves none of its processes, folders and network namespaces."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.guardian import entrust
from bench.procfs import PROC, descendants, started

ROOT = Path(__file__).resolve().parents[2]
LAST_RESORT_S = 240.0

pytestmark = pytest.mark.skipif(not PROC.joinpath("stat").exists(), reason="there is no /proc")


def wait_for(true: Callable[[], object], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + LAST_RESORT_S
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def said_in(file: Path, run: "subprocess.Popen[bytes]") -> list[str]:
    """The lines of a file that a run writes when it is ready."""
    wait_for(lambda: file.exists() or run.poll() is not None, lambda: "never ready")
    assert run.poll() is None, (file.parent / "output").read_text()
    return file.read_text().splitlines()


def gone(processes: dict[int, str | None]) -> bool:
    return all(started(pid) != began for pid, began in processes.items())


@pytest.mark.parametrize("whom", ["the run", "its worker"])
def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path, whom: str) -> None:
    ready = tmp_path / "ready"
    with (tmp_path / "output").open("wb") as output:
        run = entrust(
            subprocess.Popen(
                [sys.executable, "-m", "pytest", "-n1", "-s", "tests/guarded/left_behind.py"],
                cwd=ROOT,
                env=os.environ | {"LEFT_BEHIND": str(ready)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )
    with run:
        try:
            tester, *servers, folder = said_in(ready, run)
            below = descendants(run.pid)
            assert {int(pid) for pid in servers} <= below.keys()
            os.kill(run.pid if whom == "the run" else int(tester), signal.SIGKILL)
            if whom == "the run":
                wait_for(lambda: gone(below), lambda: _living(below))
            else:  # its own; the run goes on, and begins another
                mine = {int(pid): below[int(pid)] for pid in servers}
                wait_for(lambda: gone(mine), lambda: _living(mine))
            wait_for(lambda: not Path(folder).exists(), lambda: folder)
        finally:
            run.kill()


def _living(processes: dict[int, str | None]) -> list[str]:
    return [
        (PROC / str(pid) / "cmdline").read_text().replace("\0", " ")
        for pid, began in processes.items()
        if started(pid) == began
    ]


def popens() -> Iterator[str]:
    """Where tests and bench start a process without entrusting it."""
    for path in sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]):
        source = path.read_text()
        if "Popen(" not in source or path.name == "guardian.py":
            continue
        tree = ast.parse(source)
        entrusted = {
            id(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "entrust"
            for argument in call.args
        }
        names = {
            ast.unparse(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "entrust"
            for argument in call.args
        }
        for statement in ast.walk(tree):
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) in names:
                entrusted.add(id(statement.value))
        for call in ast.walk(tree):
            if (
                isinstance(call, ast.Call)
                and ast.unparse(call.func) in ("subprocess.Popen", "Popen")
                and id(call) not in entrusted
            ):
                yield f"{path.relative_to(ROOT)}:{call.lineno}"


# It is entrusted where the thread is back from the other network namespace.
ELSEWHERE = ("bench/network/proxy.py",)


def test_whatever_is_started_is_entrusted_to_the_guardian() -> None:
    assert [each for each in popens() if not each.startswith(ELSEWHERE)] == []
