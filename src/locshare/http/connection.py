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
- an answer is read, at least in part, every ``write_timeout_s``, and as a whole at
  ``_SLOWEST_BYTES_PER_S`` at least;
- after our close the client has ``_LINGER_S`` to read the last answer.

Whether it waits for its client is told to whoever holds it (``Watcher``), who may :meth:`cut` it
then to make room.
"""

import math
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup
from hypercorn.utils import parse_socket_addr
from msgspec import Struct

from locshare.http.heads import HeadLimits, Refused
from locshare.http.protocol import Http1
from locshare.http.types import RESERVED
from locshare.telemetry.unexpected import log_unexpected

_READ_BYTES: Final = 65_536
_PARTS: Final = 10
"""Of a request that may wait for the application; then nothing more is read from the socket."""


_SLOWEST_BYTES_PER_S: Final = 1_000
"""A client on GPRS reads 5,000; who reads less than this holds a connection for its own sake."""
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 262_144
"""What is still taken, and thrown away, of a client that sends while it is being closed: closing a
socket with unread bytes in it resets the connection, and the client loses our last answer."""


class Patience(Struct, frozen=True):
    """How long a client is waited for, in seconds, and how much is taken from it, in bytes."""

    keep_alive_s: float
    read_timeout_s: float
    write_timeout_s: float
    head: HeadLimits
    body_bytes: int


class Watcher(Protocol):
    """Who is told when a connection begins and ends to wait for its client."""

    def waits(self, connection: "Connection", /) -> None:
        """It waits for its client: for a request, or for an answer to be read."""

    def works(self, connection: "Connection", /) -> None:
        """A whole request is there, and it is our turn."""


class Connection:
    """``sock`` is connected and non-blocking, and closed when :meth:`run` ends. ``client`` is its
    peer.
    """

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        sock: socket.socket,
        client: tuple[str, int] | None,
        patience: Patience,
        watcher: Watcher,
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._sock = sock
        self._client = client
        self._patience = patience
        self._watcher = watcher
        self.reserved = False
        """Whether it is for health checks only. Set before :meth:`run`."""
        self.refusal: Refused | None = None
        """Why nothing more was read from it, if it broke the rules of HTTP."""
        self._protocol: Http1
        self._head = b""
        """Of an answer, until there is something of its body to send with it."""
        self._writing = trio.Lock()
        self._idle = True
        self._time = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._hung_up = False
        """We have said that nothing more comes."""

    async def run(self) -> None:
        """Serve until either side closes it. Raises what the protocol fails with."""
        try:
            server = parse_socket_addr(self._sock.family, self._sock.getsockname())
        except OSError:  # it is gone already
            self.cut()
            return
        try:
            async with trio.open_nursery() as nursery:
                self._protocol = Http1(
                    self._app,
                    self._config,
                    self._context,
                    cast("TaskGroup", _Requests(nursery, self._has_come)),
                    ConnectionState({RESERVED: self.reserved}),
                    False,
                    self._client,
                    server,
                    self._take,
                )
                self._protocol.bound(self._patience.head, self._patience.body_bytes)
                self._wait_for_request()
                nursery.start_soon(self._watch)
                await self._read()
                self.refusal = self._protocol.connection.refusal
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
        self._watcher.waits(self)
        self._idle = True
        stopping = self._context.terminated.is_set()
        seconds = -math.inf if stopping else self._patience.keep_alive_s
        self._time.deadline = trio.current_time() + seconds

    def _has_come(self) -> None:
        """The whole of a request is there."""
        self._watcher.works(self)

    async def _watch(self) -> None:
        """Close the connection when its time is over, or when the server stops while it is idle."""
        with self._time:
            await self._context.terminated.wait()
            while not self._idle and not self._hung_up:  # it is closed after the answer
                await trio.sleep_forever()
        if self._open:
            with trio.CancelScope(shield=True):
                await self._protocol.handle(Closed())
            self.cut()

    # --- in ---------------------------------------------------------------------------------------

    async def _read(self) -> None:
        with self._reading:
            await self._read_requests()
        await self._protocol.handle(Closed())
        if self._hung_up:
            await self._linger()

    async def _read_requests(self) -> None:
        while self._open and not self._hung_up:
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

    async def _linger(self) -> None:
        """Give the client time to read our last answer, whatever it still sends."""
        taken = 0
        with trio.move_on_after(_LINGER_S), suppress(OSError, trio.ClosedResourceError):
            while self._open and taken < _LINGER_BYTES:
                await trio.lowlevel.wait_readable(self._sock)
                data = self._sock.recv(_READ_BYTES)
                if not data:
                    break
                taken += len(data)

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
        self._watcher.waits(self)
        last = trio.current_time() + self._patience.write_timeout_s
        last += len(rest) / _SLOWEST_BYTES_PER_S
        while rest:
            deadline = min(last, trio.current_time() + self._patience.write_timeout_s)
            with trio.CancelScope(deadline=deadline) as waiting:
                await trio.lowlevel.wait_writable(self._sock)
            if waiting.cancelled_caught:
                raise TimeoutError("the client does not read")
            rest = rest[self._send(rest) :]
        self._watcher.works(self)

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def _hang_up(self) -> None:
        """Say that nothing more comes; the reader closes the socket when the client has too."""
        if self._hung_up:
            return
        self._hung_up = True
        self._watcher.waits(self)
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # it is closed, or the client has closed it
            self.cut()
        if self._context.terminated.is_set():
            self.cut()
        self._reading.cancel()


def _is_head(data: bytes) -> bool:
    """Whether this begins an answer, of which something must follow: a body, or its end."""
    return data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1")


class _Requests:
    """hypercorn's task group: a task for each request, in the connection's nursery."""

    def __init__(self, nursery: trio.Nursery, has_come: Callable[[], None]) -> None:
        self._nursery = nursery
        self._has_come = has_come

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,  # noqa: ARG002 - hypercorn's signature
        scope: Any,
        send: Callable[[Any], Awaitable[None]],
    ) -> Callable[[Any], Awaitable[None]]:
        """Start the application on a request. Returns where the request's parts are put."""
        parts = _Parts(self._has_come)
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
            log_unexpected("http_application_failed", group)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request is answered
            log_unexpected("http_application_failed", error)
        finally:
            parts.close()
            await send(None)


class _Parts:
    """The parts of one request, on their way to the application."""

    __slots__ = ("_came", "_closed", "_has_come", "_taken", "_waiting")

    def __init__(self, has_come: Callable[[], None]) -> None:
        self._has_come = has_come
        self._waiting: deque[Any] = deque()
        self._came = trio.lowlevel.ParkingLot()
        self._taken = trio.lowlevel.ParkingLot()
        self._closed = False

    async def put(self, part: Any) -> None:
        """Waits while too many do, but not with the last part: the one who tells of the end of a
        client may be the application itself, inside the sending of its answer.
        """
        if part["type"] == "http.request" and not part["more_body"]:
            self._has_come()
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
