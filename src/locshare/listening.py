"""Listening TCP sockets, for the two servers: HTTP and WebSocket.

Plain non-blocking sockets of the standard library; whoever asked accepts and closes them.
"""

import errno
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import trio

OUT_OF_FILES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What ``accept`` fails with when the process or the machine has no room. The client stays in the
kernel's queue: wait a little and try again."""

PAUSE_WHEN_OUT_OF_FILES_S: Final = 0.2


class CannotListen(OSError):
    """An address cannot be listened on. ``strerror`` names it and says why."""


async def listen(
    host: str | None,
    port: int,
    backlog: int,
    prepare: Callable[[socket.socket], None] = lambda _socket: None,
) -> list[socket.socket]:
    """One socket for each address of ``host`` (None: all interfaces), all on the same port.

    Port 0 picks a free one. ``prepare`` sets options that accepted sockets inherit. ``backlog`` is
    cut to the kernel's maximum. Raises CannotListen; then, and when cancelled, nothing stays open.
    """
    with ExitStack() as stack:
        sockets = []
        try:
            found = await trio.socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, kind, protocol, _, address in dict.fromkeys(found):
                sock = stack.enter_context(socket.socket(family, kind, protocol))
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                prepare(sock)
                # With port 0 the second address gets the port that the first was given.
                sock.bind((address[0], port, *address[2:]))
                port = sock.getsockname()[1]
                sock.listen(backlog)
                sockets.append(sock)
        except OSError as error:
            where = f"{host or '*'}:{port}"
            raise CannotListen(
                error.errno, f"cannot listen on {where}: {error.strerror}"
            ) from error
        except UnicodeError as error:  # of the codec for domain names: a label of 64 letters
            raise CannotListen(
                errno.EINVAL, f"cannot listen on {host}:{port}: not the name of a host"
            ) from error
        stack.pop_all()
        return sockets


def addresses_of(sockets: list[socket.socket]) -> tuple[tuple[str, int], ...]:
    """Host and port of each."""
    return tuple(sock.getsockname()[:2] for sock in sockets)
