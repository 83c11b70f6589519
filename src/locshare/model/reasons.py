"""Why connections end.

:class:`CloseReason` is one enum for the wire, the logs and the metrics, so that the three always
agree on why a client lost its connection.
"""

import enum


class CloseReason(enum.Enum):
    """Why a WebSocket was closed: the close code, whether a client should reconnect, and text.

    ``reconnect``: True means reconnect with the same token (with back-off and jitter), False means
    that reconnecting cannot succeed.

    Codes 4400 to 4510 are from the private range of RFC 6455 section 7.4.2; their last three
    digits follow the HTTP status with the same meaning where there is one.
    """

    LEFT = (1000, False, "left the session")
    GOING_AWAY = (1001, True, "going away")
    PEER_CLOSED = (1005, True, "closed by the client")
    PEER_GONE = (1006, True, "connection lost")
    PROTOCOL_ERROR = (1002, False, "WebSocket protocol error")
    INVALID_DATA = (1007, False, "text that is not UTF-8")
    MESSAGE_TOO_BIG = (1009, False, "message far too big")
    INTERNAL_ERROR = (1011, True, "internal error")
    RESTART = (1012, True, "server restarts, come back")
    OVERLOADED = (1013, True, "overloaded, come back later")
    BAD_REQUEST = (4400, False, "too many bad messages")
    BAD_TOKEN = (4401, False, "token not accepted")
    FORBIDDEN = (4403, False, "no longer a participant")
    NOT_FOUND = (4404, False, "no such session")
    SILENT = (4408, True, "silent too long")
    REPLACED = (4409, False, "replaced by a newer connection of the same participant")
    SESSION_ENDED = (4410, False, "the session has ended")
    RATE_LIMITED = (4429, True, "too many messages")
    TOO_SLOW = (4508, True, "reads too slowly")

    def __init__(self, code: int, reconnect: bool, text: str) -> None:
        self.code = code
        self.reconnect = reconnect
        self.text = text

    @property
    def label(self) -> str:
        """The name used in logs and as a metric label, such as ``too_slow``."""
        return self.name.lower()
