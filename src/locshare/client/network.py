"""What tells a client that its connection may be dead: a machine that slept, a changed network.

A connection that the network dropped looks alive until something is sent. These two make
:class:`locshare.client.live.Live` look at once.
"""

import errno
import socket
import time
from collections.abc import Callable
from typing import Final

import trio

CLOCK_CHECK_S: Final = 5.0
SLEPT_S: Final = 3.0
"""A clock that gained less on another was only read late."""
SETTLE_S: Final = 0.5
"""A change of the network comes as several messages: addresses, then routes."""

# Of linux/rtnetlink.h: changes of addresses and routes, of IPv4 and IPv6.
_GROUPS: Final = 0x10 | 0x40 | 0x100 | 0x400
_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)
_CHUNK: Final = 65_536


def boot_clock() -> float:
    """Seconds on a clock that also counts while the machine sleeps, where the system has one; else
    the wall clock, which may be set.
    """
    return time.time() if _BOOT is None else time.clock_gettime(_BOOT)


async def watch_sleep(woken: Callable[[], None], clock: Callable[[], float] = boot_clock) -> None:
    """Call ``woken`` after the machine has slept, within :data:`CLOCK_CHECK_S`. Runs until it is
    cancelled. Trio's clock stands still while the machine sleeps, and ``clock`` does not.
    """
    ahead = clock() - trio.current_time()
    while True:
        await trio.sleep(CLOCK_CHECK_S)
        before, ahead = ahead, clock() - trio.current_time()
        if ahead - before > SLEPT_S:
            woken()


async def watch_network(changed: Callable[[], None]) -> None:
    """Call ``changed`` after addresses or routes of this machine have changed, on Linux until it is
    cancelled. Returns where the system does not tell.
    """
    try:
        kernel = trio.socket.from_stdlib_socket(open_netlink())
    except (AttributeError, OSError):  # another system; a sandbox that forbids it
        return
    with kernel:
        while True:
            await _heard(kernel)
            with trio.move_on_after(SETTLE_S):
                while True:
                    await _heard(kernel)
            changed()


async def _heard(kernel: trio.socket.SocketType) -> None:
    try:
        await kernel.recv(_CHUNK)
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # more has changed than the socket holds
            raise


def open_netlink() -> socket.socket:
    """A socket that the kernel tells of changes. Raises OSError where that is not allowed."""
    kernel = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        kernel.bind((0, _GROUPS))
    except OSError:
        kernel.close()
        raise
    return kernel
