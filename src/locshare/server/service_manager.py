"""What a service manager such as systemd wants to know (sd_notify(3)): the server is ready, it is
stopping, and its loop turns.

Without one, nothing is sent. A manager that does not listen is its own affair. One whose queue is
full is asked again: it would end a server whose readiness it never heard of.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final, final

import trio

_AGAIN_S: Final = 0.1
_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@final
class ServiceManager:
    """``address`` is its datagram socket; None without one. ``watchdog_s``: it ends a process that
    is not heard of for so long; None for ever.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self._watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: MutableMapping[str, str], pid: int) -> "ServiceManager":
        """The one that started the process ``pid``. Removes the variables that name it, so that no
        child speaks for us.
        """
        address, microseconds, whose = (environment.pop(name, "") for name in _VARIABLES)
        if not address.startswith(("/", "@")):
            return cls()
        is_watched = microseconds.isdecimal() and int(microseconds) and whose in ("", str(pid))
        return cls(address, int(microseconds) / 1e6 if is_watched else None)

    async def attend(self) -> None:
        """Say that the server is ready, and that the loop turns, twice in each period of the
        watchdog; until cancelled.
        """
        await self._deliver("READY=1")
        while self._watchdog_s is not None:
            await trio.sleep(self._watchdog_s / 2)
            await self._deliver("WATCHDOG=1")
        await trio.sleep_forever()

    def stopping(self) -> None:
        """Say that the server stops because it was asked to."""
        self._send("STOPPING=1")

    async def _deliver(self, state: str) -> None:
        while not self._send(state):  # noqa: ASYNC110 - nothing says when there is room
            await trio.sleep(_AGAIN_S)

    def _send(self, state: str) -> bool:
        """False when the manager's queue is full."""
        if self._address is None:
            return True
        path = os.fsencode(self._address)
        if path.startswith(b"@"):
            path = b"\0" + path[1:]  # an abstract address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(state.encode(), path)
            except BlockingIOError:
                return False
        return True
