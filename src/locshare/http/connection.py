"""One HTTP connection: hypercorn's protocol on a plain socket, with every wait bounded.

The time is one deadline that moves, a response leaves in one write, and a write waits only when the
socket is full.

- A request line and its headers arrive within the keep-alive time, which begins with the connection
  and again after each response.
- During a request something arrives every ``read_timeout_s``. The application's limits for a body
  and a response are shorter; this one ends a request that has none.
- A response is read in part every ``write_timeout_s``, and as a whole at
  ``_MIN_READ_BYTES_PER_S`` at least.
- After our close the client has ``_LINGER_S`` to read the last response.

A request that another server wants (``hand_over``) is not read: its socket goes to that server and
this connection ends. Only one that begins a read: not one sent before the answer to the last.

Whether the connection waits for its client is noted in the slots, whose owner may :meth:`cut` it
then to make room.
"""

import math
import socket
from contextlib import suppress
from typing import Final

import trio

from locshare.http.heads import Refused
from locshare.http.hypercorn_protocol import (
    Closed,
    Config,
    Event,
    H11Protocol,
    RawData,
    RequestTasks,
    Updated,
    WorkerContext,
    make_protocol,
)
from locshare.http.limits import ServerLimits
from locshare.http.strict_h11 import StrictConnection
from locshare.http.types import RESERVED, AsgiApp
from locshare.net.peeking import HandOver, peek_until
from locshare.net.slots import Slots

_READ_BYTES: Final = 65_536
_MIN_READ_BYTES_PER_S: Final = 1_000
"""A phone on GPRS reads 5,000. A client that reads less than this occupies a slot on purpose."""
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 262_144
"""Read and dropped after our close, from a client that still sends. Closing a socket with unread
bytes in it resets the connection, and the client loses our last response."""


class HttpConnection:
    """``sock`` is connected and non-blocking, and closed when :meth:`run` ends."""

    def __init__(
        self,
        app: AsgiApp,
        config: Config,
        context: WorkerContext,
        limits: ServerLimits,
        slots: "Slots[HttpConnection]",
        sock: socket.socket,
        *,
        client: tuple[str, int],
        server: tuple[str, int],
        hand_over: HandOver | None = None,
    ) -> None:
        self._app = app
        self._hand_over = hand_over
        self._config = config
        self._context = context
        self._limits = limits
        self._slots = slots
        self._sock = sock
        self._client = client
        self._server = server
        self.reserved = False
        """Whether it is for health checks only. Set before :meth:`run`."""
        self._h11 = StrictConnection(limits.head, limits.body_bytes)
        self._protocol: H11Protocol
        self._head = b""
        """Of a response, until there is something of its body to send with it."""
        self._writing = trio.Lock()
        self._idle = True
        self._time = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._hung_up = False
        """Our side of the connection is closed."""

    @property
    def refusal(self) -> Refused | None:
        """The rule of HTTP that the client broke, after which nothing more was read."""
        return self._h11.refusal

    async def run(self) -> None:
        """Serve until either side closes it. Raises the protocol's errors."""
        if not self._open:  # cut before it began
            return
        try:
            async with trio.open_nursery() as nursery:
                self._protocol = make_protocol(
                    self._config,
                    self._context,
                    RequestTasks(self._app, nursery, self._on_whole_request),
                    self._h11,
                    state={RESERVED: self.reserved},
                    client=self._client,
                    server=self._server,
                    send=self._on_event,
                )
                self._wait_for_request()
                nursery.start_soon(self._watch_time)
                await self._read()
                self._time.cancel()
        finally:
            self.cut()

    def cut(self) -> None:
        """Close the socket now, and wake whatever waits for it. Idempotent."""
        if self._open:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    @property
    def _open(self) -> bool:
        return self._sock.fileno() >= 0

    # --- time -------------------------------------------------------------------------------------

    def _wait_for_request(self) -> None:
        self._slots.mark_waiting(self)
        self._idle = True
        stopping = self._context.terminated.is_set()
        seconds = -math.inf if stopping else self._limits.keep_alive_s
        self._time.deadline = trio.current_time() + seconds

    def _expect_bytes(self) -> None:
        self._time.deadline = trio.current_time() + self._limits.read_timeout_s

    def _on_whole_request(self) -> None:
        self._slots.mark_busy(self)

    async def _watch_time(self) -> None:
        """Close the connection at its deadline, and when the server stops while it is idle."""
        with self._time:
            await self._context.terminated.wait()
            if not self._idle and not self._hung_up:  # it is closed after the response
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
                if self._hand_over is not None and await self._hands_over(self._hand_over):
                    break
                data = self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError):
                break
            if not self._idle:
                self._expect_bytes()
            await self._protocol.handle(RawData(data))
            if not data:
                break

    async def _hands_over(self, other: HandOver) -> bool:
        """Hand the socket to the ``other`` server if a request begins here that it wants. The time
        for a request's head bounds this too. Raises OSError.
        """
        if not self._idle or self._h11.trailing_data[0]:
            return False  # amid a request
        if not await peek_until(self._sock, other.judge):
            return False
        sock = socket.socket(fileno=self._sock.detach())
        sock.setblocking(False)
        other.take(sock, self._client)
        return True

    async def _linger(self) -> None:
        """Give the client time to read our last response, whatever it still sends."""
        taken = 0
        with trio.move_on_after(_LINGER_S), suppress(OSError, trio.ClosedResourceError):
            while self._open and taken < _LINGER_BYTES:
                await trio.lowlevel.wait_readable(self._sock)
                data = self._sock.recv(_READ_BYTES)
                if not data:
                    break
                taken += len(data)

    # --- out --------------------------------------------------------------------------------------

    async def _on_event(self, event: Event) -> None:
        """Carry out what the protocol asks for."""
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
                self._expect_bytes()
        elif isinstance(event, Closed):
            await self._write(b"")
            self._hang_up()
            await self._protocol.handle(Closed())

    async def _write(self, data: bytes) -> None:
        """Send the waiting head and ``data``. Cut the connection of a client that does not read."""
        if self._head:
            data, self._head = self._head + data, b""
        if not data:
            return
        try:
            sent = 0 if self._writing.locked() else self._send(data)
            if sent < len(data):
                # Not cancelled: the client would get half a response.
                with trio.CancelScope(shield=True):
                    async with self._writing:
                        await self._write_slowly(memoryview(data)[sent:])
        except (OSError, trio.ClosedResourceError):
            self.cut()
            await self._protocol.handle(Closed())

    async def _write_slowly(self, rest: memoryview) -> None:
        self._slots.mark_waiting(self)
        timeout_s = self._limits.write_timeout_s
        last = trio.current_time() + timeout_s + len(rest) / _MIN_READ_BYTES_PER_S
        while rest:
            deadline = min(last, trio.current_time() + timeout_s)
            with trio.CancelScope(deadline=deadline) as waiting:
                await trio.lowlevel.wait_writable(self._sock)
            if waiting.cancelled_caught:
                raise TimeoutError("the client does not read")
            rest = rest[self._send(rest) :]
        self._slots.mark_busy(self)

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def _hang_up(self) -> None:
        """Close our side. The reader closes the socket when the client has closed its side."""
        if self._hung_up:
            return
        self._hung_up = True
        self._slots.mark_waiting(self)
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # it is closed, or the client has closed it
            self.cut()
        if self._context.terminated.is_set():
            self.cut()
        self._reading.cancel()


def _is_head(data: bytes) -> bool:
    """Whether this begins a final response, of which something must follow: a body, or its end."""
    return data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1")
