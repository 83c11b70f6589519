"""What a session knows of a connection: a place to put finished frames. Nothing here awaits.

The session actor calls these from its handlers, so between two messages every receiver has been
told everything. An implementation must take every call in O(1), must never raise, and must never
call back into the session.
"""

from typing import Protocol

from locshare.broadcast.fanout import Flush
from locshare.model.reasons import CloseReason
from locshare.wire.dialects import Dialect


class Receiver(Protocol):
    """One connection, seen from its session."""

    @property
    def user_id(self) -> str:
        """Whose connection this is."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How this connection wants its messages written."""
        ...

    @property
    def closed(self) -> bool:
        """True once the connection ended or was told to close."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """What it has not yet been able to write."""
        ...

    def send_event(self, frame: bytes) -> None:
        """Queue one finished frame on the ordered lane: delivered in order, or the connection is
        closed with ``TOO_SLOW``. Ignored after close.
        """
        ...

    def send_positions(self, flush: Flush) -> None:
        """Hand over what moved. Latest wins: when the socket is blocked, a newer position of the
        same participant replaces the older one. The receiver's own position is left out.
        """
        ...

    def close(self, reason: CloseReason) -> None:
        """Close after what is on the ordered lane has been written (or a short deadline)."""
        ...
