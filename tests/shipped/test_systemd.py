"""The units of deploy/systemd on a machine that systemd has booted, installed as the guide says:
`make test-systemd`.
"""

import json
import os
import re
import signal
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest
import trio

from locshare.client import connect
from locshare.client.errors import End
from tests.running import LAST_RESORT_S
from tests.shipped.group import join, meet, use
from tests.shipped.machine import Machine, booted, is_possible

REPOSITORY: Final = Path(__file__).parents[2]
GUIDE: Final = REPOSITORY / "docs" / "guides" / "deploy" / "systemd.md"
ROOT: Final = Path(os.environ["SYSTEMD_ROOT"]).resolve()
SITE: Final = "http://127.0.0.1:8080"
UNIT: Final = "locshare.service"
WATCHDOG_S: Final = 10
KNOCK_S: Final = 0.02


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine with the units of the guide, and the proxy of the guide for a name of its own."""
    if why := is_possible():
        pytest.skip(why)
    with booted(ROOT, REPOSITORY) as made:
        configure(made, LOCSHARE_PUBLIC_URL="https://localhost")
        (commands, *_) = re.findall(
            r"^```sh\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
        )
        made.run("sh", "-ec", f"cd /media/repository\n{commands}")
        yield made


def configure(machine: Machine, **settings: str) -> None:
    folder = machine.path("/etc/locshare")
    folder.mkdir(exist_ok=True)
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (folder / "environment").write_text("".join(lines))


def drop_in(machine: Machine, text: str) -> None:
    """Override what the unit says, or nothing with an empty text."""
    folder = machine.path("/etc/systemd/system/locshare.service.d")
    folder.mkdir(exist_ok=True)
    (folder / "test.conf").write_text(text)
    machine.run("systemctl", "daemon-reload")


def main_pid(machine: Machine) -> int:
    return int(machine.show(UNIT, "MainPID"))


def wait_for(machine: Machine, **properties: str) -> None:
    """Until the unit's properties are these."""
    deadline = time.monotonic() + LAST_RESORT_S
    found: dict[str, str] = {}
    while time.monotonic() < deadline:
        found = {name: machine.show(UNIT, name) for name in properties}
        if found == properties:
            return
        time.sleep(0.1)
    raise AssertionError((found, properties, machine.journal(UNIT)[-20:]))


def client() -> httpx.Client:
    return httpx.Client(base_url=SITE, timeout=LAST_RESORT_S)


def has_session(session: str) -> bool:
    with client() as http:
        return http.get(f"/api/sessions/{session}").status_code == 200


@contextmanager
def knocking(machine: Machine) -> Iterator[Counter[str]]:
    """A new connection again and again, and how many came to what."""
    found: Counter[str] = Counter()
    done = threading.Event()

    def knock() -> None:
        while not done.is_set():
            try:
                found[str(httpx.get(f"{SITE}/health/live", timeout=LAST_RESORT_S).status_code)] += 1
            except httpx.TransportError as error:
                found[f"{type(error).__name__}: {error}"] += 1
            done.wait(KNOCK_S)

    thread = threading.Thread(target=machine.call, args=(knock,))
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def test_start_returns_when_a_group_can_meet(machine: Machine) -> None:
    assert machine.show(UNIT, "ActiveState") == "active"
    machine.call(lambda: trio.run(meet, SITE))
    assert machine.show(UNIT, "Result") == "success"


def test_the_journal_has_every_event_as_one_line_of_json(machine: Machine) -> None:
    text = machine.run("journalctl", "--unit", "locshare", "--output", "cat", "--no-pager")
    ours = [line for line in text.splitlines() if line.startswith("{")]
    events = [json.loads(line)["event"] for line in ours]
    assert "ready" in events


def test_systemd_finds_it_exposed_to_little_as_it_runs(machine: Machine) -> None:
    said = machine.run("systemd-analyze", "security", "--no-pager", UNIT)
    (level,) = re.findall(r"Overall exposure level for locshare.service: ([\d.]+)", said)
    (documented,) = re.findall(
        r"`systemd-analyze security` gives it\s+([\d.]+) of 10", GUIDE.read_text()
    )
    assert float(level) <= float(documented), said


