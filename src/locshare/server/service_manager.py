"""What a service manager such as systemd wants to know (sd_notify(3)): the server is ready, it is
stopping, and its loop turns.

Without one, nothing is sent. Nothing here waits or fails: a manager that does not listen is its own
affair.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final, final

import trio

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
        self._send("READY=1")
        while self._watchdog_s is not None:
            await trio.sleep(self._watchdog_s / 2)
            self._send("WATCHDOG=1")
        await trio.sleep_forever()

    def stopping(self) -> None:
        """Say that the server stops because it was asked to."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if self._address is None:
            return
        path = os.fsencode(self._address)
        if path.startswith(b"@"):
            path = b"\0" + path[1:]  # an abstract address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state.encode(), path)
