"""One WebSocket of picows: frames come by callback, and what is sent goes to the socket at once."""

import contextlib
from typing import cast
from uuid import uuid4

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from bench.peers.common import messages
from bench.peers.common.app import MAX_FRAME_BYTES
from bench.peers.common.connection import Close
from bench.peers.common.messages import BadMessage, LocationUpdate, Ping
from bench.peers.common.problems import Problem
from bench.peers.common.socket import CLOSE_CODES, failed
from bench.peers.common.tokens import Claims
from bench.peers.inprocess.sessions import MemorySessions
from bench.peers.picows.flushing import Flushing

MAX_WAITING_BYTES = 256 * 1024
"""A client that falls further behind is dropped."""
TOO_BIG = 1009

_TEXT = WSMsgType.TEXT
_encode = msgspec.json.Encoder().encode


class Listener(WSListener):
    """A participant's connection."""

    def __init__(
        self, sessions: MemorySessions, claims: Claims, flushing: Flushing | None = None
    ) -> None:
        self.id = uuid4().hex
        self.session_id = claims.session_id
        self.user_id = claims.user_id
        self.role: str = claims.role
        self._sessions = sessions
        self._flushing = flushing
        self._moved = b'{"type":"location_update","data":{"user_id":%b,' % _encode(self.user_id)
        self._fragments = b""
        self._fragmented: WSMsgType | None = None
        self.transport: WSTransport

    # --- what picows calls ------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=MAX_WAITING_BYTES)
        try:
            snapshot = self._sessions.attach_now(self)
        except Problem as problem:  # the session ended meanwhile
            self.close(Close(CLOSE_CODES[problem.status], problem.detail))
        else:
            self.send(snapshot)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and self._fragmented is None:
            self._receive(frame.get_payload_as_utf8_text())
        elif kind is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind not in (WSMsgType.PING, WSMsgType.PONG):
            self._receive_part(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows calls it
        self._sessions.detach_now(self)

    def pause_writing(self) -> None:
        """More than MAX_WAITING_BYTES wait. A close frame would wait behind them."""
        self.transport.disconnect(graceful=False)

    # --- what sessions call -----------------------------------------------------------------------

    def send(self, text: str) -> None:
        self.transport.send(_TEXT, text.encode())

    def write(self, frames: bytes) -> None:
        """Finished frames."""
        self.transport.underlying_transport.write(frames)

    def close(self, close: Close) -> None:
        end(self.transport, close)

    # --- messages ---------------------------------------------------------------------------------

    def _receive_part(self, frame: WSFrame) -> None:
        """A binary message, or a part of one."""
        if frame.msg_type is not WSMsgType.CONTINUATION:
            self._fragmented, self._fragments = frame.msg_type, b""
        self._fragments += frame.get_payload_as_bytes()
        if len(self._fragments) > MAX_FRAME_BYTES:
            self.close(Close(TOO_BIG, "the message is too large"))
        elif frame.fin:
            kind, whole = self._fragmented, self._fragments
            self._fragmented, self._fragments = None, b""
            if kind is _TEXT:
                self._receive(whole.decode())
            else:
                self.send(failed("BINARY_NOT_SUPPORTED", "only text frames are"))

    def _receive(self, text: str) -> None:
        try:
            message = messages.decode(text)
        except BadMessage as bad:
            self.send(failed(bad.code, bad.text))
            return
        if isinstance(message, LocationUpdate):
            if self._sessions.moved(self, message.data):
                update = self._moved + _encode(message.data)[1:] + b"}"
                if self._flushing is None:
                    self._send_to_others(update)
                else:
                    self._flushing.add(self, update)
        elif isinstance(message, Ping):
            self.send(messages.PONG)
        else:
            with contextlib.suppress(Problem):  # sent twice, or removed meanwhile
                self._sessions.remove_now(self.session_id, self.user_id, "left")

    def _send_to_others(self, update: bytes) -> None:
        # A copy: a send may find a peer too slow, which takes it out of the session.
        for other in tuple(self._sessions.connected(self.session_id).values()):
            if other is not self:
                assert isinstance(other, Listener)
                other.transport.send(_TEXT, update)


def end(transport: WSTransport, close: Close) -> None:
    """Close the connection after what was sent."""
    # picows takes any code, its stub only those of the RFC.
    transport.send_close(cast("WSCloseCode", close.code), close.reason.encode())
    transport.disconnect()


class Refused(WSListener):
    """Says why, and closes."""

    def __init__(self, close: Close) -> None:
        self._close = close

    def on_ws_connected(self, transport: WSTransport) -> None:
        end(transport, self._close)
