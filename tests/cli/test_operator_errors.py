"""What an operator can cause is one sentence with the way out and a status, never a traceback."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.clusters import give_cluster
from tests.program import data_directory
from tests.running import LAST_RESORT_S

NO_DATABASE: Final = "postgresql://ada@127.0.0.1:1/none"
EMBEDDED: Final = {"LOCSHARE_DATABASE_URL": ""}
SERVE: Final = ["exec", '"$0"', "-m", "locshare", "serve"]


def locshare(
    shell: str, settings: Mapping[str, str], cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell in which $0 is this Python."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LOCSHARE_")}
    environment = clean | {
        "LOCSHARE_HTTP_BIND": "127.0.0.1:0",
        "LOCSHARE_WS_BIND": "127.0.0.1:0",
        "LOCSHARE_DATABASE_URL": NO_DATABASE,
        "PYTHONUNBUFFERED": "",
        **settings,
    }
    return subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable],
        capture_output=True, text=True, timeout=LAST_RESORT_S, check=False,
        env=environment, cwd=cwd, encoding="utf-8", errors="backslashreplace",
    )  # fmt: skip


def assert_explained(done: "subprocess.CompletedProcess[str]", status: int, *says: str) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert "[redacted]" not in done.stderr
    assert done.returncode == status, done.stderr
    assert "internal error" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("locshare: ")]
    assert said, done.stderr
    for text in says:
        assert text in done.stderr


CASES: Final[dict[str, tuple[int, dict[str, str], list[str]]]] = {
    "a host without an address": (
        1, {"LOCSHARE_HTTP_BIND": "nowhere.invalid:80", **EMBEDDED},
        ["cannot listen on nowhere.invalid:80", "--http-bind"],
    ),
    "a host that is no name": (
        1, {"LOCSHARE_HTTP_BIND": f"{'a' * 64}.example:80", **EMBEDDED}, ["not the name of a host"],
    ),
    "an address of another machine": (
        1, {"LOCSHARE_HTTP_BIND": "192.0.2.1:80", **EMBEDDED}, ["This machine has no such address"],
    ),
    "a port with too many digits": (2, {"LOCSHARE_WS_BIND": ":" + "9" * 5000}, ["has the port"]),
    "a data_dir in a file": (1, {"LOCSHARE_DATA_DIR": "/etc/passwd/x"}, ["Not a directory"]),
    "a data_dir where nobody can make one": (
        1, {"LOCSHARE_DATA_DIR": "/proc/x"}, ["/proc/x", "--data-dir"],
    ),
    "a data_dir with too long a name": (
        2, {"LOCSHARE_DATA_DIR": "/" + "a" * 300}, ["File name too long"],
    ),
    "a home that is no absolute path": (
        2, {"HOME": "here", "XDG_DATA_HOME": "", "LOCSHARE_DATA_DIR": ""}, ["No home directory"],
    ),
    "a date out of range": (
        2, {"LOCSHARE_JWT_PREVIOUS_UNTIL": "0001-01-01T00:00:00+14:00"}, ["before the year 1"],
    ),
    "a settings file that is a directory": (
        2, {"LOCSHARE_CONFIG": "/etc"}, ["/etc cannot be read: Is a directory"],
    ),
    "a control socket where none can be": (
        1, {"LOCSHARE_CONTROL_SOCKET": "/proc/x.sock"}, ["cannot make the control socket"],
    ),
    "a debug address of another machine": (
        1, {"LOCSHARE_DEBUG_BIND": "192.0.2.1:80", **EMBEDDED},
        ["cannot listen on 192.0.2.1:80"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_said_in_one_sentence(case: str, tmp_path: Path) -> None:
    status, settings, says = CASES[case]
    with data_directory() as folder:
        if EMBEDDED.items() <= settings.items():
            give_cluster(folder)
        done = locshare(" ".join(SERVE), {"LOCSHARE_DATA_DIR": str(folder)} | settings, tmp_path)
    assert_explained(done, status, *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = " + b"[" * 100_000, "nests too deep"),
        (b"max_sessions = " + b"9" * 5000, "too long"),
        (b'data_dir = "a\\u0000b"', "has control characters"),
        (b"\xff", "is not UTF-8"),
        (b"max_sessions = nan", "is not a whole number"),
        (b"a = 1979-05-27T07:32:99Z", "is not TOML"),
        (b"#" * 1024 * 1024 + b"\n", "more than 1 MiB"),
    ],
    ids=["deep", "long", "nul", "bytes", "nan", "date", "large"],
)
def test_a_settings_file_that_is_nonsense_is_named(
    content: bytes, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "locshare.toml"
    file.write_bytes(content)
    done = locshare('exec "$0" -m locshare checkconfig', {"LOCSHARE_CONFIG": str(file)})
    assert_explained(done, 2, str(file), says)


@pytest.mark.parametrize("file", ["/dev/zero", "/etc", "/nowhere.toml"])
def test_a_settings_file_that_is_none_is_said_with_the_way_out(file: str) -> None:
    done = locshare('exec "$0" -m locshare checkconfig', {"LOCSHARE_CONFIG": file})
    assert_explained(done, 2, file, "--config", "`locshare defaultconfig` prints one")


def test_input_without_an_end_is_not_read_for_ever() -> None:
    secret = {"LOCSHARE_JWT_SECRET": "k" * 32}
    for what in ("claims", "receipt"):
        done = locshare(f'exec "$0" -m locshare gentoken --show-{what} </dev/zero', secret)
        assert_explained(done, 1, "LOCSHARE_JWT_SECRET")


def test_a_result_that_nobody_can_get_is_no_success() -> None:
    done = locshare('exec "$0" -m locshare gentoken --secret-new >&-', {})
    assert_explained(done, 1, "cannot write to standard output: Bad file descriptor")


@pytest.mark.parametrize("kind", ["short", "directory", "pipe", "link", "readable by others"])
def test_a_secret_that_cannot_be_used_is_named(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "jwt_secret"
    match kind:
        case "short":
            secret.write_text("short")
            secret.chmod(0o600)
        case "directory":
            secret.mkdir()
        case "pipe":
            os.mkfifo(secret)
        case "link":
            secret.symlink_to("/dev/zero")
        case _:
            secret.write_text("k" * 64)
            secret.chmod(0o644)
    done = locshare(" ".join(SERVE), {"LOCSHARE_DATA_DIR": str(tmp_path)})
    assert_explained(done, 1, str(secret))


@pytest.mark.parametrize("bind", ["LOCSHARE_HTTP_BIND", "LOCSHARE_WS_BIND", "LOCSHARE_DEBUG_BIND"])
def test_a_port_in_use_is_named(bind: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {"LOCSHARE_DATA_DIR": str(tmp_path), "LOCSHARE_DATABASE_URL": "", bind: address}
        done = locshare(" ".join(SERVE), settings)
    assert_explained(
        done, 1, f"cannot start: cannot listen on {address}: Address already in use. Stop what"
    )


@pytest.mark.parametrize("limit", [8, 16, 64])
def test_too_low_a_limit_of_files_is_said(limit: int, tmp_path: Path) -> None:
    done = locshare(f"ulimit -n {limit}; {' '.join(SERVE)}", {"LOCSHARE_DATA_DIR": str(tmp_path)})
    assert_explained(done, 1, "open files", "ulimit -n")


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    shell = f"mkdir gone; cd gone; rmdir ../gone; {' '.join(SERVE)} --data-dir here"
    done = locshare(shell, {}, tmp_path)
    assert_explained(done, 2, "cannot be used (No such file or directory)")


@pytest.mark.parametrize("command", ["checkconfig", "defaultconfig", "gentoken --secret-new"])
def test_results_that_cannot_be_written_are_a_failure(command: str) -> None:
    done = locshare(f'exec "$0" -m locshare {command} > /dev/full', {})
    assert_explained(done, 1, "cannot write to standard output: No space left on device")


@pytest.mark.parametrize("command", ["checkconfig", "defaultconfig", "--help", "serve --help"])
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>&1"])
def test_closed_streams_are_no_fault_of_the_program(command: str, streams: str) -> None:
    done = locshare(f'exec "$0" -m locshare {command} {streams}', {})
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode in (0, 1)


@pytest.mark.parametrize("command", ["checkconfig", "defaultconfig --markdown", "simulate --help"])
def test_a_locale_without_utf8_is_no_fault_of_the_program(command: str) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = locshare(f'exec "$0" -m locshare {command}', ascii_only)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


INTERRUPT = """
import os, runpy, signal, sys
class Loading:
    def find_spec(self, name, *_):
        if name == "{module}": os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Loading())
