"""WebSocket on a raw socket: moves bytes and reports what came; it answers nothing by itself once
the upgrade is accepted. What goes out passes through the connection's
:class:`~locshare.broadcast.outbox.Outbox`, and when the connection closes is decided elsewhere
(:mod:`locshare.connection.lifecycle`). What the bytes mean is decided without a socket: of the
request by :mod:`locshare.connection.handshake`, of all after it by
:mod:`locshare.connection.parser`.

One task per connection uses this, and there is no queue between: what is not asked for stays in
the kernel, and TCP slows the sender down. While that task waits for a message, and for nothing
else, the reader (:mod:`locshare.connection.reader`) reads in its place and hands what came to the
connection's plain function. So nothing overtakes: as long as the task is at work the reader leaves
the socket alone, and from the first message on that the plain function has not finished, all that
was read waits for the task. Awaits happen in
:meth:`Transport.accept_handshake`, :meth:`Upgrade.accept`, :meth:`Transport.reject`,
:meth:`Transport.receive` and :meth:`Transport.discard`; each is a checkpoint wherever it has to
wait, and a cancelled one loses no bytes that a later call could still use.

Reading waits first and then reads once: a phone that sends every two seconds then costs one
``recv`` for each update instead of two, and one that sends without pause gets one ``recv`` in each
turn of the loop, like everyone else.
"""

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

import outcome
import trio
from trio.lowlevel import Abort, Task

from locshare.connection.handshake import BadHandshake, Handshake
from locshare.connection.parser import MessageParser
from locshare.connection.reader import Reader
from locshare.connection.received import PEER_GONE, STOPPED, UNFINISHED, Handler, Received
from locshare.connection.transport_limits import DEFAULT_LIMITS, TransportLimits
from locshare.connection.upgrade import (
    BAD_HANDSHAKE,
    ConnectionLost,
    NotAnUpgrade,
    Upgrade,
    empty_input,
    problem_response,
)

_READ_BYTES: Final = 4 * 1024
"""The most that one turn of the loop reads from one client, so that none delays all others: this
many bytes of the smallest frames, pings, take 8 ms."""


class Transport:
    """One accepted, non-blocking socket and its protocol state. The owner must call :meth:`close`;
    nothing else closes the socket.
    """

    __slots__ = (
        "__weakref__",
        "_handler",
        "_handshake",
        "_in_set",
        "_limits",
        "_messages",
        "_parked",
        "_parser",
        "_reader",
        "_sock",
        "bytes_in",
        "heard",
        "send",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, limits: TransportLimits = DEFAULT_LIMITS) -> None:
        self._sock = sock
        self.send = sock.send
        """See :attr:`locshare.broadcast.outbox.OutboxSocket.send`."""
        self._limits = limits
        self._handshake: Handshake | None = None  # until it is answered
        parser = self._parser = MessageParser(limits)
        self._messages = parser.messages
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
        handshake = Handshake(self._limits.max_handshake_bytes)
        while True:
            data = await self._read()
            if not data:
                raise ConnectionLost("the peer closed during the handshake")
            try:
                upgrade = handshake.receive(data, self)
            except BadHandshake as bad:
                await self.reject(problem_response(bad.status, BAD_HANDSHAKE, bad.detail))
                raise NotAnUpgrade(bad.status) from None
            if upgrade is not None:
                self._handshake = handshake
                return upgrade
            progress()

    async def accept(self, subprotocol: str | None) -> None:
        """See :meth:`Upgrade.accept`."""
        handshake, self._handshake = self._handshake, None
        if handshake is None:
            raise RuntimeError("there is no request that could be accepted")
        await self._respond(handshake.accepted(subprotocol))

    async def reject(self, response: bytes) -> None:
        """Send an HTTP response instead of an upgrade; nothing follows. The request need not have
        arrived. Raises ConnectionLost.
        """
        self._parser.unsound = True  # it speaks HTTP
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
        messages, parser = self._messages, self._parser
        while not messages:
            if parser.tail or parser.partial is not None:
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
                parser.tail += data
            else:
                parser.digest(data)
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
            parser = self._parser
            if self._messages or parser.tail or parser.partial is not None:
                self._wake()
        return True

    def _handle(self, data: bytes, handler: Handler) -> None:
        """What the reader found, as far as it needs no wait. The rest is left in ``_messages``."""
        messages = self._messages
        if data:
            self.heard = True
            self.bytes_in += len(data)
        if messages:  # STOPPED meanwhile: `discard` looks for the close frame
            self._parser.tail += data
            return
        if data:
            self._parser.parse(data)
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
        """The next bytes of a message already begun. None when there are none by its deadline."""
        with trio.move_on_at(self._parser.due):
            return await self._read()
        # This task may be late itself, held up by a session without room: what came is in time.
        await trio.lowlevel.checkpoint()
        return self._receive_now(_READ_BYTES)

    async def discard(self) -> bool:
        """Discard what the peer sends after our close or refusal. Returns True once its close frame
        has come, False at the end of its stream.

        Closing the socket with input unread resets it, which may destroy our close frame on its
        way. After ``discard_bytes`` nothing more is read and this waits for ever: TCP stops the
        peer, which still has time to read. The caller bounds the time.
        """
        parser = self._parser
        came, parser.tail = parser.tail, b""
        left = self._limits.discard_bytes
        while not parser.find_close(came):
            if left <= 0:
                await trio.sleep_forever()
            came = await self._read(min(left, _READ_BYTES))
            if not came:
                return False
            self.bytes_in += len(came)
            left -= len(came)
        return True

    async def _read(self, size: int = _READ_BYTES) -> bytes:
        """The next bytes. Empty at the end of the stream; a reset counts as one."""
        data = None
        try:
            while data is None:
                await trio.lowlevel.wait_readable(self._sock)
                data = self._receive_now(size)
        except OSError:  # it cannot be waited for
            return b""
        return data

    def _receive_now(self, size: int) -> bytes | None:
        """As :meth:`_read`, but None when there are none yet."""
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            return None
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
