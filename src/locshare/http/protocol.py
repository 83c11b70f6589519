"""HTTP/1.1 and nothing else: hypercorn's protocol object, without what it switches on by default.

hypercorn speaks cleartext HTTP/2 when a client begins with its preface or asks to upgrade, takes an
upgrade to WebSocket, and changes a method's case. Here every request is HTTP/1.0 or 1.1, an
``Upgrade`` header is ignored (RFC 9110 section 7.8), and whatever :mod:`locshare.http.heads`
refuses is answered with problem details and closed.
"""

from typing import Any, Final

import h11
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from locshare.http.heads import Head, HeadLimits, Refused, check_bytes, head_of
from locshare.http.problems import Problem, code_for_status
from locshare.http.types import ALLOWED_METHODS

_WHY: Final = {
    400: "this is no request as RFC 9112 has it: a malformed line, or not exactly one Host",
    431: "a line of the request is too long",
    501: "the only Transfer-Encoding that is understood is chunked",
}
"""What h11 refuses, by its status."""


class StrictConnection(h11.Connection):
    """h11's server side that refuses what :mod:`locshare.http.heads` refuses. ``body_bytes`` bounds
    a body as it comes over the wire, the framing of its chunks included.
    """

    def __init__(self, limits: HeadLimits, body_bytes: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._limits = limits
        self._most_body_bytes = body_bytes
        self._body_bytes = 0
        self.is_head = False
        """Whether the last request was a HEAD, whose answer has no body."""
        self.head: Head
        """The last request's."""
        self.refusal: Refused | None = None
        """Why nothing more is read."""

    def receive_data(self, data: bytes) -> None:
        """More bytes of the client; ``b""`` at their end."""
        if self.their_state is h11.SEND_BODY:
            self._body_bytes += len(data)
        elif data[:2] == b"\r\n" and self.their_state is h11.IDLE and not self.trailing_data[0]:
            data = data[2:]  # RFC 9112 section 2.2: one empty line before a request is ignored
            if not data:
                return
        super().receive_data(data)

    def next_event(self) -> Any:
        """As h11's, with ``head`` set when it is a request. Raises RemoteProtocolError, and
        ``refusal`` says why.
        """
        try:
            if self.their_state is h11.IDLE:
                return self._next_request()
            self._check_body()
            return super().next_event()
        except Refused as refusal:
            self.refusal = refusal
            raise
        except h11.RemoteProtocolError as error:
            # Not h11's text, which quotes the request.
            self.refusal = Refused(error.error_status_hint, _WHY[error.error_status_hint])
            raise

    def _check_body(self) -> None:
        if self._body_bytes > self._most_body_bytes and self.their_state is h11.SEND_BODY:
            raise Refused(413, "the body is too large")

    def _next_request(self) -> Any:
        waiting = self.trailing_data[0]
        raw = check_bytes(waiting, self._limits) if waiting else b""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.is_head = event.method == b"HEAD"
            self._body_bytes = len(waiting) - len(raw)
            self.head = head_of(event, raw)
        return event


class Http1(H11Protocol):
    """One connection's protocol, driven by :class:`locshare.http.connection.Connection`."""

    connection: StrictConnection

    def bound(self, limits: HeadLimits, body_bytes: int) -> None:
        """Set the limits. Call it once, before anything is received."""
        self.connection = StrictConnection(limits, body_bytes)

    async def _check_protocol(self, event: h11.Request) -> None:
        """No other protocol than this is spoken."""

    async def _create_stream(self, request: h11.Request) -> None:  # noqa: ARG002
        """As hypercorn's, without WebSockets."""
        head = self.connection.head
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=head.headers,
                http_version=head.http_version,
                method=head.method,
                raw_path=head.target,
                state=self.connection_state,
            )
        )
        if head.chunked:
            # The connection is closed after it: where one chunk ends is what two servers in a row
            # most easily disagree about.
            self.keep_alive_requests = self.config.keep_alive_max_requests
        self.keep_alive_requests += 1
        await self.context.mark_request()

    async def _send_error_response(self, status_code: int) -> None:
        """Answer a request that cannot be read, or whose body cannot."""
        refusal = self.connection.refusal
        why = None if refusal is None else refusal.why
        answer = Problem(code_for_status(status_code), why).answer()
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        if status_code == 405:
            headers.append((b"allow", ALLOWED_METHODS))
        await self._send_h11_event(h11.Response(status_code=answer.status, headers=headers))
        if not self.connection.is_head:
            await self._send_h11_event(h11.Data(data=answer.body))
        await self._send_h11_event(h11.EndOfMessage())
        # Whatever the application still answers goes nowhere.
        self._send_h11_event = _drop  # type: ignore[method-assign,assignment]


async def _drop(_event: Any) -> None:
    """Instead of sending."""
