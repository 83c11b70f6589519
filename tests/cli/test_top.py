"""`locshare top` against the real program: snapshots for scripts, one thing done, and the screen in
a real terminal."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.guardian import entrust
from locshare.cli.main import main
from locshare.ops.control import client
from tests.program import Program, data_directory, running_program
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e
DEADLINE_S = LAST_RESORT_S


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as started:
        yield started


@pytest.fixture
def folder(program: Program) -> str:
    return program.environment["LOCSHARE_DATA_DIR"]


def top(folder: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "locshare", "top", "--data-dir", folder, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def children(folder: str) -> dict[str, Any]:
    snapshot = json.loads(top(folder, "--json", "--interval", "0.1").stdout)
    return {child["id"]: child for child in snapshot["root"]["children"]}


def test_json_for_scripts(program: Program, folder: str) -> None:
    httpx.post(f"{program.http_url}/api/sessions", json={}).raise_for_status()
    result = top(folder, "--json", "--count", "3", "--interval", "0.1")
    assert result.returncode == 0, result.stderr
    snapshots = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(snapshots) == 3
    for snapshot in snapshots:
        assert snapshot["vitals"]["pid"] == program.pid
        assert snapshot["root"]["load"] >= 0
    assert set(children(folder)) >= {"sessions", "listener", "api", "store", "connections"}


def test_text_where_there_is_no_terminal(folder: str) -> None:
    result = top(folder, "--interval", "0.1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("locshare ")
    assert "  heartbeat" in result.stdout


@pytest.mark.parametrize(
    "what", [["--text"], ["--kill", "heartbeat"], ["--trace", "sessions/none"]], ids="-".join
)
def test_a_server_whose_loop_hangs_is_said_to(
    program: Program,
    folder: str,
    what: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command did not end, and said nothing."""
    monkeypatch.setattr(client, "ANSWER_S", 0.5)
    os.kill(program.pid, signal.SIGSTOP)
    try:
        assert main(["top", *what, "--data-dir", folder]) == 1
    finally:
        os.kill(program.pid, signal.SIGCONT)
    assert f"the server (process {program.pid}) does not answer" in capsys.readouterr().err
    assert children(folder)["heartbeat"].get("restarts", 0) == 0, "what was given up was done later"


def test_one_thing_done_to_one_child(folder: str) -> None:
    assert top(folder, "--kill", "heartbeat").returncode == 0
    assert children(folder)["heartbeat"]["last_reason"] == "killed"
    assert top(folder, "--terminate", "heartbeat").returncode == 0
    assert children(folder)["heartbeat"]["state"] == "stopped"
    assert top(folder, "--restart", "heartbeat").returncode == 0
    assert children(folder)["heartbeat"]["state"] == "running"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kill", "haertbeat"], "there are: control"),
        (["--suspend", "heartbeat"], "heartbeat is a task"),
        (["--kill", "."], "SIGTERM"),
        (["--trace", "listener"], "listener is a task"),
    ],
)
def test_what_is_refused(folder: str, arguments: list[str], says: str) -> None:
    result = top(folder, *arguments)
    assert result.returncode == 1
    assert says in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--interval", "0"], "0.1 to 3600"),
        (["--interval", "soon"], "0.1 to 3600"),
        (["--count", "-1"], "whole number"),
        (["--json", "--text"], "not allowed with"),
        (["--kill", "a", "--suspend", "b"], "not allowed with"),
        (["--control-socket", "off"], "control_socket is off"),
        (["--sort", "size"], "invalid choice"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--json", "--control-socket", str(tmp_path / "x")]) == 1
    assert "no server runs there. Start one with `locshare serve`" in capsys.readouterr().err


class Terminal:
    """`locshare top` in a terminal of 36 lines and 140 columns."""

    def __init__(self, folder: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self.process = entrust(subprocess.Popen(
            [  # setsid makes it the controlling terminal: only then is Ctrl-C a signal
                "setsid", "--ctty",
                sys.executable, "-m", "locshare", "top", "--data-dir", folder, "--interval", "0.1",
            ],
            stdin=theirs, stdout=theirs, stderr=theirs,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "140", "LINES": "36"},
        ))  # fmt: skip
        os.close(theirs)

    def until(self, text: str) -> None:
        """Read until the terminal has been shown ``text`` after the last time."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, f"no {text!r} in {self.shown[-3000:]!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._ours, 65_536).decode(errors="replace")
                except OSError:  # the other end is closed
                    assert text in self.shown, self.shown[-3000:]
                    return
        self.shown = self.shown[self.shown.index(text) + len(text) :]

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def close(self) -> int:
        """Read on until it has ended: in a terminal that nobody reads a program stops."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._ours], [], [], 0.1)[0]:
                with suppress(OSError):  # the other end is closed
                    os.read(self._ours, 65_536)
        status = self.process.wait(timeout=1)
        os.close(self._ours)
        return status


def test_the_screen(program: Program, folder: str) -> None:
    terminal = Terminal(folder)
    try:
        terminal.until("actor (by load)")
        terminal.press("o")
        terminal.until("actor (by handled)")
        terminal.press("?")
        terminal.until("What is shown.")
        terminal.press(" ")
        terminal.until("heartbeat")
        before = children(folder)["flush"].get("restarts", 0)
        terminal.press("\x1b[B" * 3)  # root, control, store, flush
        terminal.press("K")
        terminal.until("Kill flush as a crash would?")
        terminal.press("y")
        terminal.until("flush was killed")
        assert children(folder)["flush"]["restarts"] == before + 1
        terminal.press("t")
        terminal.until("flush is a task")
        terminal.press("q")
        assert terminal.close() == 0
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()


def test_the_screen_waits_for_a_server_that_was_restarted() -> None:
    with data_directory() as folder:
        environment = {"LOCSHARE_DATA_DIR": str(folder)}
        with running_program(environment) as program:
            terminal = Terminal(str(folder))
            try:
                terminal.until("actor (by load)")
                program.stop()
                terminal.until("trying again")
                program.start()
                terminal.until(f"pid {program.pid}")
                terminal.press("\x03")
                assert terminal.close() == 130
            finally:
                if terminal.process.poll() is None:
                    terminal.process.kill()
                    terminal.process.wait()
