"""Ends what a run has started when the run ends in any way, by SIGKILL too.

A second process, the guardian, holds the reading end of a pipe. When the pipe closes, the guardian
kills the processes that were entrusted to it, those with this run's mark in their environment, and
all descendants. Then it removes left-over folders and network namespaces. After a run that ended
properly it finds nothing to do.

The mark reaches processes that nothing entrusts (`subprocess.run`, a browser and its driver).
Entrusting reaches those that overwrite their environment (Redis, nginx) or are given another one.
Rejected: PR_SET_PDEATHSIG is sent when the *thread* that forked ends, and Trio's threads do.

Without /proc only the folders are removed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Protocol, TypeVar

from bench.procfs import PROC, descendants, started

MARK: Final = "STARTED_BY_RUN"
_CLEANUP_S: Final = 30.0
"""A database, which its own watcher shuts down, may still write into its folder for this long."""
_POLL_S: Final = 0.02


class _HasPid(Protocol):
    @property
    def pid(self) -> int: ...


P = TypeVar("P", bound=_HasPid)


class _Guardian:
    """The guardian of this process, started on first use."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._of: int | None = None
        self._pipe = -1

    def tell(self, kind: str = "", what: str = "") -> None:
        with self._lock:
            if self._of != os.getpid():  # a fork has no guardian yet
                self._pipe = self._start()
                self._of = os.getpid()
            if kind:
                os.write(self._pipe, f"{kind} {what}\n".encode())

    def _start(self) -> int:
        pid = os.getpid()
        mark = f"{pid}-{started(pid)}"
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, mark],
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=reading,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the guarded processes
        )
        process.returncode = 0  # never waited for: it outlives this process
        os.close(reading)
        os.environ[MARK] = mark
        return writing


_guardian = _Guardian()


def stand_guard() -> None:
    """Start the guardian now: every process started from here on inherits the mark."""
    _guardian.tell()


def entrust(process: P) -> P:
    """End ``process``, which has just been started, when this process ends. Returns it."""
    _guardian.tell("process", f"{process.pid} {started(process.pid)}")
    return process


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A new temporary folder, removed at the end of the block, or of this process."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    _guardian.tell("folder", str(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- the guardian's own process ---------------------------------------------------------------


def main() -> None:
    """Read entries until the pipe closes, then clean up. The argument is the mark."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark = sys.argv[1]
    processes: dict[int, str] = {}
    folders: list[Path] = []
    for line in sys.stdin:
        kind, _, what = line.rstrip("\n").partition(" ")
        if kind == "process":
            pid, _, began = what.partition(" ")
            processes[int(pid)] = began
        else:
            folders.append(Path(what))
    _end(mark, processes)
    _remove(folders)
    _remove_namespaces()


def _left(mark: str, processes: dict[int, str]) -> set[int]:
    """The entrusted and marked processes that still run, and all their descendants."""
    found = {pid for pid, began in processes.items() if started(pid) == began}
    sign = f"{MARK}={mark}".encode()
    for folder in PROC.glob("[0-9]*"):
        try:
            marked = sign in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked and started(int(folder.name)) is not None:
            found.add(int(folder.name))
    # A nested run's guardian has its own work to do, and ends after it.
    return {pid for pid in (*found, *descendants(*found)) if not _is_guardian(pid)}


def _is_guardian(pid: int) -> bool:
    try:
        return __spec__.name.encode() in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _end(mark: str, processes: dict[int, str]) -> None:
    """Repeat until none is left: a process may just have been starting another."""
    deadline = time.monotonic() + _CLEANUP_S
    pause = _POLL_S
    while (left := _left(mark, processes)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(pause)
        pause = min(2 * pause, 1.0)


def _remove(folders: list[Path]) -> None:
    deadline = time.monotonic() + _CLEANUP_S
    while (left := [each for each in folders if each.exists()]) and time.monotonic() < deadline:
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(10 * _POLL_S)


def _remove_namespaces() -> None:
    from bench.network import namespace

    if any(namespace.NAMESPACES.glob("locshare-*")):
        namespace.remove_stale()


if __name__ == "__main__":
    main()
