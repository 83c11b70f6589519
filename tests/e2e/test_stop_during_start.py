"""SIGTERM at any moment of the real program's start ends it, with both ports free and no orphan."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.guardian import entrust
from tests.program import Program, data_directory
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

PATIENCE_S = LAST_RESORT_S
"""Less than the deadline after which the process would cut itself off."""
_STEP_S = 0.002


class Starting:
    """The program on its way up."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.program = Program({"LOCSHARE_DATA_DIR": str(folder), **environment})
        self.log = folder / "stderr"
        with self.log.open("wb") as log:
            self.process = entrust(
                subprocess.Popen(
                    [sys.executable, "-m", "locshare", "serve"],
                    env=self.program.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def wait_for(self, moment: Callable[["Starting"], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not moment(self):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(_STEP_S)

    def logged(self, event: str) -> bool:
        return f'"event":"{event}"' in self.log.read_text()

    def ports(self) -> Iterator[int]:
        for url in (self.program.http_url, self.program.ws_url):
            yield int(url.rpartition(":")[2])

    def descendants(self) -> list[str]:
        """Processes of the data directory: PostgreSQL, initdb, the watcher."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                directory = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(self.folder) in command or directory.startswith(str(self.folder)):
                found.append(command)
        return found


@contextmanager
def starting(environment: dict[str, str]) -> Iterator[Starting]:
    with data_directory() as folder:
        made = Starting(folder, environment)
        try:
            yield made
        finally:
            if made.process.poll() is None:
                os.killpg(made.process.pid, signal.SIGKILL)
                made.process.wait()


def assert_it_ends(it: Starting) -> None:
    began = time.monotonic()
    it.process.send_signal(signal.SIGTERM)
    status = it.process.wait(PATIENCE_S)
    log = it.log.read_text()
    # Before anything was begun there is nothing to end in order.
    assert status == 0 or (status == -signal.SIGTERM and not log), log
    assert time.monotonic() - began < PATIENCE_S
    assert "Traceback" not in log
    for port in it.ports():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    if sys.platform == "linux":
        deadline = time.monotonic() + PATIENCE_S
        while left := it.descendants():
            assert time.monotonic() < deadline, left
            time.sleep(_STEP_S)


MOMENTS: dict[str, Callable[[Starting], bool]] = {
    "at once": lambda _: True,
    "tree": lambda it: it.logged("control_listening"),
    "initdb": lambda it: bool(list(it.folder.glob("postgres.new-*"))),
    "postmaster": lambda it: (it.folder / "postgres" / "postmaster.pid").exists(),
    "store": lambda it: it.logged("embedded_postgres_started"),
    "listener": lambda it: it.logged("listening"),
    "api": lambda it: it.logged("http_listening"),
    "ready": lambda it: it.logged("ready"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_during_the_start_ends_it(moment: str) -> None:
    with starting({}) as it:
        it.wait_for(MOMENTS[moment])
        if moment == "ready" and sys.platform == "linux":
            assert it.descendants(), "else nothing could be left"
        assert_it_ends(it)


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.3, 0.6])
def test_a_signal_while_it_is_being_loaded_ends_it(delay_s: float) -> None:
    with starting({"LOCSHARE_DATABASE_URL": "postgresql://ada@127.0.0.1:1/none"}) as it:
        time.sleep(delay_s)  # whatever it is doing then
        assert_it_ends(it)


def test_a_signal_ends_a_start_that_waits_for_a_database_which_never_answers() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"postgresql://ada@127.0.0.1:{mute.getsockname()[1]}/none"
        with starting({"LOCSHARE_DATABASE_URL": url}) as it:
            asked, _ = mute.accept()
            with asked:
                assert asked.recv(1)
                assert_it_ends(it)
