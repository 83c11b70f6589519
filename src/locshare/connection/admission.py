"""Admission: the token of an upgrade request, checked before the upgrade is answered.

Every refusal has an HTTP status with a problem body, for clients that see it, and a close code of
the same meaning for browsers, whose scripts do not (docs/reference/protocol.md). The token is read
from a subprotocol (``locshare.bearer.JWT``, or ``base64url.bearer.phx.`` and the token in base64),
from ``Authorization: Bearer`` or from the query, and is passed to the verifier only.

The only await is :meth:`SessionOpener.open`.
"""

import binascii
from base64 import urlsafe_b64decode
from typing import Protocol
from uuid import UUID

import trio

from locshare.auth.tokens import TokenExpired, TokenInvalid
from locshare.broadcast.receiver import Receiver
from locshare.connection import phoenix
from locshare.connection.refusal import Refusal
from locshare.connection.upgrade import Upgrade
from locshare.model.participant import PresenceState
from locshare.model.position import Position
from locshare.session.commands import NO_OPTIONS, AttachOptions
from locshare.session.errors import (
    ParticipantNotFound,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable

PATH = "/ws"
BEARER_PREFIX = "locshare.bearer."


class Identity(Protocol):
    """The participant that a valid token names (:class:`locshare.auth.tokens.Claims`)."""

    @property
    def user_id(self) -> str: ...
    @property
    def session_id(self) -> UUID: ...


class Verifier(Protocol):
    """Checks tokens (:class:`locshare.auth.tokens.TokenKeys`)."""

    def verify(self, token: str) -> Identity:
        """Raises TokenInvalid or TokenExpired, nothing else."""
        ...


class Link(Protocol):
    """One participant's way into a session (:class:`locshare.session.link.SessionLink`)."""

    async def attach(self, receiver: Receiver, options: AttachOptions = NO_OPTIONS) -> None:
        """On return the snapshot is the first thing in ``receiver``."""
        ...

    def offer(self, position: Position, received: float) -> bool:
        """Report a position, read at ``received`` (Trio's clock), unless that would have to wait.
        False: nothing was reported.
        """
        ...

    async def update(self, position: Position, received: float) -> None:
        """As :meth:`offer`, and wait while the session's mailbox is full. Raises SessionOver."""
        ...

    async def set_pace(self, interval_s: float) -> None:
        """Choose how often positions come. Waits and raises as :meth:`update`."""
        ...

    async def set_state(self, state: PresenceState) -> None:
        """Show the others what the participant does. Waits and raises as :meth:`update`."""
        ...

    async def leave(self) -> None:
        """The participant leaves for good."""
        ...

    def detach(self) -> None:
        """The subscription has ended. Never fails, in any state."""
        ...


class SessionOpener(Protocol):
    """Opens sessions (:class:`locshare.session.manager.SessionManager`)."""

    async def open(self, session_id: UUID, user_id: str) -> Link:
        """Raises SessionNotFound, SessionOver, ParticipantNotFound, SessionUnavailable,
        StoreUnavailable.
        """
        ...


def token_of(upgrade: Upgrade) -> str | None:
    """The token of a request. A subprotocol takes precedence over the ``Authorization`` header, and
    that over the query.

    A header of another scheme, or one of several, is as none: a proxy in front may use Basic for
    its own login, and passes it on.
    """
    for name in upgrade.subprotocols:
        if name.startswith(BEARER_PREFIX):
            return name.removeprefix(BEARER_PREFIX) or None
        if name.startswith(phoenix.BEARER_PREFIX):
            return _from_base64(name.removeprefix(phoenix.BEARER_PREFIX))
    headers = upgrade.values("Authorization")
    if len(headers) == 1:
        scheme, _, token = headers[0].partition(" ")
        if scheme.lower() == "bearer":
            return token.strip() or None
    return upgrade.query.get("token")  # an empty one is left out by the parser


def carries_token(subprotocol: str) -> bool:
    """Whether this subprotocol is a token in disguise."""
    return subprotocol.startswith((BEARER_PREFIX, phoenix.BEARER_PREFIX))


def _from_base64(text: str) -> str | None:
    """What is no base64 is as no token."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode() or None
    except (binascii.Error, ValueError):
        return None


def identify_upgrade(upgrade: Upgrade, verifier: Verifier) -> Identity | Refusal:
    """The identity of a request to upgrade. Raises nothing."""
    # A proxy may leave the folder on it that it serves us in.
    if not upgrade.path.endswith((PATH, phoenix.PATH)):
        return Refusal.NO_SUCH_PATH
    token = token_of(upgrade)
    return Refusal.NO_TOKEN if token is None else identify(token, verifier)


def identify(token: str, verifier: Verifier) -> Identity | Refusal:
    """The identity of ``token``. Raises nothing."""
    try:
        return verifier.verify(token)
    except TokenExpired:  # a token lives exactly as long as its session
        return Refusal.ENDED
    except TokenInvalid:
        return Refusal.BAD_TOKEN


async def open_link(identity: Identity, sessions: SessionOpener, timeout: float) -> Link | Refusal:
    """The link into the session of ``identity``, found or started within ``timeout`` seconds.

    Raises nothing itself. Cancelled: no link stays attached.
    """
    try:
        with trio.fail_after(timeout):
            return await sessions.open(identity.session_id, identity.user_id)
    except SessionOver:
        return Refusal.ENDED
    except SessionNotFound:
        return Refusal.NOT_FOUND
    except ParticipantNotFound:
        return Refusal.FORBIDDEN
    except (SessionUnavailable, StoreUnavailable, trio.TooSlowError):
        return Refusal.UNAVAILABLE
