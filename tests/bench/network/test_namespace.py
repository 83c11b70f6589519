"""A real lossy link: that it loses what it should, and that nothing of it is ever left."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bench.guardian import entrust
from bench.network import namespace
from bench.network.namespace import (
    NAMESPACES,
    Link,
    Unavailable,
    inside,
    lossy_link,
    remove_stale,
    run,
)
from tests.running import LAST_RESORT_S

DEADLINE_S = LAST_RESORT_S
PACKETS = 2_000

HOLD = """
from bench.network.namespace import lossy_link
with lossy_link(0.5) as link:
    print(link.router, link.far, flush=True)
    input()
"""


@pytest.fixture(scope="module")
def _able() -> None:
    """Skips where the machine lacks something, and says what."""
    try:
        with lossy_link(0.0):
            pass
    except Unavailable as why:
        pytest.skip(str(why))


able = pytest.mark.usefixtures("_able")


def names(pid: int | None = None) -> set[str]:
    """Those of a process, this one by default: others on this machine may have links, too."""
    return {each.name for each in NAMESPACES.glob(f"locshare-{pid or os.getpid()}-*")}


def devices(pid: int | None = None) -> list[str]:
    lines = run("ip", "-brief", "link").splitlines()
    return [line for line in lines if line.startswith(f"lsb{pid or os.getpid()}-")]


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[str]"]:
    """Another process that has a link."""
    with entrust(
        subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def held_by(process: "subprocess.Popen[str]") -> set[str]:
    assert process.stdout is not None
    return set(process.stdout.readline().split())


@able
def test_packets_are_lost_in_both_directions_as_often_as_said() -> None:
    with lossy_link(0.2) as link, socket.socket(type=socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.1", 0))
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        there = inside(link.far, lambda: socket.socket(type=socket.SOCK_DGRAM))
        with there:
            there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            there.connect((link.address, here.getsockname()[1]))
            for _ in range(PACKETS):
                there.send(b"a")
            back = None
            came = 0
            here.settimeout(1.0)
            with suppress(TimeoutError):
                while True:
                    _, back = here.recvfrom(10)
                    came += 1
            assert 0.7 * PACKETS < came < 0.9 * PACKETS
            assert back is not None
            for _ in range(PACKETS):
                here.sendto(b"b", back)
            came_back = 0
            there.settimeout(1.0)
            with suppress(TimeoutError):
                while True:
                    there.recv(10)
                    came_back += 1
            assert 0.7 * PACKETS < came_back < 0.9 * PACKETS
        passed, dropped = link.packets()
        assert passed == 2 * PACKETS
        assert dropped == 2 * PACKETS - came - came_back


@able
def test_a_link_without_loss_reaches_a_server_of_this_machine_and_nothing_is_left() -> None:
    before, devices_before = names(), devices()
    with lossy_link(0.0) as link, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = inside(
            link.far, lambda: socket.create_connection((link.address, port), DEADLINE_S)
        )
        accepted, _ = server.accept()
        with client, accepted:
            client.sendall(b"hello")
            assert accepted.recv(10) == b"hello"
            accepted.sendall(b"you too")
            assert client.recv(10) == b"you too"
        assert link.packets()[1] == 0
        assert names() - before == {link.router, link.far}
    assert names() == before
    assert devices() == devices_before


@able
def test_two_links_at_a_time_do_not_touch_each_other() -> None:
    with lossy_link(0.0) as first:
        with lossy_link(0.0) as second:
            assert first.address != second.address
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            inside(
                first.far, lambda: socket.create_connection((first.address, port), DEADLINE_S)
            ).close()


@able
def test_only_the_thread_is_moved() -> None:
    with lossy_link(0.0) as link:
        here = Path("/proc/self/ns/net").readlink()
        there = inside(link.far, lambda: Path(f"/proc/self/task/{_tid()}/ns/net").readlink())
        assert there != here
        assert Path(f"/proc/self/task/{_tid()}/ns/net").readlink() == here


def _tid() -> int:
    return threading.get_native_id()


@able
def test_an_error_inside_is_raised_here_and_the_link_removed() -> None:
    before = names()
    with pytest.raises(ZeroDivisionError), lossy_link(0.0) as link:
        inside(link.far, lambda: 1 // 0)
    assert names() == before


@able
def test_what_a_killed_process_has_left_is_removed_by_the_next(
    holder: "subprocess.Popen[str]",
) -> None:
    left = held_by(holder)
    assert left == names(holder.pid)
    assert not left & set(remove_stale())  # it lives
    assert len(devices(holder.pid)) == 1
    holder.kill()
    holder.wait(DEADLINE_S)
    with lossy_link(0.0):
        assert names(holder.pid) == set()
        assert devices(holder.pid) == []


@able
def test_ctrl_c_removes_it(holder: "subprocess.Popen[str]") -> None:
    assert held_by(holder) == names(holder.pid)
    holder.send_signal(signal.SIGINT)
    holder.wait(DEADLINE_S)
    assert names(holder.pid) == set()


@able
def test_a_link_that_fails_half_made_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = names()
    monkeypatch.setattr(namespace, "_RULES", "no rules {near} {host} {per_million}")
    with pytest.raises(Unavailable, match="nft -f -: "), lossy_link(0.0):
        pass
    assert names() == before


@able
def test_where_the_kernel_has_no_netem_the_link_does_not_say_that_it_delays() -> None:
    def delays(link: Link) -> bool:
        return "netem" in run("tc", "-n", link.router, "qdisc", "show")

    with lossy_link(0.0, delay_s=0.02, jitter_s=0.005) as link:
        assert link.delays == delays(link)


# --- what is missing --------------------------------------------------------------------------


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="only root"), lossy_link(0.0):
        pass


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match="there is no ip; it is in the package iproute2"):
        lossy_link(0.0).__enter__()


def test_a_server_of_another_machine_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: name)
    for host in ("192.0.2.77", "::1"):
        with pytest.raises(Unavailable, match="is no IPv4 address of this machine"):
            lossy_link(0.0, host=host).__enter__()


def test_a_command_that_fails_tells_what_it_complained_of() -> None:
    with pytest.raises(Unavailable, match="sh -c echo bad >&2; exit 3: bad"):
        run("sh", "-c", "echo bad >&2; exit 3")
    with pytest.raises(Unavailable, match="no-such-program"):
        run("no-such-program")