def test_the_process_has_no_right_that_it_does_not_need(machine: Machine) -> None:
    pid = main_pid(machine)
    status = dict(
        line.split(":\t", 1)
        for line in machine.run("cat", f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert int(status["Uid"].split()[0]) >= 61184, "a user that exists while it runs"
    written = machine.run(
        "nsenter", f"--target={pid}", "--mount", "sh", "-c",
        "for each in / /etc /usr /var/lib /var/lib/locshare /var/cache/locshare /home; do"
        " touch $each/t 2>/dev/null && echo $each && rm $each/t; done; true",
    )  # fmt: skip
    assert written.split() == ["/var/lib/locshare", "/var/cache/locshare"]


def test_limits_of_memory_and_processes_are_the_kernels(machine: Machine) -> None:
    group = machine.show(UNIT, "ControlGroup")
    found = {}
    for name, version_1, version_2 in (
        ("MemoryMax", "memory/{}/memory.limit_in_bytes", "{}/memory.max"),
        ("TasksMax", "pids/{}/pids.max", "{}/pids.max"),
    ):
        paths = [machine.path("/sys/fs/cgroup") / each.format(group.lstrip("/"))
                 for each in (version_1, version_2)]  # fmt: skip
        present = [each for each in paths if each.exists()]
        if not present:
            pytest.skip("this kernel has no controller of cgroups for memory or processes")
        found[name] = int(present[0].read_text())
    assert found == {"MemoryMax": 3 << 30, "TasksMax": 256}


def test_the_network_beyond_this_machine_is_closed_to_it(machine: Machine) -> None:
    """To the service; the same from the machine itself gets an answer."""
    machine.run("ip", "address", "add", "198.18.0.1/32", "dev", "lo")
    ask = f"exec 3<>/dev/tcp/198.18.0.1/{9}"
    in_unit = [f"--property={name}={machine.show(UNIT, name)}"
               for name in ("IPAddressDeny", "IPAddressAllow")]  # fmt: skip
    said = machine.run("timeout", "20", "bash", "-c", ask, check=False)
    assert "refused" in said
    said = machine.run("timeout", "20", "systemd-run", "--pipe", "--wait", "--quiet", *in_unit,
                       "timeout", "3", "bash", "-c", ask, check=False)  # fmt: skip
    assert "refused" not in said


def doctor(machine: Machine) -> str:
    """What it finds by the guide's command, a line each, its advice below."""
    (command,) = re.findall(r"^env .* locshare doctor$", GUIDE.read_text(), re.MULTILINE)
    said = machine.run("sh", "-c", command, check=False)
    found = re.sub(r"^(ok|skipped|warning|ERROR) +", "", said, flags=re.MULTILINE)
    assert "looking failed" not in found, found
    return found


def test_commands_of_the_guides_reach_the_service(machine: Machine) -> None:
    data = "LOCSHARE_DATA_DIR=/var/lib/locshare"
    top = machine.run("env", data, "locshare", "top", "--json", "--count", "1")
    assert json.loads(top.splitlines()[0])
    (answer,) = re.findall(r"^key .*$", doctor(machine), re.MULTILINE)
    assert "for the server's user" in answer
    machine.run("env", data, "locshare", "backup", "/root/locshare.backup")
    assert machine.path("/root/locshare.backup").exists()


def test_a_backup_is_restored_in_the_place_of_the_service(machine: Machine) -> None:
    """Root's own start of the database would leave files that the service cannot read."""
    data = "LOCSHARE_DATA_DIR=/var/lib/locshare"
    session = machine.call(_used)
    machine.run("env", data, "locshare", "backup", "/root/restored.backup")
    machine.run("systemctl", "stop", UNIT, "locshare.socket")
    said = machine.run("env", data, "locshare", "backup", "/root/no.backup", check=False)
    assert "systemd-run" in said
    machine.run("mv", "/var/lib/locshare/postgres", "/root/postgres.before")
    text = (REPOSITORY / "docs" / "guides" / "recover.md").read_text()
    (commands,) = re.findall(
        r"^### Under systemd\n.*?^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    machine.run("sh", "-ec", f"cd /root; mv restored.backup locshare.backup\n{commands}")
    machine.run("systemctl", "start", "locshare.socket", UNIT)
    assert machine.call(lambda: has_session(session))


def test_a_connection_starts_the_service_when_only_the_socket_is_there(machine: Machine) -> None:
    machine.run("systemctl", "stop", UNIT)
    assert machine.show("locshare.socket", "ActiveState") == "active"
    assert machine.call(lambda: httpx.get(f"{SITE}/health/live", timeout=LAST_RESORT_S)).is_success
    wait_for(machine, ActiveState="active")


def test_stop_tells_every_client_to_come_back_and_ends_in_order(machine: Machine) -> None:
    async def be_stopped() -> tuple[End | None, str]:
        with client() as http:
            session = use(http)
            token = join(http, session, "Bo")["websocket_token"]
        with trio.fail_after(LAST_RESORT_S):
            async with connect(SITE.replace("http", "ws") + "/ws", token) as connection:
                await trio.to_thread.run_sync(partial(machine.run, "systemctl", "stop", UNIT))
                async for _ in connection:
                    pass
        return connection.end, session

    end, session = machine.call(lambda: trio.run(be_stopped))
    assert end is not None
    assert (end.code, end.reconnect) == (1012, True)
    assert (machine.show(UNIT, "ActiveState"), machine.show(UNIT, "Result")) == (
        "inactive",
        "success",
    )
    assert "postgres" not in machine.run("sh", "-c", "cat /proc/[0-9]*/comm").split()
    machine.run("systemctl", "start", UNIT)
    assert machine.call(lambda: has_session(session))


def test_restart_refuses_no_connection(machine: Machine) -> None:
    with knocking(machine) as found:
        before = main_pid(machine)
        machine.run("systemctl", "restart", UNIT)
    assert main_pid(machine) != before
    assert {*found} == {"200"}, found


def test_an_upgrade_keeps_the_socket_and_the_sessions(machine: Machine) -> None:
    session = machine.call(_used)
    newer = machine.path("/root/locshare")
    newer.write_bytes(_another_version((REPOSITORY / "dist" / "locshare").read_bytes()))
    with knocking(machine) as found:
        machine.run("install", "-m", "755", "/root/locshare", "/usr/local/bin/locshare")
        machine.run("systemctl", "restart", UNIT)
    assert {*found} == {"200"}, found
    assert "f" * 32 in machine.run("readlink", f"/proc/{main_pid(machine)}/exe")
    assert machine.call(lambda: has_session(session))
    machine.run(
        "install", "-m", "755", "/media/repository/dist/locshare", "/usr/local/bin/locshare"
    )
    machine.run("systemctl", "restart", UNIT)


def _used() -> str:
    with client() as http:
        return use(http)


def _another_version(binary: bytes) -> bytes:
    """The same program under the hash of another: the last 32 bytes (tools/binary/payload.py)."""
    return binary[:-32] + b"f" * 32


def test_a_crash_is_answered_with_a_restart_that_keeps_the_sessions(machine: Machine) -> None:
    session = machine.call(_used)
    before = main_pid(machine)
    with knocking(machine) as found:
        restarts = int(machine.show(UNIT, "NRestarts"))
        os.kill(_outside(machine, before), signal.SIGKILL)
        wait_for(machine, NRestarts=str(restarts + 1), ActiveState="active")
    assert not [each for each in found if each.startswith("ConnectError")], found
    assert machine.call(lambda: has_session(session))


def test_a_process_that_hangs_is_ended_and_started_again(machine: Machine) -> None:
    drop_in(machine, f"[Service]\nWatchdogSec={WATCHDOG_S}\nTimeoutAbortSec=5\n")
    machine.run("systemctl", "restart", UNIT)
    before = main_pid(machine)
    restarts = int(machine.show(UNIT, "NRestarts"))
    os.kill(_outside(machine, before), signal.SIGSTOP)
    wait_for(machine, NRestarts=str(restarts + 1), ActiveState="active")
    said = machine.run("journalctl", "--unit", UNIT, "--no-pager", "--lines", "200")
    assert "Watchdog timeout" in said
    assert main_pid(machine) != before
    drop_in(machine, "")
    machine.run("systemctl", "restart", UNIT)
    assert machine.call(_used)


def _outside(machine: Machine, pid: int) -> int:
    """What this machine calls the process ``pid`` of that one."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        numbers = re.search(r"^NSpid:\t(.*)$", text, re.MULTILINE)
        if numbers and numbers[1].split()[1:] == [str(pid)] and _is_inside(machine, status):
            return int(status.parent.name)
    raise AssertionError(pid)


def _is_inside(machine: Machine, status: Path) -> bool:
    mine = Path(f"/proc/{machine.pid}/ns/pid").readlink()
    return (status.parent / "ns" / "pid").readlink() == mine


def test_wrong_settings_are_said_and_not_tried_again(machine: Machine) -> None:
    restarts = machine.show(UNIT, "NRestarts")
    configure(machine, LOCSHARE_PUBLIC_URL="https://localhost", LOCSHARE_MAX_SESSIONS="many")
    said = machine.run("systemctl", "restart", UNIT, check=False)
    assert "failed" in said
    assert machine.show(UNIT, "NRestarts") in (restarts, "0")
    assert machine.show(UNIT, "ActiveState") == "failed"
    said = machine.run(
        "journalctl", "--unit", UNIT, "--no-pager", "--lines", "30", "--output", "cat"
    )
    assert "max_sessions" in said.lower()
    configure(machine, LOCSHARE_PUBLIC_URL="https://localhost")
    machine.run("systemctl", "restart", UNIT)


def test_a_group_meets_over_tls_behind_caddys_own_service(machine: Machine) -> None:
    text = (REPOSITORY / "deploy" / "proxies" / "Caddyfile").read_text()
    text = re.sub(r"tls /.*", "tls internal", text.replace("where.example", "localhost"))
    machine.path("/etc/caddy/Caddyfile").write_text(text)
    machine.run("systemctl", "restart", "caddy.service")
    authority = machine.path("/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt")

    def over_tls() -> None:
        deadline = time.monotonic() + LAST_RESORT_S
        while not authority.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        trust = ssl.create_default_context(cafile=str(authority))
        trio.run(_meet_when_there_is_a_certificate, trust)

    machine.call(over_tls)


async def _meet_when_there_is_a_certificate(trust: ssl.SSLContext) -> None:
    with trio.fail_after(LAST_RESORT_S):
        while True:
            try:
                await meet("https://localhost", trust)
            except httpx.ConnectError:
                await trio.sleep(0.1)
            else:
                return


def test_the_machine_stops_the_service_in_order_when_it_goes_off(machine: Machine) -> None:
    data = "var/lib/private/locshare/postgres"
    assert machine.path(f"{data}/postmaster.pid").exists()
    assert machine.power_off() == -signal.SIGINT, machine.console
    left = machine.written / data
    assert (left / "PG_VERSION").exists()
    assert not (left / "postmaster.pid").exists(), "PostgreSQL was stopped in order"