sys.argv = ["locshare", "serve"]
runpy.run_module("locshare", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "status"),
    [("locshare.config", -signal.SIGINT), ("locshare.cli.serve", 130)],
)
def test_an_interrupt_while_it_is_being_loaded_is_no_traceback(module: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT.replace("{module}", module)],
        capture_output=True, text=True, timeout=LAST_RESORT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")


NOBODY = """
import os, sys
from locshare.server import tree
from locshare.cli import main as cli
from locshare.cli import serve
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
sys.exit(cli.main(["serve"]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody without an account")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"LOCSHARE_DATABASE_URL": ""}, "user id 54321"),
        ({"LOCSHARE_DATA_DIR": "/"}, "Choose another place with --data-dir"),
        ({"HOME": "", "LOCSHARE_DATA_DIR": ""}, "No home directory"),
    ],
    ids=["account", "directory", "home"],
)
def test_a_missing_privilege_is_reported_with_the_remedy(
    settings: dict[str, str], says: str
) -> None:
    with data_directory() as folder:
        os.chown(folder, 54321, 54321)
        given = {"LOCSHARE_DATA_DIR": str(folder)} | settings
        done = locshare(f"exec \"$0\" -c '{NOBODY}'", given)
    assert_explained(done, done.returncode, says)
    assert done.returncode in (1, 2)
