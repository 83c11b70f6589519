"""Listening TCP sockets and the accept loop, for the two servers: HTTP and WebSocket.

Plain non-blocking sockets of the standard library. When the process has no file descriptor left the
server may free one; else accepting pauses instead of spinning, and the client stays in the kernel's
queue. All that waits in that queue is accepted in one wakeup, up to a bound, so that a storm of
connections costs few turns of the loop and does not starve what runs.
"""

import errno
import math
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, final

import structlog
import trio

from locshare.net.passed_sockets import PASSED

log = structlog.get_logger()

OUT_OF_FILES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Errors of ``accept`` when the process or the machine has no room. The client stays in the
kernel's queue: wait a little and try again."""

PAUSE_WHEN_OUT_OF_FILES_S: Final = 0.2
QUIET_S: Final = 60.0
"""Between two log lines about that: a crowd that stays would fill the log with the pauses."""

PEER_GAVE_UP: Final = {
    errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENETDOWN, errno.ENOPROTOOPT,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EINTR,
    errno.ETIMEDOUT, errno.ECONNRESET,
}  # fmt: skip
"""Errors of ``accept`` that concern one client, or its firewall rule (accept(2)). The next one may
succeed."""

ACCEPTS_PER_WAKEUP: Final = 16
"""Then the other tasks get a turn of the loop."""


class CannotListen(OSError):
    """An address cannot be listened on. ``strerror`` names it and says why."""


async def listen(
    host: str | None,
    port: int,
    backlog: int,
    prepare: Callable[[socket.socket], None] = lambda _socket: None,
) -> list[socket.socket]:
    """One socket for each address of ``host`` (None: all interfaces), all on the same port; those
    that the service manager has passed for them, if any (:mod:`locshare.net.passed_sockets`).

    Port 0 picks a free one. ``prepare`` sets options that accepted sockets inherit. ``backlog`` is
    cut to the kernel's maximum. Raises CannotListen; then, and when cancelled, nothing stays open.
    """
    with ExitStack() as stack:
        sockets = PASSED.at(host, port)
        for sock in sockets:
            stack.enter_context(sock)
            prepare(sock)
            sock.listen(backlog)
        if sockets:
            stack.pop_all()
            return sockets
        try:
            found = await trio.socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, kind, protocol, _, address in dict.fromkeys(found):
                if host is None and not _has(family):
                    continue
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


def _has(family: int) -> bool:
    """Whether this machine speaks ``family``. A container may have no IPv6."""
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno != errno.EAFNOSUPPORT
    return True


async def accept(
    listening: socket.socket,
    take: Callable[[socket.socket, tuple[str, int]], None],
    make_room: Callable[[], bool] = lambda: False,
) -> None:
    """Accept until cancelled, and ``take`` each socket, which is non-blocking. ``take`` must not
    raise.

    When the process has no file descriptor left, ``make_room`` may free one and say so; otherwise
    accepting pauses. Raises OSError when the listening socket itself is broken. Cancellation loses
    no accepted socket.
    """
    logged_at = -math.inf
    while True:
        await trio.lowlevel.wait_readable(listening)
        for _ in range(ACCEPTS_PER_WAKEUP):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in OUT_OF_FILES:
                    if not make_room():
                        if trio.current_time() - logged_at >= QUIET_S:
                            logged_at = trio.current_time()
                            log.warning("out_of_files", errno=errno.errorcode[error.errno or 0])
                        await trio.sleep(PAUSE_WHEN_OUT_OF_FILES_S)
                    break
                if error.errno not in PEER_GAVE_UP:
                    raise
            else:
                sock.setblocking(False)
                take(sock, peer[:2])


@final
class Acceptor:
    """One address to listen on. Its owner may be restarted: it binds the same address again, the
    port that was chosen the first time when it was asked for port 0.
    """

    def __init__(
        self,
        host: str | None,
        port: int,
        backlog: int,
        log_event: str,
        prepare: Callable[[socket.socket], None] = lambda _socket: None,
    ) -> None:
        self._host = host
        self._port = port
        self._backlog = backlog
        self._log_event = log_event
        self._prepare = prepare
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Where it listens, from the moment :meth:`serve` has reported to be started."""

    async def serve(
        self,
        take: Callable[[socket.socket, tuple[str, int]], None],
        make_room: Callable[[], bool],
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen and :func:`accept` until cancelled; then the listening sockets are closed. Reports
        the bound addresses. Raises CannotListen.
        """
        with ExitStack() as stack:
            sockets = await listen(self._host, self._port, self._backlog, self._prepare)
            for sock in sockets:
                stack.enter_context(sock)
            self.addresses = tuple(sock.getsockname()[:2] for sock in sockets)
            self._port = self.addresses[0][1]
            async with trio.open_nursery() as nursery:
                for sock in sockets:
                    nursery.start_soon(accept, sock, take, make_room)
                log.info(
                    self._log_event, addresses=[f"{host}:{port}" for host, port in self.addresses]
                )
                task_status.started(self.addresses)
