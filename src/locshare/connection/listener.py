"""Accepts TCP connections and hands them to the pool. Holds none itself.

A supervised child that may crash: started again it binds the same address (the port that was
chosen the first time when it was asked for port 0), and the connections, which live in the pool,
do not notice. Cancellation closes the listening sockets; the pool drains.

When the process is out of file descriptors the socket that is idle longest is closed, and without
one the listener waits instead of spinning: the client stays in the kernel's queue. All that waits
in that queue is accepted in one wakeup, up to a bound, so that a storm of connections costs few
turns of the loop and does not starve what runs.
"""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

import structlog
import trio
from msgspec import Struct

from locshare.config import parse_bind
from locshare.connection.pool import ConnectionPool
from locshare.connection.transport import TransportLimits, prepare_listening_socket
from locshare.net.listening import accept, addresses_of, listen

log = structlog.get_logger()


class ListenerLimits(Struct, frozen=True):
    """Counts and seconds."""

    backlog: int = 4096
    """The kernel's queue; it is cut to net.core.somaxconn."""
    transport: TransportLimits = TransportLimits()


DEFAULT_LIMITS: Final = ListenerLimits()


class ListenerStatistics(Struct, frozen=True):
    """Totals since the listener was made."""

    starts: int
    out_of_files: int
    """How often the process had no file descriptor left for a client."""


class Listener:
    """``bind`` is ``host:port``, ``[v6]:port`` or ``:port`` (all interfaces)."""

    def __init__(
        self, bind: str, pool: ConnectionPool, limits: ListenerLimits = DEFAULT_LIMITS
    ) -> None:
        self._host, self._port = parse_bind(bind)
        self._pool = pool
        self._limits = limits
        self._starts = 0
        self._out_of_files = 0
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Where it listens, from the moment ``serve`` has reported to be started."""

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled. Reports the bound addresses. Raises OSError when it cannot bind.

        Cancellation closes the listening sockets and takes nothing from anyone connected.
        """
        self._starts += 1
        prepare = partial(prepare_listening_socket, limits=self._limits.transport)
        with ExitStack() as stack:
            sockets = await listen(self._host, self._port, self._limits.backlog, prepare)
            for sock in sockets:
                stack.enter_context(sock)
            self.addresses = addresses_of(sockets)
            self._port = self.addresses[0][1]
            async with trio.open_nursery() as nursery:
                for sock in sockets:
                    nursery.start_soon(accept, sock, self._take, self._make_room)
                log.info("listening", addresses=[f"{host}:{port}" for host, port in self.addresses])
                task_status.started(self.addresses)

    def statistics(self) -> ListenerStatistics:
        """A picture of now."""
        return ListenerStatistics(self._starts, self._out_of_files)

    def _take(self, sock: socket.socket) -> None:
        try:
            peer = sock.getpeername()[0]
        except OSError:  # it is gone already
            sock.close()
        else:
            self._pool.adopt(sock, peer)

    def _make_room(self) -> bool:
        self._out_of_files += 1
        return self._pool.make_room()
