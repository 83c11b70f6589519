"""Why a request to connect is refused: for HTTP, for the close frame, for logs and metrics."""

import enum

from locshare.connection.upgrade import problem_response
from locshare.http.problems import RETRY_AFTER_S
from locshare.model.reasons import CloseReason


class Refusal(enum.Enum):
    """HTTP status, problem code, close reason and text of a refused request to connect.

    A code that the REST API has too means the same there. The table is in
    docs/reference/protocol.md.
    """

    NO_SUCH_PATH = (
        404, "NOT_FOUND", CloseReason.NOT_FOUND,
        "the WebSocket is at /ws, for Phoenix clients at /socket/websocket",
    )  # fmt: skip
    UNKNOWN_VERSION = (
        400, "UNKNOWN_VERSION", CloseReason.BAD_REQUEST,
        "vsn: not known here; allowed are 1.0.0 and 2.0.0",
    )  # fmt: skip
    NO_TOKEN = (401, "TOKEN_MISSING", CloseReason.BAD_TOKEN, "a token is needed")
    BAD_TOKEN = (401, "TOKEN_INVALID", CloseReason.BAD_TOKEN, "the token is not accepted")
    FORBIDDEN = (403, "NOT_A_PARTICIPANT", CloseReason.FORBIDDEN, "no longer a participant")
    NOT_FOUND = (404, "SESSION_NOT_FOUND", CloseReason.NOT_FOUND, "no such session")
    LATE = (408, "REQUEST_TIMEOUT", CloseReason.SILENT, "the request did not come in time")
    ENDED = (410, "SESSION_ENDED", CloseReason.SESSION_ENDED, "the session has ended")
    TOO_OFTEN = (
        429,
        "RATE_LIMITED",
        CloseReason.RATE_LIMITED,
        "this participant connects too often",
    )
    UNAVAILABLE = (503, "UNAVAILABLE", CloseReason.OVERLOADED, "come back later")
    DRAINING = (503, "UNAVAILABLE", CloseReason.OVERLOADED, "the server restarts, come back")
    FULL = (503, "OVERLOADED", CloseReason.OVERLOADED, "too many connections, come back later")
    ADDRESS_FULL = (
        503, "OVERLOADED", CloseReason.OVERLOADED, "too many connections from this address",
    )  # fmt: skip
    CROWDED_OUT = (
        503, "OVERLOADED", CloseReason.OVERLOADED,
        "the request did not come, and others needed its place",
    )  # fmt: skip

    def __init__(self, status: int, code: str, reason: CloseReason, text: str) -> None:
        self.status = status
        self.code = code
        self.reason = reason
        self.text = text

    @property
    def label(self) -> str:
        """The name used in logs and as a metric label."""
        return self.name.lower()

    @property
    def retry_after(self) -> int | None:
        """Seconds, where a retry can succeed."""
        return _RETRY_AFTER_S.get(self.status)

    def response(self) -> bytes:
        """The whole HTTP response."""
        return problem_response(self.status, self.code, self.text, self.retry_after)


_RETRY_AFTER_S = {429: 10, 503: RETRY_AFTER_S}
"""What docs/reference/protocol.md says of the close codes of the same meaning, 4429 and 1013."""
