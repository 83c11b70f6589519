"""Why sessions and connections end, and what a client does about it.

:class:`CloseReason` is one enum for the wire, the logs and the metrics, so that the three always
agree on why a client lost its connection. It is also the one table of close codes: the documents
are checked against it, and the tables of the clients are made from it.
"""

import enum
from typing import Final, Literal

EndReason = Literal["expired", "ended_by_host", "inactive", "internal_error"]
"""Why a session ended."""

NO_WAIT: Final = (0.0, 0.0)

FIRST_WAIT_S: Final = 0.5
WAIT_GROWTH: Final = 1.15
MOST_WAIT_S: Final = 30.0
"""A client's back-off where the server asks for no wait: its bound at first, by how much each
failed attempt raises it, and where that ends. Waits are random up to the bound, half of it on
average, so that it is some 0.5 + 0.3 T after an outage of T seconds. The requirement is to recover
within 5 s.
"""


class CloseReason(enum.Enum):
    """Why a WebSocket was closed: the close code, whether a client should reconnect, text, and how
    long it waits first.

    ``reconnect``: True means reconnect with the same token (with back-off and jitter), False means
    that reconnecting cannot succeed.

    ``wait_s``: the bounds in seconds within which a client that reconnects chooses its first wait
    at random. Where they are zero the server asks for nothing, and the client's own back-off
    counts.

    Codes 4400 to 4510 are from the private range of RFC 6455 section 7.4.2; their last three
    digits follow the HTTP status with the same meaning where there is one. A new code goes where
    :func:`should_reconnect` gives the right advice to clients that do not know it yet.
    """

    LEFT = (1000, False, "left the session")
    GOING_AWAY = (1001, True, "going away")
    PEER_CLOSED = (1005, True, "closed by the client")
    PEER_GONE = (1006, True, "connection lost")
    PROTOCOL_ERROR = (1002, False, "WebSocket protocol error")
    INVALID_DATA = (1007, False, "text that is not UTF-8")
    MESSAGE_TOO_BIG = (1009, False, "message far too big")
    INTERNAL_ERROR = (1011, True, "internal error")
    RESTART = (1012, True, "server restarts, come back", (1.0, 5.0))
    OVERLOADED = (1013, True, "overloaded, come back later", (5.0, 30.0))
    BAD_REQUEST = (4400, False, "too many bad messages")
    BAD_TOKEN = (4401, False, "token not accepted")
    FORBIDDEN = (4403, False, "no longer a participant")
    NOT_FOUND = (4404, False, "no such session")
    SILENT = (4408, True, "silent too long")
    REPLACED = (4409, False, "replaced by a newer connection of the same participant")
    SESSION_ENDED = (4410, False, "the session has ended")
    RATE_LIMITED = (4429, True, "too many messages", (10.0, 15.0))
    TOO_SLOW = (4508, True, "reads too slowly")

    def __init__(
        self, code: int, reconnect: bool, text: str, wait_s: tuple[float, float] = NO_WAIT
    ) -> None:
        self.code = code
        self.reconnect = reconnect
        self.text = text
        self.wait_s = wait_s

    @property
    def label(self) -> str:
        """The name used in logs and as a metric label, such as ``too_slow``."""
        return self.name.lower()

    @property
    def is_sent(self) -> bool:
        """Whether the server sends this code. RFC 6455 section 7.4.1 reserves the two others: a
        client's library reports them for a connection that ended without a close frame.
        """
        return self not in (CloseReason.PEER_CLOSED, CloseReason.PEER_GONE)


_BY_CODE: Final = {reason.code: reason for reason in CloseReason}


def reason_of(code: int) -> CloseReason | None:
    """The reason with close code ``code``; None for a code that is not in the table."""
    return _BY_CODE.get(code)


def should_reconnect(code: int) -> bool:
    """Whether a client reconnects after ``code``: what the table says, and for a code that is not
    in it what its range says, as clients must that are older than the server.
    """
    reason = reason_of(code)
    return not 4000 <= code <= 4499 if reason is None else reason.reconnect
