"""One participant in one session, on a socket that it may share with others.

The session sees a subscription as its :class:`~locshare.broadcast.receiver.Receiver`; the
connection holds it together with the link into that session. All subscriptions of a socket write to
its one outbox, so the order of frames, the bound on the backlog and the deadlines are the socket's:
a client that reads too slowly loses the connection, with every subscription on it.

Pure but for the ``send`` of the outbox; nothing here awaits.
"""

from typing import Final, Protocol, cast, final
from uuid import UUID

from locshare.broadcast.backlog import Topic
from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Exit, Fan, WriteCounters
from locshare.broadcast.outbox import Outbox
from locshare.broadcast.receiver import Receiver
from locshare.connection.admission import Link
from locshare.model.reasons import CloseReason
from locshare.wire.dialects import Dialect


class SubscriptionOwner(Protocol):
    """The connection, as one of its subscriptions sees it."""

    def close_subscription(self, subscription: "Subscription", reason: CloseReason) -> None:
        """The session closes it: called from the session's actor, must neither block nor raise."""
        ...


_SHUT: Final = Exit(-1, lambda _: 0, WriteCounters())
_SHUT.open = False


@final
class _NoOutbox:
    """Stands in for the outbox of a subscription that has ended, so that one that has not need not
    ask at every flush whether it has.
    """

    exit: Final = _SHUT
    backlog_bytes: Final = 0

    def send_event(self, frame: bytes) -> None:
        """Nothing goes out."""

    def queue_positions(self, flush: Flush, own: str, topic: Topic) -> None:
        """Nothing is kept."""


_ENDED: Final = cast("Outbox", _NoOutbox())  # its exit being shut, it is asked for nothing else


@final
class Subscription:
    """Implements :class:`~locshare.broadcast.receiver.Receiver`. ``topic`` is what the socket's
    dialect calls it; None on a plain socket, which has no other.
    """

    __slots__ = (
        "_entry",
        "_fan",
        "_outbox",
        "_owner",
        "dialect",
        "link",
        "session_id",
        "topic",
        "user_id",
    )

    def __init__(
        self,
        session_id: UUID,
        user_id: str,
        dialect: Dialect,
        outbox: Outbox,
        owner: SubscriptionOwner,
        link: Link,
        topic: Topic = None,
    ) -> None:
        self.session_id = session_id
        self.user_id = user_id
        self.dialect = dialect
        self.link = link
        self.topic = topic
        self._owner = owner
        self._outbox = outbox
        self._fan: Fan[Receiver] | None = None  # of its session, while it is in it…
        self._entry: Receiver | None = None  # …as this, which is not itself: no cycle

    @property
    def closed(self) -> bool:
        """See :attr:`Receiver.closed`."""
        return self._outbox is _ENDED

    @property
    def backlog_bytes(self) -> int:
        """See :attr:`Receiver.backlog_bytes`. What waits for the socket, not for this one alone."""
        return self._outbox.backlog_bytes

    def send_positions(self, flush: Flush) -> None:
        """See :meth:`Receiver.send_positions`. For what the fan does not write: to a receiver with
        a pace, or whose socket did not take it.
        """
        outbox = self._outbox
        user_id = self.user_id
        if not outbox.exit.open:
            outbox.queue_positions(flush, user_id, self.topic)
            return
        # Tested here too, to spare nearly every call of `without`.
        data = flush.without(user_id) if user_id in flush.frames else flush.joined
        if not data:
            return
        # What Outbox._write does, written out.
        try:
            sent = outbox.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            outbox.fail()
            return
        counters = outbox.counters
        counters.writes += 1
        counters.size += sent
        if sent != len(data):
            outbox.queue_rest(flush, user_id, sent, self.topic)

    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        """See :meth:`Receiver.join`."""
        self._fan = fan
        self._entry = entry
        fan.add(entry or self, self._outbox.exit)

    def send_rest(self, flush: Flush, sent: int) -> None:
        """See :meth:`Receiver.send_rest`."""
        self._outbox.queue_rest(flush, self.user_id, sent, self.topic)

    def send_event(self, frame: bytes) -> None:
        """See :meth:`Receiver.send_event`."""
        self._outbox.send_event(frame)

    def close(self, reason: CloseReason) -> None:
        """See :meth:`Receiver.close`. The first close wins."""
        if self._outbox is not _ENDED:
            self._owner.close_subscription(self, reason)

    def end(self) -> None:
        """Write nothing more. Idempotent."""
        self._outbox = _ENDED
        fan, self._fan = self._fan, None
        if fan is not None:
            fan.remove(self._entry or self)
            self._entry = None
