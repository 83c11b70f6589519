"""Who may connect: the token of an upgrade request, checked before the upgrade is answered.

Every refusal has an HTTP status with a problem body, for clients that see it, and a close code of
the same meaning, for browsers, whose scripts do not (docs/protocol.md). The token is read from the
subprotocol ``locshare.bearer.JWT`` or from the query, and goes no further than the verifier.

The only await is :meth:`Sessions.open`.
"""

import enum
from typing import Protocol
from uuid import UUID

import trio
from msgspec import Struct

from locshare.auth import TokenExpired, TokenInvalid
from locshare.broadcast.receiver import Receiver
from locshare.connection.transport import Upgrade
from locshare.errors import CloseReason
from locshare.session.errors import (
    ParticipantNotFound,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable
from locshare.wire.dialects import PLAIN, Dialect
from locshare.wire.messages import Position, Role

PATH = "/ws"
BEARER_PREFIX = "locshare.bearer."


class Claims(Protocol):
    """What a valid token says (:class:`locshare.auth.Claims`)."""

    @property
    def user_id(self) -> str: ...
    @property
    def session_id(self) -> UUID: ...
    @property
    def role(self) -> Role: ...


class Verifier(Protocol):
    """Checks tokens (:class:`locshare.auth.TokenKeys`)."""

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
    """Why a request to connect was not granted: HTTP status, problem code, close reason, text."""

    NO_SUCH_PATH = (404, "NOT_FOUND", CloseReason.NOT_FOUND, "the WebSocket is at /ws")
    NO_TOKEN = (401, "TOKEN_MISSING", CloseReason.BAD_TOKEN, "a token is needed")
    BAD_TOKEN = (401, "TOKEN_INVALID", CloseReason.BAD_TOKEN, "the token is not accepted")
    FORBIDDEN = (403, "NOT_A_PARTICIPANT", CloseReason.FORBIDDEN, "no longer a participant")
    NOT_FOUND = (404, "SESSION_NOT_FOUND", CloseReason.NOT_FOUND, "no such session")
    ENDED = (410, "SESSION_ENDED", CloseReason.SESSION_ENDED, "the session has ended")
    UNAVAILABLE = (503, "UNAVAILABLE", CloseReason.OVERLOADED, "come back later")
    FULL = (503, "OVERLOADED", CloseReason.OVERLOADED, "too many connections, come back later")

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
        return RETRY_AFTER_S if self.status == 503 else None

    def problem(self) -> dict[str, object]:
        """The body of the answer (RFC 9457)."""
        return {
            "type": "about:blank",
            "title": _TITLES[self.status],
            "status": self.status,
            "code": self.code,
            "detail": self.text,
        }


RETRY_AFTER_S = 5

_TITLES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    410: "Gone",
    503: "Service Unavailable",
}


class Admitted(Struct, frozen=True):
    """A granted request."""

    link: Link
    user_id: str
    dialect: Dialect


def token_of(upgrade: Upgrade) -> str | None:
    """The token of a request; the subprotocol counts before the query."""
    for name in upgrade.subprotocols:
        if name.startswith(BEARER_PREFIX):
            return name.removeprefix(BEARER_PREFIX) or None
    return upgrade.query.get("token") or None


def subprotocol_of(upgrade: Upgrade) -> str | None:
    """What to answer to the offered subprotocols: never the one that is the token."""
    return PLAIN.name if PLAIN.name in upgrade.subprotocols else None


async def admit(
    upgrade: Upgrade, verifier: Verifier, sessions: Sessions, timeout: float
) -> Admitted | Refusal:
    """Decide on ``upgrade``. Raises nothing of its own.

    When it is cancelled, a link that was being opened is not attached to anything.
    """
    if upgrade.path != PATH:
        return Refusal.NO_SUCH_PATH
    token = token_of(upgrade)
    if token is None:
        return Refusal.NO_TOKEN
    try:
        claims = verifier.verify(token)
        with trio.fail_after(timeout):
            link = await sessions.open(claims.session_id, claims.user_id, claims.role)
    except (TokenExpired, SessionOver):  # a token lives exactly as long as its session
        return Refusal.ENDED
    except TokenInvalid:
        return Refusal.BAD_TOKEN
    except SessionNotFound:
        return Refusal.NOT_FOUND
    except ParticipantNotFound:
        return Refusal.FORBIDDEN
    except (SessionUnavailable, StoreUnavailable, trio.TooSlowError):
        return Refusal.UNAVAILABLE
    return Admitted(link, claims.user_id, PLAIN)
