"""The single file in a root with nothing but Debian's smallest set: `make test-binary`.

Each start has namespaces of its own for mounts and processes, which end with it, and the loopback
interface of this machine.
"""

import fcntl
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio

from bench.guardian import entrust, temporary_folder
from bench.procfs import descendants
from bench.servers import free_port
from tests.running import LAST_RESORT_S
from tests.shipped.group import meet, use

BINARY: Final = Path(os.environ["BINARY"]).resolve()
ROOT: Final = Path(os.environ["BARE_ROOT"]).resolve()
NAMELESS: Final = 54_321
START_S: Final = 120.0
WARM_START_S: Final = 2.5
"""The second start of the program: of CPU on any machine, and until it is ready on an idle one."""

# Mounts: the root, read-only if asked for; the folder of the test as /srv; the program; /proc.
# `exec` keeps the process that the namespace began with, to which signals are sent.
_ENTER: Final = """
set -e
root=$1 folder=$2 binary=$3 user=$4 mode=$5; shift 5
mount --bind "$root" "$root"
mount --bind "$folder" "$root/srv"
touch "$root/usr/local/bin/locshare" 2>/dev/null || true
mount --bind "$binary" "$root/usr/local/bin/locshare"
if [ -x /usr/bin/caddy ] && touch "$root/usr/local/bin/caddy" 2>/dev/null; then
  mount --bind /usr/bin/caddy "$root/usr/local/bin/caddy"
fi
mount -t proc proc "$root/proc"
[ "$mode" = rw ] || mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:$user" "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"
"""


