"""WebSocket on a raw socket: the only file that knows which library speaks the protocol.

``websockets``' Sans-I/O ``ServerProtocol`` (its unmasking is C) reads what comes and decides what
the protocol demands: fragments, control frames between fragments, masking, sizes, the closing
handshake. This file moves the bytes. Bytes out go through the connection's
:class:`~locshare.broadcast.outbox.Outbox` and nowhere else once the upgrade is accepted; finished
text frames made by ``fanout`` go there without passing the protocol object, whose state a text
frame does not change.

One task per connection uses this, and there is no second reader and no queue between: what is not
asked for stays in the kernel, and TCP slows the sender down. Awaits happen in
:meth:`Transport.accept_handshake`, in :meth:`Upgrade.accept` and :meth:`Upgrade.reject`, and in
:meth:`Transport.receive`; each is a checkpoint wherever it has to wait, and a cancelled one loses
no bytes that a later call could still use.

Reading waits first and then reads once: a phone that sends every two seconds then costs one
``recv`` for each update instead of two, and one that sends without pause gets one ``recv`` in each
turn of the loop, like everyone else.
"""

import contextlib
import json
import logging
import socket
import struct
from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import trio
from msgspec import Struct
from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import InvalidHeader
from websockets.frames import Frame, Opcode
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from locshare.broadcast.backlog import Control
from locshare.broadcast.outbox import Outbox
from locshare.errors import CloseReason, LocshareError

PING_FRAME: Final = b"\x89\x00"

_READ_BYTES = 16 * 1024
_PONG_FIRST_BYTE = 0x80 | Opcode.PONG

# The library logs headers (tokens) and payloads (positions) when its logger allows it. This one is
# outside the hierarchy of loggers, so that no logging configuration can wake it.
_SILENT = logging.Logger("locshare.websocket")  # noqa: LOG001 - on purpose, see above
_SILENT.disabled = True


class TransportLimits(Struct, frozen=True):
    """Bytes and seconds."""

    max_message_bytes: int = 4 * 1024
    """A longer message is reported as :class:`TooLarge` and the connection lives on."""
    hard_message_bytes: int = 64 * 1024
    """A longer message ends the connection with 1009: it is not read to its end."""
    max_handshake_bytes: int = 16 * 1024
    handshake_deadline: float = 10.0
    send_buffer_bytes: int = 64 * 1024
    """SO_SNDBUF. The kernel would grow it to megabytes for a slow phone, and all of that would be
    old positions that it must read before the newest one."""


DEFAULT_LIMITS: Final = TransportLimits()


class ConnectionLost(LocshareError):
    """The peer went away, or fell silent, during the handshake."""


class NotAnUpgrade(LocshareError):
    """The request was no WebSocket upgrade; the answer with ``status`` has been sent."""

    def __init__(self, status: int) -> None:
        super().__init__(f"not a WebSocket upgrade (answered {status})")
        self.status = status


class TooLarge(Struct, frozen=True):
    """A message beyond ``max_message_bytes`` came, and was dropped."""

    size: int


class Closed(Struct, frozen=True):
    """Nothing more will come."""

    reason: CloseReason


class ControlFrame(Struct, frozen=True):
    """A ping or pong came (a ping has been answered). Reported so that it can be counted."""


CONTROL_FRAME: Final = ControlFrame()

Received = str | bytes | TooLarge | ControlFrame | Closed


class Upgrade:
    """A valid request to upgrade, not yet answered: call ``accept`` or ``reject`` once."""

    def __init__(self, transport: "Transport", request: Request, response: Response) -> None:
        self._transport = transport
        self._response = response
        url = urlsplit(request.path)
        self.path: str = url.path
        self.query: Mapping[str, str] = dict(parse_qsl(url.query, max_num_fields=32))
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in request.headers.raw_items()
        }
        self.origin: str | None = self.headers.get("origin")
        """Set by browsers only: their scripts cannot see an HTTP status."""
        self.subprotocols: tuple[str, ...] = tuple(
            name
            for value in request.headers.get_all("Sec-WebSocket-Protocol")
            for name in parse_subprotocol(value)
        )

    async def accept(self, subprotocol: str | None = None) -> None:
        """Answer 101. Raises ConnectionLost."""
        if subprotocol is not None:
            self._response.headers["Sec-WebSocket-Protocol"] = subprotocol
            self._transport.protocol.subprotocol = Subprotocol(subprotocol)
        await self._transport.respond(self._response)

    async def reject(
        self, status: int, problem: Mapping[str, object], retry_after: int | None = None
    ) -> None:
        """Answer ``status`` with ``problem`` as application/problem+json. Raises ConnectionLost."""
        await self._transport.respond(_problem(self._transport, status, problem, retry_after))


