"""Serves an ASGI application over HTTP/1.1 with hypercorn, as a supervised child.

hypercorn's own entry point hides the address it bound, prints a banner, and waits for ever for a
client that does not read its answer. So this accepts by itself, and each connection
(:mod:`locshare.api.connection`) gives hypercorn's protocol its bytes and bounds every wait. There
are so many connections at most; further ones wait in the kernel's queue.

A crash of one connection is logged and ends that connection only. When serving is cancelled it
stops in order: nobody new, idle connections closed at once, running requests given a moment, the
rest cut. That takes at most ``stop_s``, whatever the clients do.

Started again after a crash it binds the same port, also when it was asked for port 0.
"""

import errno
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.worker_context import WorkerContext
from msgspec import Struct

from locshare.api.connection import Connection, Patience
from locshare.api.exchange import AsgiApp
from locshare.config import parse_bind
from locshare.listening import OUT_OF_FILES, PAUSE_WHEN_OUT_OF_FILES_S, addresses_of, listen

log = structlog.get_logger()


class ServerLimits(Struct, frozen=True):
    """Counts, bytes and seconds."""

    connections: int = 1000
    backlog: int = 1024
    header_bytes: int = 16 * 1024
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
        return Patience(self.keep_alive_s, self.read_timeout_s, self.write_timeout_s)


DEFAULT_LIMITS: Final = ServerLimits()


class ApiServer:
    """``bind`` is ``host:port``, ``[v6]:port`` or ``:port`` (all interfaces).

    Hooks of the application around serving (``before_serving``) are not run.
    """

    def __init__(self, app: AsgiApp, bind: str, limits: ServerLimits = DEFAULT_LIMITS) -> None:
        self._app = ASGIWrapper(app)
        self._host, self._port = parse_bind(bind)
        self._limits = limits
        self._config = _config(limits)
        self._slots = trio.CapacityLimiter(limits.connections)
        self._connections: set[Connection] = set()
        self._drained = trio.Event()
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Where it listens, from the moment ``serve`` has reported to be started."""

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Sequence[tuple[str, int]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. Reports the bound addresses. Raises OSError when it cannot bind.

        Cancellation is answered within ``stop_s``.
        """
        stopping = trio.Event()
        self._slots = trio.CapacityLimiter(self._limits.connections)
        sockets = await listen(self._host, self._port, self._limits.backlog)
        self.addresses = addresses_of(sockets)
        self._port = self.addresses[0][1]
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(each)) for each in sockets]
        async with trio.open_nursery() as nursery:
            try:
                connections = await nursery.start(self._hold, stopping)
                for listener in listeners:
                    nursery.start_soon(self._accept, listener, *connections)
                log.info(
                    "http_listening", addresses=[f"{host}:{port}" for host, port in self.addresses]
                )
                task_status.started(self.addresses)
                await trio.sleep_forever()
            finally:
                for listener in listeners:
                    listener.socket.close()
                stopping.set()

    async def _hold(
        self,
        stopping: trio.Event,
        *,
        task_status: trio.TaskStatus[tuple[trio.Nursery, WorkerContext]],
    ) -> None:
        """The home of the connections: shielded, so that a cancelled server stops in order.

        The shield begins with the handshake. Before it, a cancelled start would never return:
        its child is not cancelled, and nobody would set ``stopping``.
        """
        context = WorkerContext(None)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as connections:
                await trio.lowlevel.checkpoint_if_cancelled()
                task_status.started((connections, context))
                scope.shield = True
                await stopping.wait()
                self._drained = trio.Event()
                await context.terminated.set()  # hypercorn closes idle connections now
                with trio.move_on_after(self._limits.stop_s):
                    if self._connections:
                        await self._drained.wait()
                # Writes are shielded from cancellation: only a closed socket ends them.
                for connection in tuple(self._connections):
                    connection.cut()
                connections.cancel_scope.cancel()

    async def _accept(
        self, listener: trio.SocketListener, connections: trio.Nursery, context: WorkerContext
    ) -> None:
        while True:
            slot = object()
            await self._slots.acquire_on_behalf_of(slot)
            try:
                transport = await listener.accept()
            except OSError as error:
                self._slots.release_on_behalf_of(slot)
                if error.errno not in OUT_OF_FILES:
                    raise
                log.warning("out_of_files", errno=errno.errorcode[error.errno or 0])
                await trio.sleep(PAUSE_WHEN_OUT_OF_FILES_S)
            except BaseException:
                self._slots.release_on_behalf_of(slot)
                raise
            else:
                sock = socket.socket(fileno=transport.socket.detach())
                sock.setblocking(False)
                connections.start_soon(self._serve, sock, slot, context)

    async def _serve(self, sock: socket.socket, slot: object, context: WorkerContext) -> None:
        connection = Connection(self._app, self._config, context, sock, self._limits.patience)
        self._connections.add(connection)
        try:
            await connection.run()
        except Exception:  # one connection must not take the server, and all others, down
            log.exception("http_connection_failed")
        finally:
            connection.cut()
            self._slots.release_on_behalf_of(slot)
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
        log.error("http_server_failed", message=message, exc_info=sys.exception())


def _config(limits: ServerLimits) -> Config:
    config = Config()
    config.logger_class = _QuietLogger
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.header_bytes
    config.keep_alive_max_requests = limits.requests_per_connection
    return config