class Inside:
    """A process in the root, and what it writes."""

    def __init__(
        self, folder: Path, user: int, mode: str, *command: str, log_name: str = "log"
    ) -> None:
        self._log = folder / log_name
        with self._log.open("wb") as log:
            self._process = entrust(
                subprocess.Popen(
                    ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c",
                     _ENTER, "sh", str(ROOT), str(folder), str(BINARY), str(user), mode, *command],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        written, _, _ = self.text.rpartition("\n")  # not what is being written
        lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def wait(self) -> int:
        return self._process.wait(START_S)

    def stop(self) -> int:
        """SIGTERM to the server itself. Returns its exit status."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGTERM)
        return self.wait()

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that all its processes have used so far, with those that ended."""
        ticks = 0
        for pid in descendants(self._process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def is_running(self) -> bool:
        return self._process.poll() is None


class Beside(Inside):
    """A process out of the root, which has the test's folder where it is."""

    def __init__(
        self, folder: Path, user: int, mode: str, *command: str, log_name: str = "log"
    ) -> None:
        del user, mode
        given = [each.replace("=/srv", f"={folder}") for each in command]
        self._log = folder / log_name
        with self._log.open("wb") as log:
            self._process = entrust(
                subprocess.Popen(
                    ["unshare", "--pid", "--fork", "--kill-child", "env", *given],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder("locshare-shipped-") as made:
        made.chmod(0o755)
        yield made


@contextmanager
def server(
    folder: Path, user: int = NAMELESS, mode: str = "ro", **environment: str
) -> Iterator[tuple[Inside, httpx.Client, float]]:
    """A server that is ready, a client of it, and the seconds until it was."""
    data = folder / "data"
    if not data.exists():
        data.mkdir(mode=0o700)
        os.chown(data, user, user)
    port = free_port()
    variables = {
        "LOCSHARE_DATA_DIR": "/srv/data",
        "LOCSHARE_LOG_FORMAT": "json",
        "LOCSHARE_BIND": f"127.0.0.1:{port}",
        **environment,
    }
    given = [f"{name}={value}" for name, value in variables.items()]
    began = time.monotonic()
    process = Inside(folder, user, mode, *given, "locshare", "serve")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LAST_RESORT_S) as http:
        # It says so after it is: only then the test may look for the line.
        while not (_is_ready(http) and process.events("ready")):
            assert process.is_running(), process.text
            assert time.monotonic() < began + START_S, process.text
            time.sleep(0.01)
        took = time.monotonic() - began
        try:
            yield process, http, took
        finally:
            assert process.stop() == 0, process.text


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_a_nameless_user_runs_it_in_a_read_only_root_with_one_directory(folder: Path) -> None:
    with server(folder) as (process, http, first):
        session = use(http)
        assert process.events("ready")[0]["sending"] == "compiled"
    with server(folder) as (process, http, second):
        cpu_s = process.cpu_s
        assert http.get(f"/api/sessions/{session}").status_code == 200
    (unpacked,) = (folder / "data" / "program").iterdir()
    sys.stderr.write(
        f"\nfirst start {first:.2f} s, second {second:.2f} s, {cpu_s:.2f} s of CPU;"
        f" load {os.getloadavg()[0]:.0f}; {unpacked.name}\n"
    )
    assert cpu_s < WARM_START_S
    if os.getloadavg()[0] < 1:
        assert second < WARM_START_S


@pytest.mark.parametrize("user", [0, 1], ids=["root", "daemon"])
def test_root_and_an_ordinary_user_run_it(folder: Path, user: int) -> None:
    with server(folder, user, "ro", LOCSHARE_CACHE_DIR="/srv/data/cache") as (_, http, _):
        use(http)


def test_the_server_is_asked_for_its_health_by_the_program_itself(folder: Path) -> None:
    with server(folder) as (_, http, _), temporary_folder("locshare-shipped-") as other:
        os.chown(other, NAMELESS, NAMELESS)
        asked = Inside(
            *(other, NAMELESS, "ro", "LOCSHARE_DATA_DIR=/srv", "locshare", "health"),
            *("--bind", f"127.0.0.1:{http.base_url.port}"),
        )
        assert asked.wait() == 0, asked.text


async def test_two_commands_take_a_bare_root_to_a_group_on_a_map_over_tls(folder: Path) -> None:
    if not Path("/usr/bin/caddy").exists():
        pytest.skip("caddy is not installed")
    port = free_port()
    site = f"https://localhost:{port}"
    (folder / "caddy").mkdir()
    with server(folder, 0, "rw", LOCSHARE_PUBLIC_URL=site, HOME="/srv/data") as (_, plain, _):
        # This machine's Caddy, where its glibc is in the root; on the same loopback interface else.
        has_caddy = Inside(folder, 0, "rw", "caddy", "version", log_name="version").wait() == 0
        caddy = (Inside if has_caddy else Beside)(
            *(folder, 0, "rw", "HOME=/srv/caddy", "XDG_DATA_HOME=/srv/caddy"),
            *("caddy", "reverse-proxy", "--internal-certs", "--from", f"localhost:{port}"),
            *("--to", f"127.0.0.1:{plain.base_url.port}"),
            log_name="caddy.log",
        )
        authority = folder / "caddy/caddy/pki/authorities/local/root.crt"
        with trio.fail_after(START_S):
            while not (authority.exists() and _answers(port)):
                assert caddy.is_running(), caddy.text
                await trio.sleep(0.05)
        await meet(site, ssl.create_default_context(cafile=str(authority)))
        caddy.stop()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_without_a_place_to_unpack_it_says_so_in_a_sentence(folder: Path) -> None:
    process = Inside(folder, NAMELESS, "ro", "locshare", "--version")
    assert process.wait() == 1
    (line,) = process.text.splitlines()
    assert "LOCSHARE_CACHE_DIR" in line


def test_a_place_that_everyone_may_write_to_is_refused(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    process = Inside(
        folder, NAMELESS, "ro", "LOCSHARE_CACHE_DIR=/srv/open", "locshare", "--version"
    )
    assert process.wait() == 1
    assert "everyone may write there" in process.text


def test_first_starts_at_once_unpack_one_program(folder: Path) -> None:
    (folder / "cache").mkdir()
    os.chown(folder / "cache", NAMELESS, NAMELESS)
    started = [
        entrust(subprocess.Popen(
            ["setpriv", f"--reuid={NAMELESS}", f"--regid={NAMELESS}", "--clear-groups",
             "env", "-i", f"LOCSHARE_CACHE_DIR={folder / 'cache'}", str(BINARY), "--version"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ))
        for _ in range(3)
    ]  # fmt: skip
    for each in started:
        said, _ = each.communicate(timeout=START_S)
        assert (each.returncode, said.split()[0]) == (0, "locshare")
    (only,) = (folder / "cache").iterdir()
    assert len(only.name) == 32


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    short = tmp_path / "locshare"
    short.write_bytes(BINARY.read_bytes()[:-1])
    short.chmod(0o755)
    done = subprocess.run([short], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "not complete" in done.stderr


def test_a_new_version_removes_an_old_one_unless_it_runs(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("a" * 32, "b" * 32, "notes"):
        (cache / name).mkdir(parents=True)
        (cache / name / ".lock").touch()
    with (cache / ("b" * 32) / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        done = subprocess.run(
            [BINARY, "--version"], env={"LOCSHARE_CACHE_DIR": str(cache)}, check=False
        )
    assert done.returncode == 0
    left = {each.name for each in cache.iterdir()}
    assert left >= {"b" * 32, "notes"}
    assert "a" * 32 not in left


def test_a_passed_socket_reaches_the_program(folder: Path) -> None:
    """The runner and PyInstaller's loader execute one another: same process, same descriptors."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        script = f'exec env LISTEN_PID=$$ LISTEN_FDS=1 "{BINARY}" serve 3<&{sock.fileno()}'
        process = subprocess.Popen(
            ["/bin/bash", "-c", script], pass_fds=[sock.fileno()],
            env={"LOCSHARE_CACHE_DIR": str(folder / "cache"), "PATH": os.defpath,
                 "LOCSHARE_DATA_DIR": str(folder / "data"),
                 "LOCSHARE_BIND": f"127.0.0.1:{port}"},
        )  # fmt: skip
        entrust(process)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=START_S) as http:
                # Waits in the queue of the socket until the server accepts.
                assert http.get("/health/live").status_code == 200
            process.terminate()
            assert process.wait(LAST_RESORT_S) == 0
        finally:
            process.kill()
            process.wait()
