"""Server processes under measurement: pinned to cores, always ended.

::

    with running_server() as server, server.rest() as rest:
        session = rest.create()

A server that is started here has no rate limits and logs one JSON object per line. Where there are
two cores or more, ``pin=True`` gives the server and its database the first and leaves the others to
this process, so that neither takes the other's time; ``database="apart"`` moves the database to the
others too.
"""

import fcntl
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from bench.errors import NotServing
from bench.guardian import entrust, temporary_folder
from bench.procfs import cores, descendants, resident_bytes
from bench.rest import Profile, Rest

HOST = "127.0.0.1"
READY_S = 100.0
"""The first start creates a database cluster."""
STOP_S = 60.0
_POLL_S = 0.005
_TAIL = 20


class Process:
    """Runs ``command`` on the cores ``place``, with its output in the file ``log``. May be
    restarted.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], bool],
        place: Sequence[int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._ready = ready
        self._place = cores() if place is None else place
        self._environment = dict(os.environ if environment is None else environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; None before the start and while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """The process and its descendants; empty when it has ended."""
        return [self.pid, *descendants(self.pid)] if self.running else []

    def start(self) -> float:
        """Start, and wait until it is ready. Returns the seconds that took. Raises NotServing."""
        began = time.monotonic()
        if self._process is not None:
            self._process.wait(STOP_S)  # the one before, which has died
        with self._log.open("wb") as log, on_cores(self._place):
            try:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for this process, which ends the other
                )
            except FileNotFoundError:
                raise NotServing(f"{self._command[0]} is not installed") from None
        entrust(self._process)
        _allow_many_files(self.pid)
        name = " ".join(self._command[:3])

        def ready() -> bool:
            if self.status is not None:
                raise NotServing(f"{name} ended with {self.status}:\n{self.log_tail()}")
            return self._ready()

        wait_until(ready, READY_S, f"{name} did not get ready")
        return time.monotonic() - began

    def log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL:])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Signal, and wait for the end; SIGKILL after STOP_S. A stopped process is continued.
        Returns the seconds that took.
        """
        began = time.monotonic()
        if self._process is not None and self.running:
            self._process.send_signal(number)
            self.signal(signal.SIGCONT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL to the process and its descendants. Returns after the end."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To the process and its descendants."""
        send_signal(self.pids(), number)


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the server's process: ``rss`` in bytes, ``blocks`` of memory that Python objects hold."""

    rss: int
    blocks: int


class Server(Process):
    """One ``locshare serve`` with private data and ports, the same after each start."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *,
        faults: bool = False,
        place: Sequence[int] | None = None,
    ) -> None:
        self.folder = folder
        self.http_port, self.ws_port = free_port(), free_port()
        self.http_url = f"http://{HOST}:{self.http_port}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOCSHARE_")}
        own = {
            "LOCSHARE_HTTP_BIND": f"{HOST}:{self.http_port}",
            "LOCSHARE_WS_BIND": f"{HOST}:{self.ws_port}",
            "LOCSHARE_DATA_DIR": str(folder),
            "LOCSHARE_LOG_FORMAT": "json",
            "LOCSHARE_CREATE_PER_SECOND": "0",
            "LOCSHARE_JOIN_PER_SECOND": "0",
            "LOCSHARE_READ_PER_SECOND": "0",
        }
        super().__init__(
            [sys.executable, "-m", "locshare", "serve", *(["--faults"] if faults else [])],
            log=folder / "server.log",
            ready=lambda: self.logged("ready") is not None,
            place=place,
            environment=inherited | own | dict(environment or {}),
        )

    def logged(self, event: str) -> dict[str, Any] | None:
        """The first log line of this event since the start."""
        with self._log.open(encoding="utf-8", errors="replace") as lines:
            found = next((line for line in lines if f'"event":"{event}"' in line), "")
        with suppress(ValueError):  # not completely written yet
            entry: dict[str, Any] = json.loads(found)
            return entry
        return None

    def kill(self) -> None:
        """SIGKILL to the server alone: its database's watcher stops the database."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def rest(self) -> Rest:
        return Rest(self.http_url)

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by name and labels."""
        with self.rest() as rest:
            lines = rest.request("GET", "/metrics").decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def memory(self) -> Memory:
        samples = self.metrics()
        rss = resident_bytes(self.pid) or int(samples["process_resident_memory_bytes"])
        return Memory(rss, int(samples.get("python_allocated_blocks", 0)))


def people(count: int) -> list[Profile]:
    return [Profile(f"person {number}") for number in range(count)]


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    *,
    faults: bool = False,
    pin: bool = False,
    database: Literal["beside", "apart"] = "beside",
) -> Iterator[Server]:
    """A server that is ready; gone, with its data, when the block ends. Pinned, its database shares
    its core (``beside``) or this process's (``apart``). Raises NotServing, also when the server did
    not stop cleanly.
    """
    with data_directory() as folder, split_cores(pin) as place:
        server = Server(folder, environment, faults=faults, place=place)
        try:
            server.start()
            if pin and database == "apart":
                for pid in descendants(server.pid):
                    with suppress(ProcessLookupError):  # a backend may end at any time
                        os.sched_setaffinity(pid, cores())
            yield server
        finally:
            server.stop()
        if server.status:
            raise NotServing(f"the server ended with {server.status}:\n{server.log_tail()}")


@contextmanager
def data_directory() -> Iterator[Path]:
    """A directory for a server's data, removed at the end."""
    with temporary_folder("locshare-bench-") as folder:
        yield folder


# --- what the system is asked -----------------------------------------------------------------

_LOWEST_PORT, _PORTS = 10_000, 22_000
_numbers = itertools.count(os.getpid() * 131)


def free_port() -> int:
    """A TCP port that nobody listens on now, reserved until this process ends: no other process
    that asks here gets it, also while the server on it is being restarted. It is outside the range
    that Linux gives to outgoing connections, so none of those takes it first.
    """
    for number in itertools.islice(_numbers, _PORTS):
        port = _LOWEST_PORT + number % _PORTS
        with socket.socket() as probe, suppress(OSError):
            _reserve(port)
            probe.bind((HOST, port))
            return port
    raise NotServing("no TCP port is free")


def _reserve(port: int) -> None:
    """Raises OSError where another process has it. A lock on one byte for each port is of this
    process alone, and gone with it however it ends.
    """
    fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)


@cache
def _reservations() -> int:
    """A descriptor, open until the end: a close would give up all locks of this process."""
    path = Path(tempfile.gettempdir(), f"locshare-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def wait_until(true: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Return when ``true`` is. Raises NotServing with ``otherwise`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise NotServing(f"{otherwise} within {seconds:g} s")
        time.sleep(_POLL_S)


def send_signal(pids: Sequence[int], number: signal.Signals) -> None:
    """To each that has not ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def split_cores(pin: bool) -> Iterator[Sequence[int]]:
    """The cores for a server. In the block this thread, and what it starts, has the others."""
    allowed = cores()
    split = pin and len(allowed) > 1
    with on_cores(allowed[1:] if split else allowed):
        yield allowed[:1] if split else allowed


@contextmanager
def on_cores(place: Sequence[int]) -> Iterator[None]:
    """In the block this thread, and what it starts, has these cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = cores()
    os.sched_setaffinity(0, place)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_connections(count: int) -> None:
    """Raise this process's limit of open files. Raises NotServing when it may not."""
    needed = count + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise NotServing(f"{hard} open files are too few for {count} connections (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _allow_many_files(pid: int) -> None:
    """Raise the limit of open files, and so of connections, to the maximum. Linux only."""
    if hasattr(resource, "prlimit"):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
