"""A service manager hears that the server is ready, that it lives, and that it stops."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from locshare.server.service_manager import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def heard(sock: socket.socket) -> list[str]:
    found = []
    try:
        while True:
            found.append(sock.recv(100).decode())
    except BlockingIOError:
        return found


async def test_it_hears_of_readiness_once_and_of_life_twice_in_each_period(
    manager: socket.socket, mock_clock: MockClock
) -> None:
    environment = {
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": "10000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    service = ServiceManager.of(environment, os.getpid())
    assert environment == {}, "no child is to speak for us"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.attend)
        await wait_all_tasks_blocked()
        assert heard(manager) == ["READY=1"]
        for _ in range(2):
            mock_clock.jump(4.9)
            await wait_all_tasks_blocked()
            assert heard(manager) == []
            mock_clock.jump(0.1)
            await wait_all_tasks_blocked()
            assert heard(manager) == ["WATCHDOG=1"]
        nursery.cancel_scope.cancel()
    service.stopping()
    assert heard(manager) == ["STOPPING=1"]


async def test_a_manager_whose_queue_is_full_hears_of_readiness_when_there_is_room(
    manager: socket.socket, mock_clock: MockClock
) -> None:
    """As when many services start at once."""
    service = ServiceManager(manager.getsockname())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        others.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                others.sendto(b"READY=1 of another", manager.getsockname())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.attend)
            await wait_all_tasks_blocked()
            assert "READY=1" not in heard(manager)
            mock_clock.jump(1)
            await wait_all_tasks_blocked()
            assert heard(manager) == ["READY=1"]
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:1:2"}, {"NOTIFY_SOCKET": "/nowhere"}],
)
async def test_without_one_the_server_runs_all_the_same(
    environment: dict[str, str], autojump_clock: MockClock
) -> None:
    service = ServiceManager.of(environment, os.getpid())
    with trio.move_on_after(60) as scope:
        await service.attend()
    assert scope.cancelled_caught
    service.stopping()


async def test_a_watchdog_of_another_process_is_not_fed(
    manager: socket.socket, autojump_clock: MockClock
) -> None:
    given = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000000",
             "WATCHDOG_PID": "1"}  # fmt: skip
    with trio.move_on_after(60):
        await ServiceManager.of(given, os.getpid()).attend()
    assert heard(manager) == ["READY=1"]


async def test_an_abstract_address_is_one_with_a_zero_byte(autojump_clock: MockClock) -> None:
    name = f"locshare-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.setblocking(False)
        with trio.move_on_after(1):
            await ServiceManager.of({"NOTIFY_SOCKET": f"@{name}"}, 1).attend()
        assert heard(sock) == ["READY=1"]
