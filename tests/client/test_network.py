"""When a client hears that its network may be another one."""

import errno
import socket
import subprocess
import sys

import pytest
import trio

from locshare.client import network, watch_network
from locshare.client.network import CLOCK_CHECK_S, SLEPT_S, boot_clock, watch_sleep
from tests.running import LAST_RESORT_S
from tests.skipping import KERNEL

IN_A_NETWORK_OF_ITS_OWN = """
import fcntl, socket, struct, trio, trio.testing
from locshare.client import watch_network

async def main():
    changed = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_network, changed.set)
        await trio.testing.wait_all_tasks_blocked()
        with socket.socket() as any_socket:  # as "ip link set lo up" does
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
        with trio.fail_after(100):
            await changed.wait()
        nursery.cancel_scope.cancel()

trio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is of Linux")
def test_linux_tells_when_an_address_comes() -> None:
    inside = ["unshare", "--net"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"{KERNEL} makes no network namespace")
    done = subprocess.run(
        [*inside, sys.executable, "-c", IN_A_NETWORK_OF_ITS_OWN],
        capture_output=True, text=True, check=False, timeout=LAST_RESORT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


async def test_several_messages_are_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    monkeypatch.setattr(network, "open_netlink", lambda: ours)
    monkeypatch.setattr(network, "SETTLE_S", 0.05)
    changes: list[float] = []
    changed = trio.Event()

    def note() -> None:
        changes.append(trio.current_time())
        changed.set()

    with kernel:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_network, note)
            for number in (1, 2):
                changed = trio.Event()
                for _ in range(3):
                    kernel.send(b"an address, a route")
                await changed.wait()
                assert len(changes) == number
            nursery.cancel_scope.cancel()


async def test_where_the_system_does_not_tell_the_watch_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden() -> socket.socket:
        raise PermissionError

    monkeypatch.setattr(network, "open_netlink", forbidden)
    await watch_network(pytest.fail)


class Kernel:
    def __init__(self, number: int) -> None:
        self._number = number

    async def recv(self, size: int) -> bytes:
        await trio.lowlevel.checkpoint()
        raise OSError(self._number, "as the kernel says")


async def test_more_changes_than_the_socket_holds_are_a_change() -> None:
    await network._heard(Kernel(errno.ENOBUFS))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="as the kernel says"):
        await network._heard(Kernel(errno.EBADF))  # type: ignore[arg-type]


async def test_a_clock_that_gained_on_trio_s_has_slept(autojump_clock: trio.abc.Clock) -> None:
    ahead = 0.0
    woken: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            watch_sleep,
            lambda: woken.append(trio.current_time()),
            lambda: trio.current_time() + ahead,
        )
        await trio.sleep(1)
        ahead = SLEPT_S  # read late
        await trio.sleep(CLOCK_CHECK_S)
        assert woken == []
        ahead += 60
        await trio.sleep(CLOCK_CHECK_S)
        assert len(woken) == 1
        nursery.cancel_scope.cancel()


def test_the_boot_clock_goes_forward() -> None:
    before = boot_clock()
    assert boot_clock() >= before
