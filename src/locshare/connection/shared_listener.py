"""One port for everything: accepts TCP connections, looks at each request, and hands the socket to
the WebSocket pool or to the HTTP server.

It looks with ``MSG_PEEK`` (:mod:`locshare.net.peeking`), so both sides get the socket as from a
port of their own, and nothing of what follows knows of this file. A request that is there when its
socket is accepted is sorted at once, without a task.

Sockets whose request is awaited are bounded as those of the pool's handshakes are, in all and of
one client address; beyond that the one that has waited longest is refused. No request is awaited
for longer than ``deadline_s``. Cancellation closes the listening sockets and refuses those that
wait.

A proxy sends requests of many clients over one kept connection, an upgrade too. So the HTTP server
looks at each further request of a connection in the same way (:attr:`SharedListener.hand_over`).
"""

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, final

import trio
from msgspec import Struct

from locshare.config import parse_bind
from locshare.connection import phoenix
from locshare.connection.admission import PATH
from locshare.connection.pool import ConnectionPool, PoolLimits
from locshare.connection.refusal import Refusal
from locshare.connection.transport_limits import TransportLimits, prepare_listening_socket
from locshare.connection.upgrade import respond_and_close
from locshare.net.listening import Acceptor
from locshare.net.peeking import HandOver, peek, peek_until
from locshare.net.slots import SlotLimits, Slots
from locshare.net.sniffing import wants_websocket

_PATHS: Final = (PATH.encode(), phoenix.PATH.encode())


class SharedLimits(Struct, frozen=True):
    """Counts and seconds."""

    requests: SlotLimits = SlotLimits(total=512, per_address=128, reserved=0)
    """Sockets whose request is awaited."""
    deadline_s: float = 10.0
    """Until it is known which side a request is for."""
    backlog: int = 4096
    """The kernel's queue, bounded by net.core.somaxconn."""
    transport: TransportLimits = TransportLimits()

    @classmethod
    def of_pool(cls, limits: PoolLimits) -> "SharedLimits":
        """As many as the pool has handshakes, and for as long."""
        transport = limits.connection.transport
        requests = SlotLimits(limits.handshakes, limits.handshakes_per_address, reserved=0)
        return cls(requests, transport.handshake_deadline, transport=transport)


class SharedStatistics(Struct, frozen=True):
    """``waiting`` is now; the others are totals since the listener was made."""

    waiting: int
    accepted: int
    refused: dict[str, int]
    """Before it was known which side the request is for, by :attr:`Refusal.label`."""


class SocketTaker(Protocol):
    """The HTTP server (:class:`locshare.http.HttpServer`)."""

    def adopt(self, sock: socket.socket, client: tuple[str, int]) -> None:
        """Serve a non-blocking socket. Never blocks, never raises."""
        ...

    def make_room(self) -> bool:
        """Free a file descriptor. False if there is none to free."""
        ...


@final
class _Waiting:
    """A socket whose request is awaited."""

    __slots__ = ("peer", "refusal", "scope", "sock")

    def __init__(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.sock = sock
        self.peer = peer
        self.scope = trio.CancelScope()
        self.refusal = Refusal.LATE
        """Answered when the scope is cancelled."""


@final
class SharedListener:
    """``bind`` is ``host:port``, ``[v6]:port`` or ``:port`` (all interfaces).

    ``address_of`` gives the address to count a peer by, None for a proxy.
    """

    def __init__(
        self,
        bind: str,
        pool: ConnectionPool,
        limits: SharedLimits,
        address_of: Callable[[str], str | None],
    ) -> None:
        self._acceptor = Acceptor(*parse_bind(bind), limits.backlog, "listening")
        self._pool = pool
        self._http: SocketTaker
        self._limits = limits
        self._address_of = address_of
        self._slots: Slots[_Waiting] = Slots(limits.requests)
        self._accepted = 0
        self._refused: Counter[str] = Counter()
        self._judge = partial(wants_websocket, paths=_PATHS)
        self.hand_over: Final = HandOver(self._judge, self._take_websocket)
        """For the HTTP server, and the further requests of its connections."""

    def use(self, http: SocketTaker) -> None:
        """Give all other requests to ``http``. Called once, before :meth:`serve`."""
        self._http = http

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens, from the moment :meth:`serve` has reported to be started."""
        return self._acceptor.addresses

    def statistics(self) -> SharedStatistics:
        """As of now."""
        reasons = (Refusal.LATE, Refusal.CROWDED_OUT, Refusal.DRAINING)
        refused = {each.label: self._refused[each.label] for each in reasons}
        return SharedStatistics(len(self._slots), self._accepted, refused)

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled. Reports the bound addresses. Raises CannotListen."""
        self._slots = Slots(self._limits.requests)
        async with trio.open_nursery() as nursery:
            take = partial(self._take, nursery)
            try:
                await self._acceptor.serve(take, self._make_room, task_status=task_status)
            finally:
                nursery.cancel_scope.cancel()

    def _take(self, nursery: trio.Nursery, sock: socket.socket, peer: tuple[str, int]) -> None:
        self._accepted += 1
        try:
            head = peek(sock)
        except OSError:  # reset already
            sock.close()
            return
        if head and (for_websocket := self._judge(head)) is not None:
            self._dispatch(sock, peer, for_websocket)
            return
        waiting = _Waiting(sock, peer)
        crowded_out = self._slots.admit(waiting, self._address_of(peer[0])).evicted
        if crowded_out is not None:
            crowded_out.refusal = Refusal.CROWDED_OUT
            crowded_out.scope.cancel()
        nursery.start_soon(self._sort, waiting)

    async def _sort(self, waiting: _Waiting) -> None:
        """Wait for the request of one socket. Cancelled from outside: the server stops, the socket
        is refused. Either way the socket is closed or handed on.
        """
        waiting.scope.deadline = trio.current_time() + self._limits.deadline_s
        progress = partial(self._slots.mark_waiting, waiting)
        try:
            with waiting.scope:
                wanted = await peek_until(waiting.sock, self._judge, progress)
                self._dispatch(waiting.sock, waiting.peer, wanted)
                return
            self._refuse(waiting.sock, waiting.refusal)
        except trio.Cancelled:
            self._refuse(waiting.sock, Refusal.DRAINING)
            raise
        except OSError:  # the peer reset it
            waiting.sock.close()
        finally:
            self._slots.release(waiting)

    def _refuse(self, sock: socket.socket, refusal: Refusal) -> None:
        self._refused[refusal.label] += 1
        respond_and_close(sock, refusal.response())

    def _dispatch(self, sock: socket.socket, peer: tuple[str, int], for_websocket: bool) -> None:
        if for_websocket:
            self._take_websocket(sock, peer)
        else:
            self._http.adopt(sock, peer)

    def _take_websocket(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # the peer is gone, as the pool will find
            prepare_listening_socket(sock, self._limits.transport)
        self._pool.adopt(sock, peer[0])

    def _make_room(self) -> bool:
        """Free a file descriptor: close a socket that has sent no request, whichever side it is
        with.
        """
        longest = self._slots.shed()
        if longest is not None:
            longest.refusal = Refusal.CROWDED_OUT
            longest.scope.cancel()
            return True
        return self._pool.make_room() or self._http.make_room()
