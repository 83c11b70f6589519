"""``locshare serve``: the server with its demo, what is printed, and why it cannot start.

How the server itself runs and stops is tested with the real program in tests/e2e. Here the server
and the demo are stand-ins where the rule is about the two together.
"""

import errno
import os
import re
import subprocess
import sys
import types
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

import locshare.server
from locshare.actors import StartError
from locshare.cli import main as cli
from locshare.cli.failures import explain
from locshare.cli.serve import GaveUp, invitation, qr_code, serve
from locshare.config import Settings
from locshare.net.addresses import Addresses
from locshare.net.listening import CannotListen
from locshare.server.signals import StopSignals
from locshare.store.port import StoreUnavailable
from tests.running import LAST_RESORT_S

ADDRESSES = Addresses(
    "http://127.0.0.1:1", "ws://127.0.0.1:2", "http://127.0.0.1:1", "ws://127.0.0.1:2"
)
LINK = "http://127.0.0.1:1/join/6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
SIGNALS = StopSignals(1.0)  # not installed
LAN_LINK = LINK.replace("127.0.0.1", "192.168.1.5")

Stand = Callable[..., Awaitable[None]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a server and a demo in the place of the real ones."""

    def put(server: Stand, demo: Stand | None = None) -> None:
        app = types.ModuleType("locshare.server.tree")
        show = types.ModuleType("locshare.simulate.demo")
        app.serve = server  # type: ignore[attr-defined]  # a module made here
        show.run_demo = demo  # type: ignore[attr-defined]  # a module made here
        monkeypatch.setitem(sys.modules, "locshare.server.tree", app)
        monkeypatch.setattr(locshare.server, "tree", app, raising=False)
        monkeypatch.setitem(sys.modules, "locshare.simulate.demo", show)

    return put


# --- the server and the demo together ---------------------------------------------------------


async def test_the_demo_begins_when_the_server_is_ready_and_ends_with_it(
    stand_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []
    stop = trio.Event()

    async def server(*_arguments: Any, task_status: Any, **_options: Any) -> None:
        await trio.testing.wait_all_tasks_blocked()
        steps.append("ready")
        task_status.started(ADDRESSES)
        await stop.wait()
        steps.append("server ended")

    async def demo(
        addresses: Addresses, *, people: int, announce: Callable[[str], None], task_status: Any
    ) -> None:
        steps.append(f"demo of {people} at {addresses.public_url}")
        task_status.started(LINK)
        announce(LAN_LINK)
        try:
            await trio.sleep_forever()
        finally:
            steps.append("demo ended")

    stand_in(server, demo)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve(Settings(), SIGNALS, people=3))
        await trio.testing.wait_all_tasks_blocked(0.01)
        invited = capsys.readouterr().out
        assert LINK in invited
        assert LAN_LINK in invited, "to the session that took its place"
        stop.set()
    assert steps == ["ready", "demo of 3 at http://127.0.0.1:1", "server ended", "demo ended"]


async def test_the_server_outlives_a_crash_of_the_demo(stand_in: Callable[..., None]) -> None:
    crashed, ended = trio.Event(), False

    async def server(*_arguments: Any, task_status: Any, **_options: Any) -> None:
        nonlocal ended
        task_status.started(ADDRESSES)
        await crashed.wait()
        await trio.testing.wait_all_tasks_blocked()
        ended = True

    async def demo(addresses: Addresses, **_options: Any) -> None:
        crashed.set()
        raise OSError("refused")

    stand_in(server, demo)
    with capture_logs() as lines:
        await serve(Settings(), SIGNALS, people=1)
    assert ended
    assert [line["event"] for line in lines] == ["demo_ended"]


async def test_without_a_demo_nothing_is_printed(
    stand_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    async def server(*_arguments: Any, task_status: Any, **_options: Any) -> None:
        task_status.started(ADDRESSES)
        await trio.lowlevel.checkpoint()

    stand_in(server)
    await serve(Settings(), SIGNALS, people=0)
    assert capsys.readouterr().out == ""


async def test_a_server_that_is_stopped_before_it_is_ready_ends_quietly(
    stand_in: Callable[..., None],
) -> None:
    async def server(*_arguments: Any, task_status: Any, **_options: Any) -> None:
        await trio.lowlevel.checkpoint()

    stand_in(server)
    await serve(Settings(), SIGNALS, people=1)


@pytest.mark.parametrize("people", [0, 1])
async def test_a_failed_start_is_raised_bare(people: int, stand_in: Callable[..., None]) -> None:
    async def server(*_arguments: Any, task_status: Any, **_options: Any) -> None:
        raise StoreUnavailable

    stand_in(server)
    with pytest.raises(StoreUnavailable):
        await serve(Settings(), SIGNALS, people=people)


async def test_an_end_after_it_was_ready_is_giving_up(stand_in: Callable[..., None]) -> None:
    async def server(*_arguments: Any, task_status: Any, **_options: Any) -> None:
        task_status.started(ADDRESSES)
        raise StoreUnavailable

    stand_in(server)
    with pytest.raises(GaveUp) as caught:
        await serve(Settings(), SIGNALS, people=0)
    assert isinstance(caught.value.__cause__, StoreUnavailable)


# --- what is printed --------------------------------------------------------------------------


def test_the_link_is_alone_on_its_line() -> None:
    assert f"\n    {LINK}\n" in invitation(LINK, terminal=False, encoding="utf-8")


@pytest.mark.parametrize(
    ("terminal", "encoding", "shown"),
    [(True, "utf-8", True), (True, "UTF8", True), (False, "utf-8", False), (True, "ascii", False)],
)
def test_a_qr_code_is_shown_where_it_can_be_scanned(
    terminal: bool, encoding: str, shown: bool
) -> None:
    assert ("█" in invitation(LINK, terminal=terminal, encoding=encoding)) is shown


def test_a_qr_code_is_square_and_sets_its_own_colours() -> None:
    rows = [re.fullmatch(r"\x1b\[97;40m([█▀▄ ]+)\x1b\[0m", row) for row in qr_code(LINK)]
    widths = {len(row[1]) for row in rows if row}
    assert all(rows)
    assert len(widths) == 1
    assert widths == {2 * len(rows) - 1}


@pytest.mark.parametrize(
    ("link", "hint"),
    [
        (LINK, "--bind :8080"),
        (LINK.replace("127.0.0.1", "localhost"), "--bind :8080"),
        (LINK.replace("127.0.0.1", "[::1]"), "--bind :8080"),
        (LAN_LINK, "over https only"),
    ],
)
def test_a_hint_says_what_a_phone_needs(link: str, hint: str) -> None:
    assert hint in invitation(link, terminal=False, encoding="utf-8")


def test_a_public_link_needs_no_hint() -> None:
    text = invitation("https://map.example.org/join/1", terminal=False, encoding="utf-8")
    assert "https only" not in text
    assert "--http-bind" not in text


# --- failures ---------------------------------------------------------------------------------


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StoreUnavailable(), "the database cannot be reached"),
        (caused(StartError("store"), StoreUnavailable()), "the database cannot be reached"),
        (
            caused(StartError("api"), CannotListen(errno.EADDRINUSE, "cannot listen on *:80: x")),
            ("cannot listen on *:80: x. Stop what listens there, or "
            "choose another with --bind, or with "
            "--http-bind and --ws-bind"),
        ),
        (CannotListen(errno.EACCES, "cannot listen on *:80: Permission denied"),
         ("cannot listen on *:80: Permission denied. Ports below 1024 need a privilege; "
         "choose another with --bind, or with --http-bind and --ws-bind")),
        (OSError(errno.EACCES, "Permission denied", "/srv/x"),
         ("/srv/x: Permission denied. Give the user who runs locshare the right to it, or choose "
         "another place with --data-dir")),
        (StoreUnavailable("refused: postgresql://a:hush@h/x"),
         "refused: postgresql://a:[redacted]@h/x"),
        (ValueError("a fault of the program"), None),
        (caused(StartError("api"), ValueError("a fault of the program")), None),
        (StartError("api"), None),
    ],
)  # fmt: skip
def test_a_failed_start_is_explained(error: Exception, text: str | None) -> None:
    assert explain(error) == text


@pytest.mark.parametrize("people", ["0", "46", "many", "-1", "1.5", "³"])
def test_the_number_of_people_is_checked(people: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--demo", f"--people={people}"]) == 2
    assert "is not a whole number from 1 to 45" in capsys.readouterr().err


def test_the_demo_leaves_seats_for_real_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["serve", "--demo", "--people", "8", "--max-participants", "8"]) == 2
    assert "--people 8 fills a session of 8" in capsys.readouterr().err


def run_serve(options: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LOCSHARE_")}
    return subprocess.run(
        [sys.executable, "-m", "locshare", "serve", "--http-bind", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT_S,
        check=False,
        env=clean | {"LOCSHARE_WS_BIND": "127.0.0.1:0"} | options,
    )


def test_wrong_settings_end_it_with_status_2_before_anything_starts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = run_serve({"LOCSHARE_MAX_SESSIONS": "0", "LOCSHARE_DATA_DIR": str(data)})
    assert done.returncode == 2
    assert done.stderr.startswith("locshare: LOCSHARE_MAX_SESSIONS = '0' is too low.\n")
    assert not data.exists()


@pytest.mark.e2e
@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_start_that_fails_is_one_line_and_status_1_and_more_at_debug(
    tmp_path: Path, level: str
) -> None:
    secret = tmp_path / "jwt_secret"
    secret.write_text("k" * 64)
    secret.chmod(0o644)
    done = run_serve({"LOCSHARE_DATA_DIR": str(tmp_path), "LOCSHARE_LOG_LEVEL": level})
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("locshare: ")]
    assert line.startswith(f"locshare: cannot start: {secret} holds the signing secret")
    assert ("Traceback" in done.stderr) is (level == "debug")
    assert "kkkk" not in done.stderr
