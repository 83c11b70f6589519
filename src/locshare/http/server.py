"""Serves an ASGI application over HTTP/1.1, as a supervised child.

The number of connections is bounded, of each address and in all. At the bound a newcomer takes the
slot of the connection that has waited longest for its client (:mod:`locshare.net.slots`), so that
strangers who hold all slots keep nobody out.

A crash of one connection is logged and ends that connection only. When serving is cancelled it
stops in order: close the listening sockets, close idle connections, give running requests a moment,
cut the rest. That takes at most ``stop_s``, whatever the clients do.

Restarted after a crash it binds the same port, also when the port was 0. Without a port another
listener hands it each socket (:meth:`HttpServer.adopt`).
"""

import socket
from collections import Counter
from collections.abc import Sequence
from functools import partial

import structlog
import trio
from msgspec import Struct

from locshare.config import parse_bind
from locshare.http.connection import HttpConnection
from locshare.http.hypercorn_protocol import WorkerContext, make_config
from locshare.http.limits import DEFAULT_LIMITS, ServerLimits
from locshare.http.types import AsgiApp
from locshare.net.client_address import ClientAddress
from locshare.net.draining import open_draining_nursery
from locshare.net.listening import Acceptor
from locshare.net.peeking import HandOver
from locshare.net.slots import Slots
from locshare.telemetry.unexpected import log_unexpected

log = structlog.get_logger()


class ServerStatistics(Struct, frozen=True):
    """Totals since the server was made, but for ``open``, which is now."""

    open: int
    accepted: int
    evicted: int
    """Closed while they waited for their client, to make room for another."""
    reserved: int
    """Accepted beyond the limit, for a health check."""
    malformed: dict[str, int]
    """Requests that broke the rules of HTTP, by the status of their answer."""
    limit: int
    """How many may be open, those beyond the limit not counted."""


class HttpServer:
    """``bind`` is ``host:port``, ``[v6]:port`` or ``:port`` (all interfaces), None for a server
    that gets its sockets by :meth:`adopt`. A request that ``hand_over`` wants leaves with its
    socket.

    Hooks of the application around serving (``before_serving``) are not run.
    """

    def __init__(
        self,
        app: AsgiApp,
        bind: str | None,
        limits: ServerLimits = DEFAULT_LIMITS,
        hand_over: HandOver | None = None,
    ) -> None:
        self._app = app
        self._acceptor = (
            None if bind is None else Acceptor(*parse_bind(bind), limits.backlog, "http_listening")
        )
        self._limits = limits
        self._hand_over = hand_over
        self._adopting: tuple[trio.Nursery, WorkerContext] | None = None
        self._config = make_config(limits)
        self._slots: Slots[HttpConnection] = Slots(limits.slots)
        self._client_address = ClientAddress(limits.trusted_proxies)
        self._connections: set[HttpConnection] = set()
        self._accepted = self._evicted = self._reserved = 0
        self._malformed: Counter[str] = Counter()
        self._drained = trio.Event()

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens, from the moment :meth:`serve` has reported to be started. Empty without
        a port of its own.
        """
        return () if self._acceptor is None else self._acceptor.addresses

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    def statistics(self) -> ServerStatistics:
        """As of now."""
        return ServerStatistics(
            len(self._connections),
            self._accepted,
            self._evicted,
            self._reserved,
            dict(self._malformed),
            self._limits.connections,
        )

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. Reports the bound addresses. Raises OSError when it cannot bind.

        Cancellation is answered within ``stop_s``.
        """
        self._slots = Slots(self._limits.slots)
        context = WorkerContext(None)
        async with open_draining_nursery(partial(self._drain, context)) as connections:
            self._adopting = connections, context
            try:
                if self._acceptor is None:
                    task_status.started(())
                    await trio.sleep_forever()
                else:
                    await self._acceptor.serve(self.adopt, self.make_room, task_status=task_status)
            finally:
                self._adopting = None

    async def _drain(self, context: WorkerContext) -> None:
        self._drained = trio.Event()
        await context.terminated.set()  # idle connections close now
        with trio.move_on_after(self._limits.stop_s):
            if self._connections:
                await self._drained.wait()
        # Writes are shielded from cancellation: only a closed socket ends them.
        for connection in tuple(self._connections):
            connection.cut()

    def adopt(self, sock: socket.socket, client: tuple[str, int]) -> None:
        """Serve a non-blocking socket, at the cost of another one if need be. Closed at once while
        nothing is served. Raises nothing.
        """
        if self._adopting is None:
            sock.close()
            return
        connections, context = self._adopting
        self._accepted += 1
        connection = HttpConnection(
            self._app,
            self._config,
            context,
            self._limits,
            self._slots,
            sock,
            client=client,
            server=_local_address(sock),
            hand_over=self._hand_over,
        )
        admission = self._slots.admit(connection, self._client_address.of_peer(client[0]))
        connection.reserved = admission.reserved
        self._reserved += admission.reserved
        if admission.evicted is not None:
            self._evict(admission.evicted)
        self._connections.add(connection)
        connections.start_soon(self._serve, connection)

    def make_room(self) -> bool:
        """Free a file descriptor, when there is none left. False when there is none to free."""
        longest = self._slots.shed()
        if longest is None:
            return False
        self._evict(longest)
        return True

    def _evict(self, connection: HttpConnection) -> None:
        self._evicted += 1
        connection.cut()

    async def _serve(self, connection: HttpConnection) -> None:
        try:
            await connection.run()
        except Exception as error:  # noqa: BLE001 - it must not take all others down
            log_unexpected("http_connection_failed", error)
        finally:
            if connection.refusal is not None:
                self._malformed[str(connection.refusal.status)] += 1
            self._slots.release(connection)
            self._connections.discard(connection)
            if not self._connections:
                self._drained.set()


def _local_address(sock: socket.socket) -> tuple[str, int]:
    try:
        host, port = sock.getsockname()[:2]
    except OSError:  # the peer was faster
        return "", 0
    return host, port