class Transport:
    """One accepted, non-blocking socket and the protocol state on it.

    The owner calls :meth:`close` in the end, whatever happened; nothing else closes the socket.
    """

    __slots__ = (
        "_ended", "_failed", "_limits", "_messages", "_outbox", "_partial", "_partial_is_text",
        "_sock", "bytes_in", "heard", "protocol",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, limits: TransportLimits = DEFAULT_LIMITS) -> None:
        self._sock = sock
        self._limits = limits
        self.protocol = ServerProtocol(max_size=limits.hard_message_bytes, logger=_SILENT)
        self._outbox: Outbox | None = None
        self._messages: deque[Received] = deque()
        self._partial: bytearray | None = None  # the fragments so far of one message
        self._partial_is_text = True
        self._failed = False  # text that is not UTF-8 came; what follows it is not processed
        self._ended: Closed | None = None
        self.bytes_in = 0
        self.heard = True
        """Set whenever bytes came; the heartbeat clears it."""

    # --- handshake ------------------------------------------------------------------------------

    async def accept_handshake(self) -> Upgrade:
        """Read the request. Raises ConnectionLost; NotAnUpgrade after answering with a 4xx."""
        received = 0
        while True:
            data = await self._read()
            received += len(data)
            if not data:
                raise ConnectionLost("the peer closed during the handshake")
            self.protocol.receive_data(data)
            events = self.protocol.events_received()
            if len(events) > 1:  # RFC 6455 section 4.1: nothing is sent before the answer came
                await self._refuse(400, "frames before the handshake was answered")
            if events and isinstance(events[0], Request):
                return await self._check(events[0])
            if self.protocol.eof_sent:
                status = _status_of(self.protocol) or 400
                await self._refuse(status, "not a WebSocket handshake")
            elif received > self._limits.max_handshake_bytes:
                await self._refuse(431, "the request's head is too large")

    async def _check(self, request: Request) -> Upgrade:
        response = self.protocol.accept(request)
        if response.status_code != 101:
            await self._refuse(response.status_code, _TITLES.get(response.status_code, "refused"))
        try:
            return Upgrade(self, request, response)
        except (ValueError, InvalidHeader, MultipleValuesError):
            await self._refuse(400, "malformed query or subprotocol")
            raise

    async def _refuse(self, status: int, detail: str) -> None:
        problem = {
            "type": "about:blank",
            "title": _TITLES.get(status, "Bad Request"),
            "status": status,
            "code": "BAD_HANDSHAKE",
            "detail": detail,
        }
        await self.respond(_problem(self, status, problem, None))
        raise NotAnUpgrade(status)

    async def respond(self, response: Response) -> None:
        """Write an answer to the request, before there is an outbox. Raises ConnectionLost."""
        if response.status_code == 101:
            self.protocol.send_response(response)
            data = b"".join(self.protocol.data_to_send())
        else:
            data = response.serialize()
        while data:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError:
                raise ConnectionLost("the peer closed during the handshake") from None
            else:
                data = data[sent:]
        if response.status_code != 101:
            self.end_of_writing()

    async def linger(self) -> None:
        """Read and forget until the peer closes, so that closing does not destroy the answer that
        is still on its way to it. The caller bounds the time.
        """
        while await self._read():
            pass

    # --- messages -------------------------------------------------------------------------------

    def bind(self, outbox: Outbox) -> None:
        """From now on what the protocol has to say goes out through ``outbox``."""
        self._outbox = outbox

    async def receive(self) -> Received:
        """The next whole message, or what else the connection has to know of.

        After the outbox was told to close, only :class:`Closed` comes: when the peer answered the
        close, or closed the socket. Messages until then are dropped. Once it came it comes
        again at every call.
        """
        messages = self._messages
        while not messages:
            if self._ended is not None:
                return self._ended
            data = await self._read()
            if data:
                self.heard = True
                self.bytes_in += len(data)
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            for event in self.protocol.events_received():
                if type(event) is Frame:
                    self._take(event)
            self._write_replies()
            if not data:
                self._end(CloseReason.PEER_GONE)
        return messages.popleft()

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                self._deliver(frame.data, opcode is Opcode.TEXT)
            else:
                self._partial = bytearray(frame.data)
                self._partial_is_text = opcode is Opcode.TEXT
        elif opcode is Opcode.CONT:
            if self._partial is None:
                return
            self._partial += frame.data
            if frame.fin:
                partial, self._partial = self._partial, None
                self._deliver(partial, self._partial_is_text)
        elif opcode is Opcode.CLOSE:
            # The protocol has written the echo, unless we closed first; see _write_replies.
            self._end(CloseReason.PEER_CLOSED)
        else:
            self._messages.append(CONTROL_FRAME)

    def _end(self, reason: CloseReason) -> None:
        if self._ended is None:
            self._ended = Closed(reason)

    def _deliver(self, payload: bytes | bytearray | memoryview, is_text: bool) -> None:
        if self._outbox is None or self._outbox.closed or self._failed:
            return
        if len(payload) > self._limits.max_message_bytes:
            self._messages.append(TooLarge(len(payload)))
        elif not is_text:
            self._messages.append(bytes(payload))
        else:
            try:
                self._messages.append(str(payload, "utf-8"))
            except UnicodeDecodeError:
                self._failed = True
                self.protocol.fail(CloseReason.INVALID_DATA.code, CloseReason.INVALID_DATA.text)

    def _write_replies(self) -> None:
        """Pass what the protocol wants to say to the outbox: pongs, close frames, its verdict."""
        writes = self.protocol.data_to_send()
        if not writes or self._outbox is None:
            return
        for data in writes:
            if data is SEND_EOF or not data:
                continue  # the outbox half-closes when it has written all
            if data[0] == _PONG_FIRST_BYTE:
                self._outbox.send_control(Control.PONG, data)
            else:
                self._outbox.finish(self._verdict(), data)

    def _verdict(self) -> CloseReason:
        """Why the protocol sent a close frame of its own accord."""
        sent = self.protocol.close_sent
        if self.protocol.close_rcvd is not None and self.protocol.parser_exc is None:
            return CloseReason.PEER_CLOSED
        return _VERDICTS.get(sent.code if sent else 0, CloseReason.PROTOCOL_ERROR)

    async def _read(self) -> bytes:
        """What came, or nothing at the end of the stream (a reset counts as one)."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._sock)
                return self._sock.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return b""

    # --- what an Outbox needs (broadcast.outbox.Wire) ------------------------------------------

    def send(self, data: bytes, /) -> int:
        """See :meth:`locshare.broadcast.outbox.Wire.send`."""
        return self._sock.send(data)

    async def wait_writable(self) -> None:
        """See :meth:`locshare.broadcast.outbox.Wire.wait_writable`."""
        await trio.lowlevel.wait_writable(self._sock)

    def close_frame(self, reason: CloseReason) -> bytes:
        """See :meth:`locshare.broadcast.outbox.Wire.close_frame`."""
        if self.protocol.state is not State.OPEN:
            return b""
        self.protocol.send_close(reason.code, reason.text)
        return b"".join(self.protocol.data_to_send())

    def end_of_writing(self) -> None:
        """See :meth:`locshare.broadcast.outbox.Wire.end_of_writing`."""
        with contextlib.suppress(OSError):  # the peer was faster
            self._sock.shutdown(socket.SHUT_WR)

    def close(self, *, abort: bool = False) -> None:
        """Close the socket; a task that waits for it wakes with ClosedResourceError.

        ``abort`` throws away what the kernel has not sent (a reset) instead of keeping it for a
        peer that does not read.
        """
        if self._sock.fileno() < 0:
            return
        if abort:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()


def prepare_listening_socket(sock: socket.socket, limits: TransportLimits) -> None:
    """Options that accepted sockets inherit, which saves two system calls for each of them."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)


_VERDICTS = {
    reason.code: reason
    for reason in (
        CloseReason.PROTOCOL_ERROR,
        CloseReason.INVALID_DATA,
        CloseReason.MESSAGE_TOO_BIG,
        CloseReason.INTERNAL_ERROR,
    )
}

_TITLES = {
    400: "Bad Request",
    405: "Method Not Allowed",
    414: "URI Too Long",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}


def _status_of(protocol: ServerProtocol) -> int | None:
    """The status of the answer that the protocol wrote of its own accord, if it did."""
    head = b"".join(protocol.data_to_send())[:12]
    return int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else None


def _problem(
    transport: Transport, status: int, problem: Mapping[str, object], retry_after: int | None
) -> Response:
    body = json.dumps(problem).encode()
    headers = Headers(
        [
            ("Content-Type", "application/problem+json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
    )
    if status == 405:
        headers["Allow"] = "GET"
    if status == 426:
        headers["Upgrade"] = "websocket"
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    response = transport.protocol.reject(status, "")
    response.headers = headers
    response.body = body
    return response
