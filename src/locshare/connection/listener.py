"""Accepts TCP connections and hands them to the pool. Holds none itself.

A supervised child that may crash: the connections live in the pool and do not notice. Cancellation
closes the listening sockets; the pool drains. When the process is out of file descriptors the pool
gives up a socket that is no connection yet.
"""

import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import trio
from msgspec import Struct

from locshare.config import parse_bind
from locshare.connection.pool import ConnectionPool
from locshare.connection.transport_limits import TransportLimits, prepare_listening_socket
from locshare.net.listening import Acceptor


class ListenerLimits(Struct, frozen=True):
    """Counts and seconds."""

    backlog: int = 4096
    """The kernel's queue, bounded by net.core.somaxconn."""
    transport: TransportLimits = TransportLimits()


DEFAULT_LIMITS: Final = ListenerLimits()


class Listener:
    """``bind`` is ``host:port``, ``[v6]:port`` or ``:port`` (all interfaces)."""

    def __init__(
        self, bind: str, pool: ConnectionPool, limits: ListenerLimits = DEFAULT_LIMITS
    ) -> None:
        prepare = partial(prepare_listening_socket, limits=limits.transport)
        self._acceptor = Acceptor(*parse_bind(bind), limits.backlog, "listening", prepare)
        self._pool = pool

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens, from the moment :meth:`serve` has reported to be started."""
        return self._acceptor.addresses

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled. Reports the bound addresses. Raises CannotListen."""
        await self._acceptor.serve(self._take, self._pool.make_room, task_status=task_status)

    def _take(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self._pool.adopt(sock, peer[0])
