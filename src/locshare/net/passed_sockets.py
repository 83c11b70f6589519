"""Listening sockets that the service manager passes (systemd's socket activation: sd_listen_fds(3)
says how).

The settings say where the server listens, as always. Where a passed socket has that very address,
it is used instead of a new one: it may be a port below 1024, and connections that arrive while the
server starts or restarts wait in its queue.

A listener that is restarted gets a duplicate of the same socket, so the queue outlives it.
"""

import errno
import os
import socket
from collections.abc import MutableMapping, Sequence
from typing import Final, final

from locshare.model.errors import LocshareError

_FIRST: Final = 3
"""SD_LISTEN_FDS_START: the descriptor after standard error."""
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_ANY: Final = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound


class BadPassedSocket(LocshareError):
    """A passed descriptor is no listening TCP socket, or none of the settings names its address."""


@final
class PassedSockets:
    """The sockets that were passed to this process, which stay open until it ends."""

    def __init__(self, sockets: Sequence[socket.socket] = ()) -> None:
        self._sockets = [*sockets]
        self._used: set[int] = set()

    def take(self, environment: MutableMapping[str, str], pid: int) -> None:
        """Take what was passed to the process ``pid``, and remove the variables that say so, so
        that no child takes them too. Raises BadPassedSocket.
        """
        given, count, _ = (environment.pop(name, "") for name in _VARIABLES)
        if given == str(pid) and count.isdecimal():
            for descriptor in range(_FIRST, _FIRST + int(count)):
                self._sockets.append(_listening_socket(descriptor))

    def at(self, host: str | None, port: int) -> list[socket.socket]:
        """Duplicates of those at ``port`` on ``host``, an IP address, or on all interfaces (None).
        Non-blocking; the caller closes them.
        """
        found = []
        for sock in self._sockets:
            address = sock.getsockname()
            is_here = address[0] in _ANY if host is None or host in _ANY else address[0] == host
            if is_here and address[1] == port:
                self._used.add(sock.fileno())
                duplicate = sock.dup()
                duplicate.setblocking(False)
                found.append(duplicate)
        return found

    def check_all_used(self) -> None:
        """Raises BadPassedSocket that names one that nothing has listened on."""
        for sock in self._sockets:
            if sock.fileno() not in self._used:
                host, port = sock.getsockname()[:2]
                raise BadPassedSocket(
                    f"the service manager passed a socket at {host}:{port}, and no setting says to"
                    f" listen there: set LOCSHARE_BIND to that address, or change ListenStream"
                )


def _listening_socket(descriptor: int) -> socket.socket:
    wrong = f"the service manager passed descriptor {descriptor}, which is no listening TCP socket"
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise BadPassedSocket(f"{wrong} ({errno.errorcode.get(error.errno or 0)})") from error
    is_internet = sock.family in (socket.AF_INET, socket.AF_INET6)
    if not is_listening or not is_internet or sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise BadPassedSocket(f"{wrong}: set ListenStream to an address and a port")
    return sock


PASSED: Final = PassedSockets()
"""Of this process. Empty until ``locshare serve`` has asked for them."""
