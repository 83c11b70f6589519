"""One HTTP connection: hypercorn's protocol on a plain socket.

hypercorn's own connection does for each request what a short answer does not need: a task for the
idle time, a memory channel with a turn of the loop for each part of the request, a write for the
head and another for the body, a lock and a cancel scope around each. Here the time is one deadline
that moves, the parts wait in a list, and an answer leaves in one write that only waits when the
socket is full. What HTTP is, is hypercorn's affair.

Every wait is bounded:

- a request line and its headers arrive within the keep-alive time, which begins with the
  connection and again after each answer;
- while a request is under way, something arrives every ``read_timeout_s``: the application's limits
  for a body and an answer are shorter, so this ends what has none;
- an answer is read, at least in part, every ``write_timeout_s``.
"""

import math
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, cast

import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup
from hypercorn.utils import parse_socket_addr
from msgspec import Struct

log = structlog.get_logger()

_READ_BYTES: Final = 65_536
_PARTS: Final = 10
"""Of a request that may wait for the application; then nothing more is read from the socket."""


class Patience(Struct, frozen=True):
    """How long a client is waited for. Seconds."""

    keep_alive_s: float
    read_timeout_s: float
    write_timeout_s: float


class Connection:
    """``sock`` is connected and non-blocking, and closed when :meth:`run` ends."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        sock: socket.socket,
        patience: Patience,
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._sock = sock
        self._patience = patience
        self._protocol: ProtocolWrapper
        self._head = b""
        """Of an answer, until there is something of its body to send with it."""
        self._writing = trio.Lock()
        self._idle = True
        self._time = trio.CancelScope()

    async def run(self) -> None:
        """Serve until either side closes it. Raises what the protocol fails with."""
        try:
            client = parse_socket_addr(self._sock.family, self._sock.getpeername())
            server = parse_socket_addr(self._sock.family, self._sock.getsockname())
        except OSError:  # it is gone already
            self.cut()
            return
        try:
            async with trio.open_nursery() as nursery:
                self._protocol = ProtocolWrapper(
                    self._app,
                    self._config,
                    self._context,
                    cast("TaskGroup", _Requests(nursery)),
                    ConnectionState({}),
                    False,
                    client,
                    server,
                    self._take,
                )
                await self._protocol.initiate()
                self._wait_for_request()
                nursery.start_soon(self._watch)
                await self._read()
                self._time.cancel()
        finally:
            self.cut()

    def cut(self) -> None:
        """Close the socket now. Whoever waits for it is woken."""
        if self._open:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    @property
    def _open(self) -> bool:
        return self._sock.fileno() >= 0

    # --- time -------------------------------------------------------------------------------------

    def _wait_for_request(self) -> None:
        self._idle = True
        stopping = self._context.terminated.is_set()
        seconds = -math.inf if stopping else self._patience.keep_alive_s
        self._time.deadline = trio.current_time() + seconds

    async def _watch(self) -> None:
        """Close the connection when its time is over, or when the server stops while it is idle."""
        with self._time:
            await self._context.terminated.wait()
            while not self._idle:  # hypercorn closes it after the answer
                await trio.sleep_forever()
        if self._open:
            with trio.CancelScope(shield=True):
                await self._protocol.handle(Closed())
            self.cut()

    # --- in ---------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while self._open:
            try:
                await trio.lowlevel.wait_readable(self._sock)
                data = self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError):
                break
            if not self._idle:
                self._time.deadline = trio.current_time() + self._patience.read_timeout_s
            await self._protocol.handle(RawData(data))
            if not data:
                break
        await self._protocol.handle(Closed())

    # --- out --------------------------------------------------------------------------------------

    async def _take(self, event: Event) -> None:
        """What the protocol wants done."""
        if isinstance(event, RawData):
            if not self._head and _is_head(event.data):
                self._head = event.data
                return
            await self._write(event.data)
        elif isinstance(event, Updated):
            if event.idle:
                self._wait_for_request()
            else:
                self._idle = False
                self._time.deadline = trio.current_time() + self._patience.read_timeout_s
        elif isinstance(event, Closed):
            await self._write(b"")
            self._hang_up()
            await self._protocol.handle(Closed())

    async def _write(self, data: bytes) -> None:
        """Send what waits and ``data``; a client that does not read is cut."""
        if self._head:
            data, self._head = self._head + data, b""
        if not data:
            return
        try:
            sent = 0 if self._writing.locked() else self._send(data)
            if sent < len(data):
                # Not cancelled: half an answer would be all that the client gets.
                with trio.CancelScope(shield=True):
                    async with self._writing:
                        await self._write_slowly(memoryview(data)[sent:])
        except (OSError, trio.ClosedResourceError):
            self.cut()
            await self._protocol.handle(Closed())

    async def _write_slowly(self, rest: memoryview) -> None:
        while rest:
            with trio.move_on_after(self._patience.write_timeout_s) as waiting:
                await trio.lowlevel.wait_writable(self._sock)
            if waiting.cancelled_caught:
                raise TimeoutError("the client does not read")
            rest = rest[self._send(rest) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def _hang_up(self) -> None:
        """Say that nothing more comes, and close."""
        with suppress(OSError):  # it is closed, or the client has closed it
            self._sock.shutdown(socket.SHUT_WR)
        self.cut()


def _is_head(data: bytes) -> bool:
    """Whether this begins an answer, of which something must follow: a body, or its end."""
    return data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1")


class _Requests:
    """hypercorn's task group: a task for each request, in the connection's nursery."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,  # noqa: ARG002 - hypercorn's signature
        scope: Any,
        send: Callable[[Any], Awaitable[None]],
    ) -> Callable[[Any], Awaitable[None]]:
        """Start the application on a request. Returns where the request's parts are put."""
        parts = _Parts()
        self._nursery.start_soon(self._run, app, scope, parts, send)
        return parts.put

    def spawn(self, task: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a task of the protocol."""
        self._nursery.start_soon(task, *args)

    async def _run(
        self,
        app: AppWrapper,
        scope: Any,
        parts: "_Parts",
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        try:
            await app(scope, parts.get, send, trio.to_thread.run_sync, trio.from_thread.run)
        except BaseExceptionGroup as group:
            if group.split(trio.Cancelled)[1] is None:
                raise
            log.exception("http_application_failed")
        except Exception:  # one request must not take the connection down before it is answered
            log.exception("http_application_failed")
        finally:
            parts.close()
            await send(None)


class _Parts:
    """The parts of one request, on their way to the application."""

    __slots__ = ("_came", "_closed", "_taken", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()
        self._came = trio.lowlevel.ParkingLot()
        self._taken = trio.lowlevel.ParkingLot()
        self._closed = False

    async def put(self, part: Any) -> None:
        """Waits while too many do, but not with the last part: the one who tells of the end of a
        client may be the application itself, inside the sending of its answer.
        """
        if self._closed:
            return
        self._waiting.append(part)
        self._came.unpark_all()
        while (
            len(self._waiting) > _PARTS and not self._closed and part["type"] != "http.disconnect"
        ):
            await self._taken.park()

    async def get(self) -> Any:
        """The next part, when it has come."""
        while not self._waiting:
            await self._came.park()
        self._taken.unpark_all()
        return self._waiting.popleft()

    def close(self) -> None:
        """Nobody takes anything any more."""
        self._closed = True
        self._taken.unpark_all()
