"""WebSocket on a raw socket: the only file that knows which library speaks the protocol.

``websockets``' Sans-I/O ``ServerProtocol`` decides what the protocol demands: the handshake,
fragments, control frames between fragments, masking, sizes, the answer to a close frame. This file
moves bytes and reports what came; it answers nothing by itself once the upgrade is accepted. What
goes out passes through the connection's :class:`~locshare.broadcast.outbox.Outbox`, and when the
connection closes is decided elsewhere (:mod:`locshare.connection.lifecycle`).

A whole text frame is unmasked here (see ``framing``), and the protocol object exists only while it
has something to judge. An idle connection has none, which saves a third of its memory. Invariant
between two calls: ``_protocol`` is None unless a fragmented message is under way or the peer's
frames have come to their end.

One task per connection uses this, and there is no queue between: what is not asked for stays in
the kernel, and TCP slows the sender down. While that task waits for a message, and for nothing
else, the reader (:mod:`locshare.connection.reader`) reads in its place and hands what came to the
connection's plain function. So nothing overtakes: as long as the task is at work the reader leaves
the socket alone, and from the first message on that the plain function has not finished, all that
was read waits for the task. Awaits happen in
:meth:`Transport.accept_handshake`, in :meth:`Upgrade.accept` and :meth:`Upgrade.reject`, in
:meth:`Transport.receive` and :meth:`Transport.discard`; each is a checkpoint wherever it has to
wait, and a cancelled one loses no bytes that a later call could still use.

Reading waits first and then reads once: a phone that sends every two seconds then costs one
``recv`` for each update instead of two, and one that sends without pause gets one ``recv`` in each
turn of the loop, like everyone else.
"""

import contextlib
import logging
import math
import socket
import struct
from collections.abc import Callable
from typing import Final

import outcome
import trio
from trio.lowlevel import Abort, Task
from websockets.datastructures import MultipleValuesError
from websockets.exceptions import InvalidHeader
from websockets.frames import Close, Frame, Opcode
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from locshare.connection.framing import (
    INCOMPLETE,
    UNUSUAL,
    frame_end,
    payload_start,
    text_start,
)
from locshare.connection.reader import Reader
from locshare.connection.received import (
    NO_MESSAGE,
    PEER_GONE,
    STOPPED,
    UNFINISHED,
    Handler,
    PeerClosed,
    Pinged,
    Received,
    TooLarge,
    Violation,
)
from locshare.connection.transport_limits import DEFAULT_LIMITS, TransportLimits
from locshare.connection.upgrade import (
    BAD_HANDSHAKE,
    ConnectionLost,
    NotAnUpgrade,
    Upgrade,
    empty_input,
    lost_on_the_way,
    problem_response,
    status_of,
)
from locshare.model.reasons import CloseReason

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the library's C extension
    from websockets.utils import apply_mask

PING_FRAME: Final = b"\x89\x00"

_READ_BYTES = 4 * 1024
"""The most that one turn of the loop reads from one client, so that none delays all others: this
many bytes of the smallest frames, pings, take 8 ms."""
_TEXT_FINAL = 0x80 | Opcode.TEXT
_BINARY_FINAL = 0x80 | Opcode.BINARY
_CLOSE_FINAL = 0x80 | Opcode.CLOSE
_PING_FINAL = 0x80 | Opcode.PING
_PONG_FINAL = 0x80 | Opcode.PONG
_LONGEST_CONTROL = 0x80 | 125
_OPCODE = 0x0F

# The library logs headers (tokens) and payloads (positions) when its logger allows it. This one is
# outside the hierarchy of loggers, so that no logging configuration can wake it.
_SILENT = logging.Logger("locshare.websocket")  # noqa: LOG001 - on purpose, see above
_SILENT.disabled = True


