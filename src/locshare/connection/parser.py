"""Cuts the bytes of a client into messages. No socket, no task: bytes in,
:attr:`MessageParser.messages` out.

``websockets``' Sans-I/O ``ServerProtocol`` decides what the protocol demands: fragments, control
frames between fragments, masking, sizes, the answer to a close frame. Nothing is answered here.

A whole text frame is unmasked here (see ``framing``), and the protocol object exists only while it
has something to judge. An idle connection has none, which saves a third of its memory. Invariant
between two calls: ``_protocol`` is None unless a fragmented message is under way or the peer's
frames have come to their end.
"""

import logging
import math
from typing import Final, final

import trio
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from locshare.connection.framing import INCOMPLETE, UNUSUAL, frame_end, payload_start, text_start
from locshare.connection.received import (
    NO_MESSAGE,
    PeerClosed,
    Pinged,
    Received,
    TooLarge,
    Violation,
)
from locshare.connection.transport_limits import TransportLimits
from locshare.model.reasons import CloseReason

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the library's C extension
    from websockets.utils import apply_mask

PING_FRAME: Final = b"\x89\x00"

_TEXT_FINAL = 0x80 | Opcode.TEXT
_BINARY_FINAL = 0x80 | Opcode.BINARY
_CLOSE_FINAL = 0x80 | Opcode.CLOSE
_PING_FINAL = 0x80 | Opcode.PING
_PONG_FINAL = 0x80 | Opcode.PONG
_LONGEST_CONTROL = 0x80 | 125
_OPCODE = 0x0F

# The library logs headers (tokens) and payloads (positions) when its logger allows it. This one is
# outside the hierarchy of loggers, so that no logging configuration can wake it.
SILENT = logging.Logger("locshare.websocket")  # noqa: LOG001 - on purpose, see above
SILENT.disabled = True


