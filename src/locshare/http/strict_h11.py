"""HTTP/1.1 and nothing else: h11's connection, with what h11 and hypercorn accept taken away.

hypercorn speaks cleartext HTTP/2 when a client begins with its preface or asks to upgrade, accepts
an upgrade to WebSocket, and changes a method's case. It reads requests from, and writes responses
to, an object like this one. So this object refuses what :mod:`locshare.http.heads` refuses, hides
the ``Upgrade`` header, which a server may ignore (RFC 9110 section 7.8), and turns hypercorn's
empty error response into problem details. Only public methods of h11 are overridden.
"""

from typing import Any, Final

import h11

from locshare.http.heads import Head, HeadLimits, Refused, check_bytes, head_of
from locshare.http.problems import HttpProblem, code_for_status
from locshare.http.types import ALLOWED_METHODS, encoded_headers

_WHY: Final = {
    400: "not a request as RFC 9112 defines it: a malformed line, or not exactly one Host",
    431: "a line of the request is too long",
    501: "the only Transfer-Encoding that is understood is chunked",
}
"""Details of what h11 refuses, by status. Its own texts quote the request."""
_CLOSE: Final = (b"connection", b"close")
MAX_PIECES: Final = 1_000
"""Of one body: its chunks, or what comes of it in one read. Each costs 10 us, however small it is.
A device that writes a position byte by byte sends 200."""


class StrictConnection(h11.Connection):
    """The server side. ``body_bytes`` bounds a body as it comes over the wire, the framing of its
    chunks included.
    """

    def __init__(self, limits: HeadLimits, body_bytes: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._limits = limits
        self._body_bytes_max = body_bytes
        self._body_bytes = 0
        self._pieces = 0
        self._is_head = False
        self._responded_to_refusal = False
        self.head: Head
        """The last request's."""
        self.refusal: Refused | None = None
        """Why nothing more is read."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the client; ``b""`` at their end."""
        if self.their_state is h11.SEND_BODY:
            self._body_bytes += len(data)
        elif data[:2] == b"\r\n" and self.their_state is h11.IDLE and not self.trailing_data[0]:
            data = data[2:]  # RFC 9112 section 2.2: one empty line before a request is ignored
            if not data:
                return
        super().receive_data(data)

    def next_event(self) -> Any:
        """As h11's. Raises RemoteProtocolError, with :attr:`refusal` set."""
        try:
            if self.their_state is h11.IDLE:
                return self._next_request()
            self._check_body()
            return self._counted(super().next_event())
        except Refused as refusal:
            self.refusal = refusal
            raise
        except h11.RemoteProtocolError as error:
            self.refusal = Refused(error.error_status_hint, _WHY[error.error_status_hint])
            raise

    def _check_body(self) -> None:
        if self._body_bytes > self._body_bytes_max and self.their_state is h11.SEND_BODY:
            raise Refused(413, "the body is too large")

    def _counted(self, event: Any) -> Any:
        self._pieces += isinstance(event, h11.Data)
        if self._pieces > MAX_PIECES:
            raise Refused(413, f"the body comes in more than {MAX_PIECES} pieces")
        return event

    def _next_request(self) -> Any:
        self._is_head = False
        self._pieces = 0
        waiting = self.trailing_data[0]
        raw = check_bytes(waiting, self._limits) if waiting else b""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._is_head = event.method == b"HEAD"
            self._body_bytes = len(waiting) - len(raw)
            self.head = head_of(event, raw)
            return self.head.request
        return event

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """As h11's, which ``send`` calls. The response to a refusal is the problem, and the last
        that is sent.
        """
        if self._responded_to_refusal:
            return []
        if isinstance(event, h11.Response):
            if self.refusal is not None:
                return self._refusal_response(self.refusal, event)
            if self.head.chunked:
                # The connection is closed after it: two servers in a row most easily disagree about
                # where a chunk ends.
                headers = [*event.headers, _CLOSE]
                event = h11.Response(status_code=event.status_code, headers=headers)
        return super().send_with_data_passthrough(event)

    def _refusal_response(self, refusal: Refused, empty: h11.Response) -> list[bytes]:
        """The whole response, with the date of hypercorn's ``empty`` one."""
        code = code_for_status(refusal.status)
        allow = {"Allow": ALLOWED_METHODS.decode()} if refusal.status == 405 else {}
        problem = HttpProblem(code, refusal.why, headers=allow).response()
        date = ((name, value) for name, value in empty.headers if name == b"date")
        headers = [*encoded_headers(problem), _CLOSE, *date]
        events: list[h11.Event] = [h11.Response(status_code=problem.status, headers=headers)]
        if not self._is_head:
            events.append(h11.Data(data=problem.body))
        events.append(h11.EndOfMessage())
        sent: list[bytes] = []
        for event in events:
            sent += super().send_with_data_passthrough(event) or ()
        self._responded_to_refusal = True
        return sent
