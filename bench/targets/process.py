"""One process of a server under measurement: started, paused, ended, always by its own pid."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.figures import cores, descendants
from bench.guardian import entrust
from bench.targets.target import NotServing

READY_S = 30.0
STOP_S = 10.0
_POLL_S = 0.02
_TAIL = 20


class Process:
    """``command`` on the ``place``, the cores that it may use. ``start`` may be repeated after an
    end. What it says goes to the file ``log``.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        place: Sequence[int],
        ready: Callable[[], bool],
        environment: Mapping[str, str],
    ) -> None:
        self._command = list(command)
        self._log = log
        self._place = place
        self._ready = ready
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """True from the start until the process has ended."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """It and those below it; none when it has ended."""
        return [self.pid, *descendants(self.pid)] if self.running else []

    def start(self) -> None:
        """Start, and return when it is ready. Raises NotServing."""
        with self._log.open("wb") as log, on_cores(self._place):
            try:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C here is ours to pass on
                )
            except FileNotFoundError:
                raise NotServing(f"{self._command[0]} is not installed") from None
        entrust(self._process)
        _allow_many_files(self.pid)
        wait_until(self._ready, READY_S, f"{self._name} did not get ready", self._has_ended)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL. Returns after the end, whatever state it was in."""
        if self._process is None or not self.running:
            return
        self._process.terminate()
        self.signal(signal.SIGCONT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and those below it. Returns after the end."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To it and those below it."""
        send(self.pids(), number)

    @property
    def _name(self) -> str:
        return " ".join(self._command[:3])

    def _has_ended(self) -> None:
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            lines = self._log.read_text(errors="replace").splitlines()[-_TAIL:]
            raise NotServing(f"{self._name} ended with {status}:\n" + "\n".join(lines))


def wait_until(
    true: Callable[[], bool], seconds: float, otherwise: str, check: Callable[[], None] | None
) -> None:
    """Return when ``true`` is. Raises NotServing with ``otherwise`` when it never is, and what
    ``check``, asked in between, raises.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if check is not None:
            check()
        if time.monotonic() > deadline:
            raise NotServing(f"{otherwise} within {seconds:g} s")
        time.sleep(_POLL_S)


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """A signal to each; those that have ended do not matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


@contextmanager
def on_cores(place: Sequence[int]) -> Iterator[None]:
    """What is started in the block has these cores; this thread has its own again afterwards."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = cores()
    os.sched_setaffinity(0, place)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allow_many_files(pid: int) -> None:
    """As many open files, and so connections, as the machine allows; where it is not Linux, as
    many as this process may have.
    """
    if hasattr(resource, "prlimit"):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