@final
class MessageParser:
    """The frames of one connection, from the upgrade on. Its times are Trio's."""

    __slots__ = (
        "_close_came",
        "_frame_due",
        "_limits",
        "_message_due",
        "_partial_is_text",
        "_pong",
        "_protocol",
        "messages",
        "partial",
        "tail",
        "unsound",
    )  # fmt: skip

    def __init__(self, limits: TransportLimits) -> None:
        self._limits = limits
        self._protocol: ServerProtocol | None = None
        self.messages: list[Received] = []
        """What has come whole, in order; whoever takes one removes it."""
        self.tail = b""
        """The beginning of an incomplete frame."""
        self.partial: bytearray | None = None
        """The fragments so far of one message."""
        self._partial_is_text = True
        self._frame_due = math.inf  # the deadline of the incomplete frame
        self._message_due = math.inf  # and that of the fragmented message
        self._pong = b""  # the answer to the newest ping, not yet reported
        self._close_came = False  # the peer's close frame
        self.unsound = False
        """The input cannot be cut into frames."""

    @property
    def due(self) -> float:
        """When the message that is begun must have come whole."""
        return min(self._frame_due if self.tail else math.inf, self._message_due)

    def parse(self, data: bytes) -> None:
        """As :meth:`digest`, where nothing is begun: then ``data`` nearly always is one whole text
        frame.
        """
        start = text_start(data, self._limits.max_message_bytes)
        if not start:
            self.digest(data)
            return
        # What _deliver does, written out: one call less for each position.
        try:
            self.messages.append(str(apply_mask(data[start:], data[start - 4 : start]), "utf-8"))
        except UnicodeDecodeError:
            self._report_bad_text()

    def digest(self, data: bytes) -> None:
        """Cut ``data`` into frames. Handle the plain ones here; pass others to the protocol object.

        In order, so that what was sent before a close counts. Stops at the first frame that closes
        the connection.
        """
        goes_on = False
        if self.tail:
            data = self.tail + data
            self.tail = b""
            goes_on = True
        start, size, limit = 0, len(data), self._limits.hard_message_bytes
        going = True
        while start < size and going:
            end = frame_end(data, start, limit)
            if end == INCOMPLETE:
                self.tail = data[start:]
                if start or not goes_on:
                    self._frame_due = trio.current_time() + self._limits.message_deadline
                break
            first = data[start]
            if end == UNUSUAL:
                end = size
                going = self._ask_protocol(data[start:])
            elif first == _TEXT_FINAL and self.partial is None:
                payload = payload_start(data, start)
                going = self._deliver(
                    apply_mask(data[payload:end], data[payload - 4 : payload]), True
                )
            elif first == _BINARY_FINAL and self.partial is None:
                payload = payload_start(data, start)
                going = self._deliver(
                    apply_mask(data[payload:end], data[payload - 4 : payload]), False
                )
            elif first == _PONG_FINAL and data[start + 1] <= _LONGEST_CONTROL:
                self.messages.append(NO_MESSAGE)
            elif first == _PING_FINAL and data[start + 1] <= _LONGEST_CONTROL:
                payload = start + 6
                answer = apply_mask(data[payload:end], data[payload - 4 : payload])
                self._pong = bytes((_PONG_FINAL, len(answer))) + answer
                self.messages.append(NO_MESSAGE)
            else:
                going = self._ask_protocol(data[start:end])
            start = end
        if not going:
            self.tail = data[start:]
        elif self._pong:
            self._report_ping()

    def _report_ping(self) -> None:
        """Report only the newest of those that came together (RFC 6455 section 5.5.3), so that a
        flood of pings is not answered with a flood. It goes first: handling a message may wait.
        """
        self.messages.insert(0, Pinged(self._pong))
        self._pong = b""

    def _drop_partial(self) -> None:
        """Forget the fragments so far. A close may come between fragments, as any control frame
        (RFC 6455 section 5.4); ``websockets`` takes that for a breach of the protocol.
        """
        if self.partial is not None:
            self.partial = self._protocol = None
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
                state=State.OPEN, max_size=self._limits.hard_message_bytes, logger=SILENT
            )
        return self._protocol

    def _take(self, frame: Frame) -> bool:
        """Report a frame that the protocol has accepted. False when nothing more is to be read."""
        opcode = frame.opcode
        if opcode is Opcode.CONT and self.partial is not None:
            self.partial += frame.data
            if frame.fin:
                payload, self.partial = bytes(self.partial), None
                self._message_due = math.inf
                return self._deliver(payload, self._partial_is_text)
            self.messages.append(NO_MESSAGE)
        elif opcode is Opcode.CLOSE:
            self._close_came = True  # the protocol has a reply; see _report_replies
        elif opcode is Opcode.PING or opcode is Opcode.PONG:
            self.messages.append(NO_MESSAGE)  # its length was written in more bytes than needed
        elif frame.fin:
            return self._deliver(bytes(frame.data), opcode is Opcode.TEXT)
        else:
            self.partial = bytearray(frame.data)
            self._message_due = trio.current_time() + self._limits.message_deadline
            self._partial_is_text = opcode is Opcode.TEXT
            self.messages.append(NO_MESSAGE)
        return True

    def _deliver(self, payload: bytes, is_text: bool) -> bool:
        """Report a whole message. False when nothing more is to be read."""
        if len(payload) > self._limits.max_message_bytes:
            self.messages.append(TooLarge(len(payload)))
        elif not is_text:
            self.messages.append(payload)
        else:
            try:
                self.messages.append(str(payload, "utf-8"))
            except UnicodeDecodeError:
                self._report_bad_text()
                return False
        return True

    def _report_bad_text(self) -> None:
        # Its frames are sound all the same: the answer to this close can be found.
        reason = CloseReason.INVALID_DATA
        self._report_end(Violation(reason, close_frame(reason)))

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
                self.unsound = True
                sent = protocol.close_sent
                reason = _VIOLATIONS.get(sent.code if sent else 0, CloseReason.PROTOCOL_ERROR)
                self._report_end(Violation(reason, data))
            return False
        if self.partial is None:
            self._protocol = None
        return True

    def _report_end(self, end: PeerClosed | Violation) -> None:
        if self._pong:
            self._report_ping()
        self.messages.append(end)

    def find_close(self, data: bytes) -> bool:
        """True when the peer's close frame is in ``data`` or came before. Reads headers only, and
        reports nothing.
        """
        if self._close_came or self.unsound:
            return self._close_came
        data = self.tail + data
        self.tail = b""
        start, size, limit = 0, len(data), self._limits.hard_message_bytes
        while start < size:
            end = frame_end(data, start, limit)
            if end == UNUSUAL:
                self.unsound = True
                return False
            if end == INCOMPLETE:
                self.tail = data[start:]
                return False
            if data[start] & _OPCODE == Opcode.CLOSE:
                self._close_came = True
                return True
            start = end
        return False


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
