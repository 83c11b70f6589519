"""What a session knows of a connection: a place to put finished frames. Nothing here awaits.

The session actor calls these from its handlers, so between two messages every receiver has been
given everything. An implementation takes every call in O(1), never raises, and never calls back
into the session.
"""

from typing import Protocol

from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.model.reasons import CloseReason
from locshare.wire.dialects import Dialect


class Receiver(Protocol):
    """One participant's connection, seen from its session
    (:class:`locshare.connection.subscription.Subscription`).
    """

    @property
    def user_id(self) -> str:
        """The participant."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How its messages are written. Receivers with equal dialects share each encoded frame."""
        ...

    @property
    def closed(self) -> bool:
        """True once it has ended or is closing."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """Bytes that its socket has not taken yet."""
        ...

    def send_event(self, frame: bytes) -> None:
        """Queue one finished frame. Events are delivered completely and in order, or the connection
        is closed with ``TOO_SLOW``. Ignored after close.
        """
        ...

    def send_positions(self, flush: Flush) -> None:
        """Send the positions of a flush, without the receiver's own unless all are one frame.
        Latest wins: while the socket is full, a newer position of a participant replaces the older
        one.
        """
        ...

    def join(self, fan: "Fan[Receiver]", entry: "Receiver | None" = None) -> None:
        """Add itself to ``fan``, or ``entry``, which stands for it in the session. The fan then
        writes each flush to its socket, and hands back what the socket does not take. At its end it
        takes itself out.
        """
        ...

    def send_rest(self, flush: Flush, sent: int) -> None:
        """The fan wrote only the first ``sent`` bytes of a flush, one or more. Called before
        anything else can be written to the socket.
        """
        ...

    def close(self, reason: CloseReason) -> None:
        """Close behind the events that wait, or after a short deadline. The first close wins."""
        ...
