"""The real program for a measurement: started with data and ports of its own, always ended.

::

    with running_server() as server:
        session = server.create()

What it starts has a rate limit for nobody and a log of one JSON object per line. Where there are
two cores or more, ``pin=True`` gives the server (and its database) the first for itself and leaves
the others to this process, so that neither takes the other's time; ``database="apart"`` leaves them
to the database too.
"""

import contextlib
import http.client
import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.figures import cores, descendants, resident_bytes
from bench.guardian import entrust, temporary_folder

HOST = "127.0.0.1"
READY_S = 60.0
"""The first start makes a database cluster."""
STOP_S = 20.0
_ACCESS = '"event":"http_request"'
CALLERS = 8
"""Requests at a time while sessions are filled."""

UNLIMITED = {
    "LOCSHARE_CREATE_PER_SECOND": "0",
    "LOCSHARE_JOIN_PER_SECOND": "0",
    "LOCSHARE_READ_PER_SECOND": "0",
}


class NotServing(Exception):
    """The program did not start or stop, or did not answer as it should."""


@dataclass(frozen=True, slots=True)
class BenchSession:
    """A session that was created here."""

    session_id: str
    host_token: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What the server's process holds: ``rss`` in bytes; ``blocks`` is how many pieces of memory
    its Python objects have, None when it does not tell.
    """

    rss: int
    blocks: int | None


class Server:
    """One ``locshare serve``. ``start`` and ``stop`` may be repeated: same data, same ports."""

    module: tuple[str, ...] = ("locshare", "serve")

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self.http_port, self.ws_port = free_port(), free_port()
        self._environment = {
            key: value for key, value in os.environ.items() if not key.startswith("LOCSHARE_")
        } | {
            "LOCSHARE_HTTP_BIND": f"{HOST}:{self.http_port}",
            "LOCSHARE_WS_BIND": f"{HOST}:{self.ws_port}",
            "LOCSHARE_DATA_DIR": str(data_dir),
            "LOCSHARE_LOG_FORMAT": "json",
            **UNLIMITED,
            **(environment or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._tail: list[str] = []
        self.entries: dict[str, dict[str, Any]] = {}
        """The last log line of each event."""
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self.database_s = 0.0
        """How long the database's own start took, the last time."""

    @property
    def pid(self) -> int:
        """Of the server itself; its database has others."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """True from the start until the process has ended."""
        return self._process is not None and self._process.poll() is None

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> float:
        """Start, and wait until it is ready. Returns the seconds that took. Raises NotServing."""
        self._tail.clear()
        self.database_s = 0.0
        ready: queue.Queue[float | None] = queue.Queue()
        began = time.monotonic()
        self._process = entrust(
            subprocess.Popen(
                [sys.executable, "-m", *self.module],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C here is ours to pass on
            )
        )
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        self._reader.start()
        try:
            at = ready.get(timeout=READY_S)
        except queue.Empty:
            at = None
        if at is None:
            self.kill()
            raise NotServing("the program did not get ready:\n" + "".join(self._tail))
        return at - began

    def _read(self, process: "subprocess.Popen[str]", ready: "queue.Queue[float | None]") -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                now = time.monotonic()
                self._tail = [*self._tail[-19:], line]
                if _ACCESS in line:
                    continue  # a thousand a second, which would be parsed in the generator's time
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    entry = json.loads(line)
                    self.entries[entry["event"]] = entry
                    if entry.get("event") == "embedded_postgres_started":
                        self.database_s = entry["seconds"]
                    if entry.get("event") == "ready":
                        ready.put(now)
        ready.put(None)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Signal, and wait for the end. Returns the seconds that took. Raises NotServing when it
        took too long (then it was killed) or ended with an error.
        """
        assert self._process is not None
        self.hang_up()
        began = time.monotonic()
        self._process.send_signal(number)
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotServing("the program did not stop:\n" + "".join(self._tail)) from None
        took = time.monotonic() - began
        if status != 0:
            raise NotServing(f"the program ended with {status}:\n" + "".join(self._tail))
        return took

    def kill(self) -> None:
        """End it, whatever state it is in. Its database's watcher sees to the rest."""
        self.hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    # --- what it is asked ---------------------------------------------------------------------

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> bytes:
        """One request on this thread's own connection. Raises NotServing unless it succeeds."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(HOST, self.http_port, timeout=30)
            self._local.connection = connection
            self._connections.append(connection)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            data: bytes = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NotServing(f"{method} {path}: {type(error).__name__}") from error
        if answer.status >= 300:
            raise NotServing(f"{method} {path}: {answer.status} {data[:200]!r}")
        return data

    def hang_up(self) -> None:
        """Close the connections of all threads; the next request makes another."""
        for each in self._connections:
            each.close()

    def create(self) -> BenchSession:
        """A new session."""
        answer = json.loads(self.request("POST", "/api/sessions", {"name": "bench"}))
        return BenchSession(answer["session_id"], answer["host_token"])

    def join(self, session: BenchSession, name: str) -> str:
        """A new participant's token."""
        path = f"/api/sessions/{session.session_id}/join"
        token: str = json.loads(self.request("POST", path, {"display_name": name}))[
            "websocket_token"
        ]
        return token

    def end(self, session: BenchSession) -> None:
        """What the host does at last."""
        self.request("DELETE", f"/api/sessions/{session.session_id}", token=session.host_token)

    def fill(self, sessions: int, size: int) -> list[tuple[BenchSession, list[str]]]:
        """``sessions`` new sessions, each with the tokens of ``size`` people."""
        with ThreadPoolExecutor(CALLERS) as pool:
            created = list(pool.map(lambda _: self.create(), range(sessions)))
            places = [each for each in created for _ in range(size)]
            names = [f"person {each}" for each in range(len(places))]
            tokens = list(pool.map(self.join, places, names))
        self.hang_up()
        return [(each, tokens[at * size : (at + 1) * size]) for at, each in enumerate(created)]

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by name and labels. Closes all connections: the next request
        may be a minute away, and the server does not keep idle ones for ever.
        """
        found = {}
        text = self.request("GET", "/metrics").decode()
        self.hang_up()
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def memory(self) -> Memory:
        """What it holds now."""
        samples = self.metrics()
        rss = resident_bytes(self.pid)
        if rss is None:
            rss = int(samples.get("process_resident_memory_bytes", 0))
        blocks = samples.get("python_allocated_blocks")
        return Memory(rss, None if blocks is None else int(blocks))


_LOWEST_PORT, _PORTS = 10_000, 22_000
_numbers = itertools.count(os.getpid() * 131)


def free_port() -> int:
    """A TCP port that nobody listens on now. It is none of those that Linux gives to outgoing
    connections, so nobody comes by it before the caller's server does, and each process begins its
    search at another one.
    """
    for number in itertools.islice(_numbers, _PORTS):
        port = _LOWEST_PORT + number % _PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise NotServing("no TCP port is free")


@contextmanager
def data_directory() -> Iterator[Path]:
    """A directory for the server's data, removed at the end."""
    with temporary_folder("locshare-bench-") as folder:
        yield folder


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    *,
    pin: bool = False,
    database: Literal["beside", "apart"] = "beside",
) -> Iterator[Server]:
    """A server that is ready; gone, with its data, when the block ends. Pinned, its database shares
    its core (``beside``) or this process's (``apart``). Raises NotServing.
    """
    with data_directory() as folder, own_cores(pin) as apart:
        server = Server(folder, environment)
        try:
            server.start()
            apart(descendants(server.pid) if database == "apart" else ())
            yield server
        finally:
            if server.running:
                server.stop()


@contextmanager
def own_cores(pin: bool) -> Iterator[Callable[[Iterable[int]], None]]:
    """Inside, this process has the first core, which what it starts inherits. The function that is
    given moves this process with all its threads, and those whose numbers it gets, to the others.
    """
    allowed = cores()
    if not pin or len(allowed) < 2 or not hasattr(os, "sched_setaffinity"):
        yield lambda _: None
        return

    def move(others: Iterable[int]) -> None:
        threads = [each.native_id for each in threading.enumerate() if each.native_id]
        for pid in (*threads, *others):
            with contextlib.suppress(ProcessLookupError):  # a backend may end at any time
                os.sched_setaffinity(pid, allowed[1:])

    os.sched_setaffinity(0, allowed[:1])
    try:
        yield move
    finally:
        os.sched_setaffinity(0, allowed)
