"""Serves an ASGI application over HTTP/1.1 with hypercorn, as a supervised child.

hypercorn's own entry point hides the address it bound, prints a banner, and waits for ever for a
client that does not read its answer. So this accepts by itself, and each connection
(:mod:`locshare.http.connection`) gives hypercorn's protocol its bytes and bounds every wait. There
are so many connections at most, of each address and in all; who comes then takes the place of
whoever has kept us waiting longest (:mod:`locshare.net.slots`), so that strangers who hold what
they can get keep nobody out.

A crash of one connection is logged and ends that connection only. When serving is cancelled it
stops in order: nobody new, idle connections closed at once, running requests given a moment, the
rest cut. That takes at most ``stop_s``, whatever the clients do.

Started again after a crash it binds the same port, also when it was asked for port 0.
"""

import socket
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from time import time
from typing import Any, Final
from wsgiref.handlers import format_date_time

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import parse_socket_addr
from msgspec import Struct

from locshare.config import parse_bind
from locshare.http.connection import Connection, Patience
from locshare.http.heads import HeadLimits
from locshare.http.types import AsgiApp
from locshare.net.client_address import ClientAddress
from locshare.net.draining import open_draining_nursery
from locshare.net.listening import Acceptor
from locshare.net.slots import SlotLimits, Slots
from locshare.telemetry.unexpected import log_unexpected

log = structlog.get_logger()


class ServerLimits(Struct, frozen=True):
    """Counts, bytes and seconds."""

    connections: int = 1000
    connections_per_address: int = 200
    """Browsers hold six at most; behind one address there may be a festival, whose idle ones are
    closed a little earlier then."""
    reserved: int = 64
    """Beyond ``connections``, for health checks when none of these can be closed. Each is there for
    one quick request."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may hold more than ``connections_per_address``: theirs are many clients'."""
    backlog: int = 1024
    header_bytes: int = 16 * 1024
    """A request line and its headers."""
    body_bytes: int = 256 * 1024
    """A body as it comes over the wire, the framing of its chunks included. What it may carry is
    the application's affair."""
    keep_alive_s: float = 15.0
    """An idle connection lives so long; a request's headers take so long at most."""
    read_timeout_s: float = 30.0
    """Nothing was received for so long: the client is gone."""
    write_timeout_s: float = 15.0
    """Nothing could be sent for so long: the client does not read."""
    requests_per_connection: int = 10_000
    stop_s: float = 0.8

    @property
    def patience(self) -> Patience:
        """Those of one connection."""
        return Patience(
            self.keep_alive_s,
            self.read_timeout_s,
            self.write_timeout_s,
            HeadLimits(self.header_bytes),
            self.body_bytes,
        )

    @property
    def slots(self) -> SlotLimits:
        """How many connections, and whose."""
        return SlotLimits(self.connections, self.connections_per_address, self.reserved)


DEFAULT_LIMITS: Final = ServerLimits()


class ServerStatistics(Struct, frozen=True):
    """Totals since the server was made, but for ``open``, which is now."""

    open: int
    accepted: int
    evicted: int
    """Closed while they waited for their client, to make room for another."""
    reserved: int
    """Taken in beyond the limit, for a health check."""
    malformed: dict[str, int]
    """Requests that broke the rules of HTTP, by the status of their answer."""


class ApiServer:
    """``bind`` is ``host:port``, ``[v6]:port`` or ``:port`` (all interfaces).

    Hooks of the application around serving (``before_serving``) are not run.
    """

    def __init__(self, app: AsgiApp, bind: str, limits: ServerLimits = DEFAULT_LIMITS) -> None:
        self._app = ASGIWrapper(app)
        self._acceptor = Acceptor(*parse_bind(bind), limits.backlog, "http_listening")
        self._limits = limits
        self._config = _config(limits)
        self._slots: Slots[Connection] = Slots(limits.slots)
        self._client_address = ClientAddress(limits.trusted_proxies)
        self._connections: set[Connection] = set()
        self._accepted = self._evicted = self._reserved = 0
        self._malformed: Counter[str] = Counter()
        self._drained = trio.Event()

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens, from the moment :meth:`serve` has reported to be started."""
        return self._acceptor.addresses

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
        async with open_draining_nursery(partial(self._drain, context)) as home:
            take = partial(self._take, home, context)
            await self._acceptor.serve(take, self._make_room, task_status=task_status)

    async def _drain(self, context: WorkerContext) -> None:
        self._drained = trio.Event()
        await context.terminated.set()  # hypercorn closes idle connections now
        with trio.move_on_after(self._limits.stop_s):
            if self._connections:
                await self._drained.wait()
        # Writes are shielded from cancellation: only a closed socket ends them.
        for connection in tuple(self._connections):
            connection.cut()

    def _take(self, home: trio.Nursery, context: WorkerContext, sock: socket.socket) -> None:
        """Serve an accepted socket, at the cost of another one if need be. Raises nothing."""
        try:
            client = parse_socket_addr(sock.family, sock.getpeername())
        except OSError:  # it is gone already
            sock.close()
            return
        self._accepted += 1
        connection = Connection(
            self._app, self._config, context, sock, client, self._limits.patience, self._slots
        )
        address = None if client is None else self._client_address.of_peer(client[0])
        admission = self._slots.admit(connection, address)
        connection.reserved = admission.reserved
        self._reserved += admission.reserved
        if admission.evicted is not None:
            self._evict(admission.evicted)
        self._connections.add(connection)
        home.start_soon(self._serve, connection)

    def _make_room(self) -> bool:
        """Free a file descriptor, when there is none left."""
        longest = self._slots.shed()
        if longest is None:
            return False
        self._evict(longest)
        return True

    def _evict(self, connection: Connection) -> None:
        self._evicted += 1
        connection.cut()

    async def _serve(self, connection: Connection) -> None:
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


class _QuietLogger(Logger):
    """hypercorn's messages in our format; its access log and its banner not at all."""

    def __init__(self, config: Config) -> None:  # noqa: ARG002
        self.access_logger = None
        self.error_logger = None

    async def access(self, *_: Any) -> None:
        """The edge writes the access log."""

    async def exception(self, message: str, *_: Any, **__: Any) -> None:
        """What escaped the edge; during a stop for instance."""
        log_unexpected("http_server_failed", sys.exception() or RuntimeError(), message=message)


class _Config(Config):
    """hypercorn's settings. The date of an answer is made once a second, not for each."""

    _date = (0, b"")

    def response_headers(self, _protocol: str) -> list[tuple[bytes, bytes]]:
        """The headers of every answer."""
        now = int(time())
        if now != self._date[0]:
            self._date = (now, format_date_time(now).encode("ascii"))
        return [(b"date", self._date[1])]


def _config(limits: ServerLimits) -> Config:
    config = _Config()
    config.logger_class = _QuietLogger
    config.h11_max_incomplete_size = limits.header_bytes
    config.keep_alive_max_requests = limits.requests_per_connection
    return config
