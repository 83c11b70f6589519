"""What a client's messages mean for its socket: bytes in, effects out. Pure.

One dialect object per socket, chosen by the path and the subprotocol
(:mod:`locshare.connection.negotiation`). It knows how many subscriptions the socket may have, what
they are called, and how everything that is said about them is written. The connection
(:mod:`locshare.connection.conversation`) carries its effects out, and counts and limits the
messages.

The plain and the compact dialect have exactly one subscription, which the upgrade makes, and keep
no state: all plain sockets share :data:`PLAIN_SOCKET`, all compact ones :data:`COMPACT_SOCKET`. A
dialect with several (:mod:`locshare.connection.phoenix`) keeps what it must remember of each topic,
and makes them with :class:`Subscribe`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, final
from uuid import UUID

from msgspec import Struct

from locshare.broadcast.backlog import Topic
from locshare.broadcast.fanout import encode_frame
from locshare.connection.counters import DialectLabel
from locshare.connection.refusal import Refusal
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.session.commands import NO_OPTIONS, AttachOptions
from locshare.wire.compact import COMPACT, CompactDialect
from locshare.wire.dialects import Dialect
from locshare.wire.messages import ClientMessage, Error, ErrorCode, Setting
from locshare.wire.plain import PLAIN, PlainDialect


class Move(Struct, frozen=True, gc=False):
    """A position for the subscription ``topic``. ``frame`` confirms that its session has it."""

    topic: Topic
    position: Position
    frame: bytes = b""


class LeaveSession(Struct, frozen=True, gc=False):
    """The participant of ``topic`` leaves its session for good."""

    topic: Topic


class Choose(Struct, frozen=True, gc=False):
    """A choice for the subscription ``topic``. ``frame`` confirms that its session has it."""

    topic: Topic
    setting: Setting
    frame: bytes = b""


class Answer(Struct, frozen=True, gc=False):
    """A client's ping, and the frame that answers it."""

    frame: bytes


class Reply(Struct, frozen=True, gc=False):
    """A message that asks for nothing but its answer ``frame``; empty for one to ignore."""

    frame: bytes


class Subscribe(Struct, frozen=True, gc=False):
    """Open the session that ``token`` admits to as ``topic``, which must be ``session_id`` where
    that is given. Without a token, that of the upgrade counts. An older subscription of the same
    topic ends first. ``options`` are for the session.
    """

    topic: Topic
    token: str | None = None
    session_id: UUID | None = None
    options: AttachOptions = NO_OPTIONS


class Unsubscribe(Struct, frozen=True, gc=False):
    """End the subscription ``topic``; its participant is offline. ``frame`` confirms it, and goes
    before the frame of :meth:`SocketDialect.ended`.
    """

    topic: Topic
    frame: bytes = b""


Effect = ClientMessage | Move | LeaveSession | Choose | Answer | Reply | Subscribe | Unsubscribe
"""What a message asks for. A bare client message is for the only subscription: the plain dialect
hands on what it has decoded, so that a position costs no further object and no further call."""


class SocketDialect(Protocol):
    """The dialect of one socket."""

    @property
    def label(self) -> DialectLabel:
        """As metrics name it."""
        ...

    @property
    def subscribes_at_once(self) -> bool:
        """True: the upgrade opens the only subscription, and a refusal is an HTTP status. False:
        the client subscribes by message.
        """
        ...

    @property
    def reads_binary(self) -> bool:
        """Whether :meth:`receive` takes binary messages."""
        ...

    @property
    def receive(self) -> Callable[[str | bytes], Effect]:
        """What a whole message asks for. Raises InvalidMessage, nothing else. Read once, so that a
        message is one call.
        """
        ...

    def written(self, topic: Topic) -> Dialect:
        """How messages of this subscription, which is being made, are written. Subscriptions of one
        session for which this is equal (and hashes equal) share each encoded frame.
        """
        ...

    def error(self, code: ErrorCode, text: str) -> bytes:
        """The frame that refuses the newest message."""
        ...

    def subscribed(self, topic: Topic) -> bytes:
        """The frame that confirms a subscription, before its snapshot; empty for none."""
        ...

    def refused(self, topic: Topic, refusal: Refusal) -> bytes:
        """The frame that refuses a subscription."""
        ...

    def ended(self, topic: Topic, reason: CloseReason) -> bytes | None:
        """The frames that end a subscription, whoever ends it; called once for each. None where the
        socket cannot live without it: then the connection closes for ``reason``.
        """
        ...


@final
class SingleSocketDialect:
    """One subscription, from the upgrade to the close frame (docs/reference/protocol.md), in the
    plain or the compact dialect.
    """

    subscribes_at_once: Final = True

    __slots__ = ("_dialect", "label", "reads_binary", "receive")

    def __init__(self, dialect: PlainDialect | CompactDialect, label: DialectLabel) -> None:
        self._dialect = dialect
        self.label = label
        self.reads_binary = dialect.binary
        self.receive: Callable[[str | bytes], Effect] = dialect.decode
        """See :meth:`SocketDialect.receive`."""

    def written(self, _topic: Topic) -> Dialect:
        """See :meth:`SocketDialect.written`."""
        return self._dialect

    def error(self, code: ErrorCode, text: str) -> bytes:
        """See :meth:`SocketDialect.error`."""
        return encode_frame(Error(code, text), self._dialect)

    def subscribed(self, _topic: Topic) -> bytes:
        """The snapshot says so."""
        return b""

    def refused(self, _topic: Topic, _refusal: Refusal) -> bytes:
        """The upgrade is refused instead."""
        return b""

    def ended(self, _topic: Topic, _reason: CloseReason) -> None:
        """The close frame says so."""


PLAIN_SOCKET: Final[SocketDialect] = SingleSocketDialect(PLAIN, "plain")
COMPACT_SOCKET: Final[SocketDialect] = SingleSocketDialect(COMPACT, "compact")

Dialects = Mapping[str, Callable[[], SocketDialect]]
"""By subprotocol: what makes the dialect of a new socket."""

DEFAULT_DIALECTS: Final[Dialects] = MappingProxyType(
    {PLAIN.name: lambda: PLAIN_SOCKET, COMPACT.name: lambda: COMPACT_SOCKET}
)
