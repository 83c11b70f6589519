"""What a :class:`~locshare.connection.transport.Transport` reports."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from locshare.model.reasons import CloseReason


class TooLarge(Struct, frozen=True):
    """A message beyond ``max_message_bytes`` was dropped."""

    size: int


class PeerClosed(Struct, frozen=True):
    """The peer's close frame came; ``reply`` is our close frame. Nothing follows."""

    reply: bytes


class PeerGone(Struct, frozen=True):
    """The stream has ended or was reset. Every further call returns it again."""


class Violation(Struct, frozen=True):
    """The peer broke the protocol: close for ``reason``, with ``close_frame``."""

    reason: CloseReason
    close_frame: bytes


class Pinged(Struct, frozen=True):
    """The frame that answers the newest of the protocol pings that came together."""

    pong: bytes


class NoMessage(Struct, frozen=True):
    """A frame that ends no message: a ping, a pong, or a fragment. Reported to be counted."""


NO_MESSAGE: Final = NoMessage()


class Unfinished(Struct, frozen=True):
    """A message was begun and not finished within ``message_deadline``."""


class Stopped(Struct, frozen=True):
    """:meth:`Transport.stop` was called."""


class Deferred(Struct, frozen=True):
    """What a :data:`Handler` left of a message that has been judged and counted: an effect that has
    to wait. None when the task is only to look again.
    """

    effect: object = None
    received_at: float = 0.0
    """When it was read, by Trio's clock, of a position."""


PEER_GONE: Final = PeerGone()
UNFINISHED: Final = Unfinished()
STOPPED: Final = Stopped()

Received = (
    str | bytes | TooLarge | NoMessage | Unfinished | Pinged | PeerClosed | PeerGone | Violation
    | Stopped | Deferred
)  # fmt: skip

Handler = Callable[[Received], Received | None]
"""Handles as much of a message as needs no wait. Returns what is left to the connection's own task:
the same, or a Deferred; None when nothing is. Called in the reader's task; what it raises is raised
in the connection's.
"""
