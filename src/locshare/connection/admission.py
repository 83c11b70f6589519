"""Who may connect: the token of an upgrade request, checked before the upgrade is answered.

Every refusal has an HTTP status with a problem body, for clients that see it, and a close code of
the same meaning, for browsers, whose scripts do not (docs/reference/protocol.md). The token is read
from the subprotocol ``locshare.bearer.JWT`` or from the query, and goes no further than the
verifier.

The only await is :meth:`Sessions.open`.
"""

import enum
from typing import Protocol
from uuid import UUID

import trio

from locshare.auth.tokens import TokenExpired, TokenInvalid
from locshare.broadcast.receiver import Receiver
from locshare.connection.upgrade import Upgrade
from locshare.model.reasons import CloseReason
from locshare.session.errors import (
    ParticipantNotFound,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable
from locshare.wire.dialects import PLAIN
from locshare.wire.messages import Position, Role

PATH = "/ws"
BEARER_PREFIX = "locshare.bearer."


class Claims(Protocol):
    """What a valid token says (:class:`locshare.auth.tokens.Claims`)."""

    @property
    def user_id(self) -> str: ...
    @property
    def session_id(self) -> UUID: ...
    @property
    def role(self) -> Role: ...


class Verifier(Protocol):
    """Checks tokens (:class:`locshare.auth.tokens.TokenKeys`)."""

    def verify(self, token: str) -> Claims:
        """Raises TokenInvalid or TokenExpired, nothing else."""
        ...


class Link(Protocol):
    """What one connection holds of its session (:class:`locshare.session.link.SessionLink`)."""

    async def attach(self, receiver: Receiver) -> None:
        """On return the snapshot is the first thing in ``receiver``."""
        ...

    async def update(self, position: Position) -> None:
        """Waits only when the session's mailbox is full. Raises SessionOver."""
        ...

    async def leave(self) -> None:
        """The participant leaves for good."""
        ...

    def detach(self) -> None:
        """The connection has ended. Never fails, in any state."""
        ...


class Sessions(Protocol):
    """Where the sessions are (:class:`locshare.session.manager.SessionManager`)."""

    async def open(self, session_id: UUID, user_id: str, role: Role) -> Link:
        """Raises SessionNotFound, SessionOver, ParticipantNotFound, SessionUnavailable,
        StoreUnavailable.
        """
        ...


class Refusal(enum.Enum):
    """Why a request to connect was not granted: HTTP status, problem code, close reason, text.

    A code that the REST API has too means the same there. docs/reference/protocol.md has the
    table.
    """

    NO_SUCH_PATH = (404, "NOT_FOUND", CloseReason.NOT_FOUND, "the WebSocket is at /ws")
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
        """Seconds, where coming back can help."""
        return _RETRY_AFTER_S.get(self.status)

    def problem(self) -> dict[str, object]:
        """The body of the answer (RFC 9457)."""
        return {
            "type": "about:blank",
            "title": _TITLES[self.status],
            "status": self.status,
            "code": self.code,
            "detail": self.text,
        }


_RETRY_AFTER_S = {429: 10, 503: 5}
"""What docs/reference/protocol.md says of the close codes of the same meaning, 4429 and 1013."""

_TITLES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    410: "Gone",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def token_of(upgrade: Upgrade) -> str | None:
    """The token of a request; the subprotocol counts before the query."""
    for name in upgrade.subprotocols:
        if name.startswith(BEARER_PREFIX):
            return name.removeprefix(BEARER_PREFIX) or None
    return upgrade.query.get("token")  # an empty one is left out by the parser


def subprotocol_of(upgrade: Upgrade) -> str | None:
    """What to answer to the offered subprotocols: never the one that is the token."""
    return PLAIN.name if PLAIN.name in upgrade.subprotocols else None


def identify(upgrade: Upgrade, verifier: Verifier) -> Claims | Refusal:
    """Who asks to connect, and to what. Raises nothing."""
    if not upgrade.path.endswith(PATH):  # a proxy may leave the folder on it that it serves us in
        return Refusal.NO_SUCH_PATH
    token = token_of(upgrade)
    if token is None:
        return Refusal.NO_TOKEN
    try:
        return verifier.verify(token)
    except TokenExpired:  # a token lives exactly as long as its session
        return Refusal.ENDED
    except TokenInvalid:
        return Refusal.BAD_TOKEN


async def open_link(claims: Claims, sessions: Sessions, timeout: float) -> Link | Refusal:
    """The way into the session of ``claims``, found or started within ``timeout`` seconds. Raises
    nothing of its own.

    When it is cancelled, a link that was being opened is not attached to anything.
    """
    try:
        with trio.fail_after(timeout):
            return await sessions.open(claims.session_id, claims.user_id, claims.role)
    except SessionOver:
        return Refusal.ENDED
    except SessionNotFound:
        return Refusal.NOT_FOUND
    except ParticipantNotFound:
        return Refusal.FORBIDDEN
    except (SessionUnavailable, StoreUnavailable, trio.TooSlowError):
        return Refusal.UNAVAILABLE