class Transport:
    """One accepted, non-blocking socket and its protocol state. The owner must call :meth:`close`;
    nothing else closes the socket.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_close_came",
        "_frame_due",
        "_handler",
        "_in_set",
        "_limits",
        "_message_due",
        "_messages",
        "_parked",
        "_partial",
        "_partial_is_text",
        "_pong",
        "_protocol",
        "_reader",
        "_sock",
        "_tail",
        "_unsound",
        "bytes_in",
        "heard",
        "send",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, limits: TransportLimits = DEFAULT_LIMITS) -> None:
        self._sock = sock
        self.send = sock.send
        """See :attr:`locshare.broadcast.outbox.OutboxSocket.send`."""
        self._limits = limits
        self._answer: Response | None = None  # 101, until it is given or the request is refused
        self._protocol: ServerProtocol | None = None
        self._messages: list[Received] = []
        self._tail = b""  # the beginning of an incomplete frame
        self._partial: bytearray | None = None  # the fragments so far of one message
        self._partial_is_text = True
        self._frame_due = math.inf  # the deadline of the incomplete frame
        self._message_due = math.inf  # and that of the fragmented message
        self._pong = b""  # the answer to the newest ping, not yet reported
        self._close_came = False  # the peer's close frame
        self._unsound = False  # the input cannot be cut into frames
        self._reader: Reader | None = None
        self._handler: Handler | None = None
        self._parked: Task | None = None  # the connection's, while the reader may read for it
        self._in_set = False  # the reader's; also for a while when the task is at work
        self.bytes_in = 0
        self.heard = True
        """Set whenever bytes came; the heartbeat clears it."""

    # --- handshake ------------------------------------------------------------------------------

    async def accept_handshake(self, progress: Callable[[], None] = lambda: None) -> Upgrade:
        """Read the request. Calls ``progress`` whenever a part of it came and more is needed.

        Raises ConnectionLost, and NotAnUpgrade after sending a 4xx response. Cancelled: the request
        is half read, and :meth:`reject` may be called.
        """
        protocol = ServerProtocol(logger=_SILENT)
        received = 0
        while True:
            data = await self._read()
            received += len(data)
            if not data:
                raise ConnectionLost("the peer closed during the handshake")
            protocol.receive_data(data)
            events = protocol.events_received()
            if len(events) > 1 or (events and protocol.reader.buffer):
                # RFC 6455 section 4.1: nothing is sent before the answer came.
                await self._refuse(400, "frames before the handshake was answered")
            if events and isinstance(events[0], Request):
                return await self._check(protocol, events[0])
            if protocol.eof_sent:
                await self._refuse(
                    status_of(b"".join(protocol.data_to_send())) or 400, "not a WebSocket handshake"
                )
            elif received > self._limits.max_handshake_bytes:
                await self._refuse(431, "the request's head is too large")
            progress()

    async def _check(self, protocol: ServerProtocol, request: Request) -> Upgrade:
        response = protocol.accept(request)
        if response.status_code != 101:
            if response.status_code in (426, 505):
                lost = lost_on_the_way(request.protocol, request.headers.raw_items())
                if lost is not None:
                    await self._refuse(426, lost)
            await self._refuse(response.status_code)
        self._answer = response
        headers = request.headers
        try:
            offered = headers.get_all("Sec-WebSocket-Protocol")
            subprotocols = [name for value in offered for name in parse_subprotocol(value)]
            return Upgrade(self, request.path, list(headers.raw_items()), subprotocols)
        except (ValueError, InvalidHeader, MultipleValuesError):
            await self._refuse(400, "malformed query or subprotocol")
            raise

    async def _refuse(self, status: int, detail: str = "") -> None:
        await self.reject(problem_response(status, BAD_HANDSHAKE, detail))
        raise NotAnUpgrade(status)

    async def accept(self, subprotocol: str | None) -> None:
        """See :meth:`Upgrade.accept`."""
        answer, self._answer = self._answer, None
        if answer is None:
            raise RuntimeError("there is no request that could be accepted")
        if subprotocol is not None:
            answer.headers["Sec-WebSocket-Protocol"] = subprotocol
        await self._respond(answer.serialize())

    async def reject(self, response: bytes) -> None:
        """Send an HTTP response instead of an upgrade; nothing follows. The request need not have
        arrived. Raises ConnectionLost.
        """
        self._unsound = True  # it speaks HTTP
        await self._respond(response)
        self.shut_writing()

    async def _respond(self, data: bytes) -> None:
        """Write the response, before there is an outbox. Raises ConnectionLost."""
        while data:
            try:
                data = data[self.send(data) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError:
                raise ConnectionLost("the peer closed during the handshake") from None

    # --- messages -------------------------------------------------------------------------------

    async def receive(self, *, alone: bool = False) -> Received:
        """The next whole message, or another event, in order; a ping comes first of those read with
        it. STOPPED, once, after :meth:`stop`. Cancelled: no input is lost.

        ``alone`` leaves the socket to this task, also where there is a reader.
        """
        messages = self._messages
        while not messages:
            if self._tail or self._partial is not None:
                data = await self._read_in_time()
                if data is None:
                    return messages.pop(0) if messages else UNFINISHED
            elif not alone and self._reader is not None and self._reader.serving:
                await self._park(self._reader)
                continue
            else:
                data = await self._read()
            if data:
                self.heard = True
                self.bytes_in += len(data)
            elif not messages:
                return PEER_GONE
            if messages:  # STOPPED meanwhile: `discard` looks for the close frame
                self._tail += data
            else:
                self._digest(data)
        return messages.pop(0)

    # --- the reader (connection.reader.Readable) ------------------------------------------------

    def attach_reader(self, reader: Reader, handler: Handler) -> None:
        """From now on ``reader`` reads while the task waits in :meth:`receive`, and ``handler``
        has the first look at what came.
        """
        self._reader = reader
        self._handler = handler

    def detach_reader(self) -> None:
        """The task alone reads. Before the socket is closed. Idempotent."""
        if self._in_set and self._reader is not None:
            self._reader.remove(self._sock.fileno())
            self._in_set = False
        self._reader = self._handler = None

    async def _park(self, reader: Reader) -> None:
        """Wait until the reader has left something to this task, or has ended."""
        if not self._in_set:
            try:
                reader.add(self._sock.fileno(), self)
            except OSError:  # the kernel has no room for it
                self.detach_reader()
                return
            self._in_set = True
        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _raise_cancel: object) -> Abort:
        self._parked = None
        return Abort.SUCCEEDED

    def _wake(self, error: Exception | None = None) -> None:
        task, self._parked = self._parked, None
        if task is not None:
            trio.lowlevel.reschedule(task, outcome.Error(error) if error else outcome.Value(None))

    def reader_ended(self) -> None:
        """See :meth:`locshare.connection.reader.Readable.reader_ended`."""
        self._in_set = False
        self._wake()

    def read_ready(self) -> bool:
        """See :meth:`locshare.connection.reader.Readable.read_ready`."""
        handler = self._handler
        if self._parked is None or handler is None:
            self._in_set = False
            return False
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:  # a reset counts as an end
            data = b""
        try:
            self._handle(data, handler)
        except Exception as error:  # noqa: BLE001 - raised in the connection's task
            self._wake(error)
        else:
            if self._messages or self._tail or self._partial is not None:
                self._wake()
        return True

    def _handle(self, data: bytes, handler: Handler) -> None:
        """What the reader found, as far as it needs no wait. The rest is left in ``_messages``."""
        messages = self._messages
        if data:
            self.heard = True
            self.bytes_in += len(data)
        if messages:  # STOPPED meanwhile: `discard` looks for the close frame
            self._tail += data
            return
        start = text_start(data, self._limits.max_message_bytes)
        if start:
            self._deliver(apply_mask(data[start:], data[start - 4 : start]), True)
        elif data:
            self._digest(data)
        else:
            messages.append(PEER_GONE)
        while messages:
            left = handler(messages.pop(0))
            if left is not None:
                messages.insert(0, left)
                return

    def stop(self) -> None:
        """Hand out no further message, not even one already read."""
        self._messages[:] = (STOPPED,)

    async def _read_in_time(self) -> bytes | None:
        """The next bytes of a message already begun. None when its deadline passes."""
        due = min(self._frame_due if self._tail else math.inf, self._message_due)
        with trio.move_on_at(due):
            return await self._read()
        return None

    async def discard(self) -> bool:
        """Discard what the peer sends after our close or refusal. Returns True once its close frame
        has come, False at the end of its stream.

        Closing the socket with input unread resets it, which may destroy our close frame on its
        way. After ``discard_bytes`` nothing more is read and this waits for ever: TCP stops the
        peer, which still has time to read. The caller bounds the time.
        """
        came, self._tail = self._tail, b""
        left = self._limits.discard_bytes
        while not self._find_close(came):
            if left <= 0:
                await trio.sleep_forever()
            came = await self._read(min(left, _READ_BYTES))
            if not came:
                return False
            self.bytes_in += len(came)
            left -= len(came)
        return True

    def _find_close(self, data: bytes) -> bool:
        """True when the peer's close frame is in ``data`` or came before. Reads headers only."""
        if self._close_came or self._unsound:
            return self._close_came
        data = self._tail + data
        self._tail = b""
        start, size, limit = 0, len(data), self._limits.hard_message_bytes
        while start < size:
            end = frame_end(data, start, limit)
            if end == UNUSUAL:
                self._unsound = True
                return False
            if end == INCOMPLETE:
                self._tail = data[start:]
                return False
            if data[start] & _OPCODE == Opcode.CLOSE:
                self._close_came = True
                return True
            start = end
        return False

    def _digest(self, data: bytes) -> None:
        """Cut ``data`` into frames. Handle the plain ones here; pass others to the protocol object.

        In order, so that what was sent before a close counts. Stops at the first frame that closes
        the connection.
        """
        goes_on = False
        if self._tail:
            data = self._tail + data
            self._tail = b""
            goes_on = True
        start, size, limit = 0, len(data), self._limits.hard_message_bytes
        going = True
        while start < size and going:
            end = frame_end(data, start, limit)
            if end == INCOMPLETE:
                self._tail = data[start:]
                if start or not goes_on:
                    self._frame_due = trio.current_time() + self._limits.message_deadline
                break
            first = data[start]
            if end == UNUSUAL:
                end = size
                going = self._ask_protocol(data[start:])
            elif first == _TEXT_FINAL and self._partial is None:
                payload = payload_start(data, start)
                going = self._deliver(
                    apply_mask(data[payload:end], data[payload - 4 : payload]), True
                )
            elif first == _BINARY_FINAL and self._partial is None:
                payload = payload_start(data, start)
                going = self._deliver(
                    apply_mask(data[payload:end], data[payload - 4 : payload]), False
                )
            elif first == _PONG_FINAL and data[start + 1] <= _LONGEST_CONTROL:
                self._messages.append(NO_MESSAGE)
            elif first == _PING_FINAL and data[start + 1] <= _LONGEST_CONTROL:
                payload = start + 6
                answer = apply_mask(data[payload:end], data[payload - 4 : payload])
                self._pong = bytes((_PONG_FINAL, len(answer))) + answer
                self._messages.append(NO_MESSAGE)
            else:
                going = self._ask_protocol(data[start:end])
            start = end
        if not going:
            self._tail = data[start:]
        elif self._pong:
            self._report_ping()

    def _report_ping(self) -> None:
        """Report only the newest of those that came together (RFC 6455 section 5.5.3), so that a
        flood of pings is not answered with a flood. It goes first: handling a message may wait.
        """
        self._messages.insert(0, Pinged(self._pong))
        self._pong = b""

    def _drop_partial(self) -> None:
        """Forget the fragments so far. A close may come between fragments, as any control frame
        (RFC 6455 section 5.4); ``websockets`` takes that for a breach of the protocol.
        """
        if self._partial is not None:
            self._partial = self._protocol = None
            self._message_due = math.inf

    def _ask_protocol(self, data: bytes) -> bool:
        """Pass whole frames, or ones to be refused, to the protocol object and report the outcome.
        False when nothing more is to be read.
        """
        if data[0] == _CLOSE_FINAL:
            self._drop_partial()
        protocol = self._current_protocol()
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._take(event):
                return False
        return self._report_replies(protocol)

    def _current_protocol(self) -> ServerProtocol:
        if self._protocol is None:
            self._protocol = ServerProtocol(
                state=State.OPEN, max_size=self._limits.hard_message_bytes, logger=_SILENT
            )
        return self._protocol

    def _take(self, frame: Frame) -> bool:
        """Report a frame that the protocol has accepted. False when nothing more is to be read."""
        opcode = frame.opcode
        if opcode is Opcode.CONT and self._partial is not None:
            self._partial += frame.data
            if frame.fin:
                payload, self._partial = bytes(self._partial), None
                self._message_due = math.inf
                return self._deliver(payload, self._partial_is_text)
            self._messages.append(NO_MESSAGE)
        elif opcode is Opcode.CLOSE:
            self._close_came = True  # the protocol has a reply; see _report_replies
        elif opcode is Opcode.PING or opcode is Opcode.PONG:
            self._messages.append(NO_MESSAGE)  # its length was written in more bytes than needed
        elif frame.fin:
            return self._deliver(bytes(frame.data), opcode is Opcode.TEXT)
        else:
            self._partial = bytearray(frame.data)
            self._message_due = trio.current_time() + self._limits.message_deadline
            self._partial_is_text = opcode is Opcode.TEXT
            self._messages.append(NO_MESSAGE)
        return True

    def _deliver(self, payload: bytes, is_text: bool) -> bool:
        """Report a whole message. False when nothing more is to be read."""
        if len(payload) > self._limits.max_message_bytes:
            self._messages.append(TooLarge(len(payload)))
        elif not is_text:
            self._messages.append(payload)
        else:
            try:
                self._messages.append(str(payload, "utf-8"))
            except UnicodeDecodeError:
                # Its frames are sound all the same: the answer to this close can be found.
                reason = CloseReason.INVALID_DATA
                self._report_end(Violation(reason, close_frame(reason)))
                return False
        return True

    def _report_replies(self, protocol: ServerProtocol) -> bool:
        """Report the replies of the protocol object: pongs, close frames. False when nothing more
        is to be read.
        """
        for data in protocol.data_to_send():
            if data is SEND_EOF:
                continue  # the connection half-closes when it has written all
            if data[0] == _PONG_FINAL:
                self._pong = data
                continue
            if self._close_came:
                self._report_end(PeerClosed(data))
            else:
                self._unsound = True
                sent = protocol.close_sent
                reason = _VIOLATIONS.get(sent.code if sent else 0, CloseReason.PROTOCOL_ERROR)
                self._report_end(Violation(reason, data))
            return False
        if self._partial is None:
            self._protocol = None
        return True

    def _report_end(self, end: PeerClosed | Violation) -> None:
        if self._pong:
            self._report_ping()
        self._messages.append(end)

    async def _read(self, size: int = _READ_BYTES) -> bytes:
        """The next bytes. Empty at the end of the stream; a reset counts as one."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._sock)
                return self._sock.recv(size)
            except BlockingIOError:
                continue
            except OSError:
                return b""

    # --- what an Outbox needs (broadcast.outbox.OutboxSocket) ---------------------------------

    @property
    def descriptor(self) -> int:
        """See :attr:`locshare.broadcast.outbox.OutboxSocket.descriptor`."""
        return self._sock.fileno()

    async def wait_writable(self) -> None:
        """See :meth:`locshare.broadcast.outbox.OutboxSocket.wait_writable`."""
        await trio.lowlevel.wait_writable(self._sock)

    # --- the end --------------------------------------------------------------------------------

    def shut_writing(self) -> None:
        """Half-close: nothing will follow what was written. Never raises."""
        with contextlib.suppress(OSError):  # the peer was faster
            self._sock.shutdown(socket.SHUT_WR)

    def close(self, *, abort: bool = False) -> None:
        """Close the socket. A task that waits for it gets ClosedResourceError. Idempotent.

        ``abort`` resets the connection: the kernel drops what it has not sent, instead of keeping
        it for a peer that does not read.
        """
        if self._sock.fileno() < 0:
            return
        if abort:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            empty_input(self._sock, self._limits.discard_bytes)
        self.detach_reader()
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()


def close_frame(reason: CloseReason) -> bytes:
    """A close frame with the code and text of ``reason``, unmasked."""
    payload = Close(reason.code, reason.text).serialize()
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)


_VIOLATIONS = {
    reason.code: reason
    for reason in (
        CloseReason.PROTOCOL_ERROR,
        CloseReason.INVALID_DATA,
        CloseReason.MESSAGE_TOO_BIG,
        CloseReason.INTERNAL_ERROR,
    )
}
