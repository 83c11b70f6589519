"""The real program as a subprocess: start it, read where it listens, stop it or kill it.

`with running_program({...}) as program` gives a server that is ready; it is always gone, its
process group with it, when the block ends. Its embedded database is a copy (tests/clusters.py); a
`Program` that is started by hand makes its own.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.guardian import entrust, temporary_folder
from bench.servers import free_port
from tests.clusters import give_cluster
from tests.running import LAST_RESORT_S

__all__ = ["Program", "data_directory", "free_port", "running_program"]

START_DEADLINE_S = LAST_RESORT_S  # a first start makes a database cluster
STOP_DEADLINE_S = LAST_RESORT_S


class Program:
    """One `locshare serve`, which can be started again after its end (same ports, same data)."""

    def __init__(self, environment: Mapping[str, str], arguments: tuple[str, ...] = ()) -> None:
        http, ws = free_port(), free_port()
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("LOCSHARE_")
        } | {
            "LOCSHARE_HTTP_BIND": f"127.0.0.1:{http}",
            "LOCSHARE_WS_BIND": f"127.0.0.1:{ws}",
            "LOCSHARE_LOG_FORMAT": "json",
            **environment,
        }
        self.http_url = f"http://127.0.0.1:{http}"
        self.ws_url = f"ws://127.0.0.1:{ws}"
        self.arguments = arguments
        self.log: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start and wait until it is ready. Returns the seconds that took."""
        began = time.monotonic()
        ready: queue.Queue[bool] = queue.Queue()
        self._process = entrust(
            subprocess.Popen(
                [sys.executable, "-m", "locshare", "serve", *self.arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process, ready), name="program-log", daemon=True
        )
        self._reader.start()
        try:
            is_ready = ready.get(timeout=START_DEADLINE_S)
        except queue.Empty:
            is_ready = False
        if not is_ready:
            self.kill()
            raise AssertionError("the program did not get ready:\n" + "".join(self.raw[-60:]))
        return time.monotonic() - began

    def _read(self, process: "subprocess.Popen[str]", ready: "queue.Queue[bool]") -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.raw.append(line)
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    self.log.append(entry)
                    if entry.get("event") == "ready":
                        ready.put(True)
        ready.put(False)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Every log line so far whose event is ``name``."""
        return [entry for entry in self.log if entry.get("event") == name]

    def signal(self, number: signal.Signals) -> None:
        """Send ``number`` to the server's own process."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the end. Returns the exit status."""
        assert self._process is not None
        assert self._reader is not None
        try:
            status = self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the program did not stop:\n" + "".join(self.raw[-60:])) from None
        self._reader.join(STOP_DEADLINE_S)
        return status

    def stop(self) -> int:
        """SIGTERM, then wait. Returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL to the server alone, as a crash would: what it started is not told."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._reader is not None:
            # An embedded database may still hold the pipe; the lines so far are enough.
            self._reader.join(0.5)

    @property
    def running(self) -> bool:
        """True while the process has not ended."""
        return self._process is not None and self._process.poll() is None


@contextmanager
def running_program(
    environment: Mapping[str, str], arguments: tuple[str, ...] = ()
) -> Iterator[Program]:
    """A started program; ended by SIGTERM (by SIGKILL if need be) when the block ends."""
    if "LOCSHARE_DATABASE_URL" not in environment and "LOCSHARE_DATA_DIR" in environment:
        give_cluster(Path(environment["LOCSHARE_DATA_DIR"]))
    program = Program(environment, arguments)
    try:
        program.start()
        yield program
    finally:
        if program.running:
            program.stop()


@contextmanager
def data_directory() -> Iterator[Path]:
    """A DATA_DIR that an embedded database may use, whoever runs the tests."""
    with temporary_folder("locshare-test-") as folder:
        yield folder
