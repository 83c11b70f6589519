"""The one way out of a connection: every byte to its socket passes through its outbox.

Promises. Frames never interleave and never break off in the middle of a connection that goes on.
While the socket takes everything, a flush is one ``send`` and nothing else: no task, no queue, no
allocation that outlives it. When the socket is blocked, the rest waits in a
:class:`~locshare.broadcast.backlog.Backlog` (events complete and in order, positions latest wins)
and one drain task, spawned for the occasion, waits for room. A receiver that never reads costs
``OutboxLimits.max_bytes`` at most and is closed with ``TOO_SLOW``: at once when the backlog is
over that bound, else when ``write_deadline`` passes without a single byte taken.

Not promised: that a frame arrived. The kernel took it, no more is known.

Nothing here awaits but the drain task. Invariant between any two calls: ``_backlog`` is None
exactly when all frames handed over were written, and there is a drain task exactly when it is not
None and the socket is not lost.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio
from msgspec import Struct

from locshare.broadcast.backlog import Backlog, Control
from locshare.broadcast.fanout import Flush
from locshare.model.reasons import CloseReason
from locshare.wire.dialects import Dialect

_CHUNK = 64 * 1024  # more than a socket's send buffer takes at once gains nothing


class OutboxLimits(Struct, frozen=True):
    """How far a receiver may fall behind. Seconds and bytes."""

    max_bytes: int = 256 * 1024
    write_deadline: float = 15.0
    linger: float = 2.0
    """How long a close may take: what is left to write, and the client's answer to it."""


DEFAULT_LIMITS: Final = OutboxLimits()


class Written:
    """What all outboxes that share it have written.

    Shared, because three numbers per outbox would be three places in memory that every flush has to
    fetch for every receiver, and nothing of what is near to hand.
    """

    __slots__ = ("size", "stalls", "writes")

    def __init__(self) -> None:
        self.writes = 0
        """How many times bytes were handed to the kernel."""
        self.size = 0
        """Bytes that it took."""
        self.stalls = 0
        """How many times a socket did not take all that was offered while it was free."""


class Wire(Protocol):
    """What an outbox needs of a socket. Only :meth:`wait_writable` awaits."""

    @property
    def send(self) -> Callable[[bytes], int]:
        """Returns how many bytes the kernel took. BlockingIOError: none now; another OSError:
        gone. Read once, so that a write is one call.
        """
        ...

    async def wait_writable(self) -> None:
        """Until the socket may take bytes. Raises trio.ClosedResourceError or OSError."""
        ...

    def close_frame(self, reason: CloseReason) -> bytes:
        """The close frame for ``reason``, or nothing when one was already sent."""
        ...

    def end_of_writing(self) -> None:
        """All is written and nothing will follow (half-close). Never raises."""
        ...


class Outbox:
    """Implements :class:`~locshare.broadcast.receiver.Receiver` on one non-blocking socket.

    ``spawn`` starts the drain task; ``on_closing`` is called once, when the connection was told to
    close or was lost, with the seconds that are left for it. Both are called from inside the
    methods here, and so must neither block nor raise. ``written`` is where its writes are counted.
    """

    __slots__ = (
        "_backlog", "_blocked", "_limits", "_on_closing", "_send", "_spawn", "_wire", "_written",
        "dialect", "reason", "user_id",
    )  # fmt: skip

    def __init__(
        self,
        user_id: str,
        dialect: Dialect,
        wire: Wire,
        *,
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
        on_closing: Callable[[float], None],
        written: Written,
        limits: OutboxLimits = DEFAULT_LIMITS,
    ) -> None:
        self.user_id = user_id
        self.dialect = dialect
        self.reason: CloseReason | None = None
        """Why the connection ends; the first reason stands. None while it goes on."""
        self._wire = wire
        self._send = wire.send
        self._spawn = spawn
        self._on_closing = on_closing
        self._written = written
        self._limits = limits
        self._backlog: Backlog | None = None
        self._blocked = False  # a backlog, or closed: the one test of the fast path

    @property
    def closed(self) -> bool:
        """True once the connection was told to close, or is gone."""
        return self.reason is not None

    @property
    def backlog_bytes(self) -> int:
        """What waits, with its bookkeeping."""
        return 0 if self._backlog is None else self._backlog.cost

    # --- the session's side ---------------------------------------------------------------------

    def send_positions(self, flush: Flush) -> None:
        """See :meth:`~locshare.broadcast.receiver.Receiver.send_positions`."""
        if self._blocked:
            if self.reason is None and self._backlog is not None:
                self._backlog.add_positions(flush.frames, self.user_id)
                self._check_bound(self._backlog)
            return
        user_id = self.user_id
        # Asked here too, to spare nearly everyone the call.
        data = flush.without(user_id) if user_id in flush.frames else flush.joined
        if not data:
            return
        # What _write does, written out: this runs for every receiver of every flush.
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.lost(CloseReason.PEER_GONE)
            return
        written = self._written
        written.writes += 1
        written.size += sent
        if sent != len(data):
            self._stall().add_rest(flush.frames, user_id, sent)

    def send_event(self, frame: bytes) -> None:
        """See :meth:`~locshare.broadcast.receiver.Receiver.send_event`."""
        if self._blocked:
            if self.reason is None and self._backlog is not None:
                self._backlog.add_event(frame)
                self._check_bound(self._backlog)
            return
        self._send_alone(frame)

    def close(self, reason: CloseReason) -> None:
        """Close after the events that wait; positions that wait are dropped. The first close wins.

        A receiver that is closed for being slow gets no more than the frame it was in and the
        close frame, and its backlog is given back at once.
        """
        if self.reason is None:
            self.finish(reason, self._wire.close_frame(reason))

    # --- the connection's side ------------------------------------------------------------------

    def send_control(self, kind: Control, frame: bytes) -> None:
        """Send a protocol ping or pong; when blocked, the newest of its kind waits."""
        if self._blocked:
            if self.reason is None and self._backlog is not None:
                self._backlog.add_control(kind, frame)
            return
        self._send_alone(frame)

    def finish(self, reason: CloseReason, close_frame: bytes) -> None:
        """Like :meth:`close`, with the close frame at hand (an echo, or a protocol's verdict)."""
        if self.reason is not None:
            return
        self.reason = reason
        backlog = self._backlog
        if backlog is not None:
            if reason is CloseReason.TOO_SLOW:
                backlog.drop_waiting()
            else:
                backlog.drop_positions()
            if close_frame:
                backlog.add_event(close_frame)
            self._on_closing(self._limits.linger)
            return
        if close_frame:
            self._send_alone(close_frame)
        self._blocked = True
        if self._backlog is None:
            self._wire.end_of_writing()
        self._on_closing(self._limits.linger)

    def lost(self, reason: CloseReason) -> None:
        """The socket is gone, or is given up: nothing more will be written."""
        self._blocked = True
        self._backlog = None
        if self.reason is None:
            self.reason = reason
            self._on_closing(0.0)

    # --- the socket -----------------------------------------------------------------------------

    def _write(self, data: bytes) -> int:
        """One non-blocking send. Returns what was taken; after a lost socket, 0."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.lost(CloseReason.PEER_GONE)
            return 0
        self._written.writes += 1
        self._written.size += sent
        return sent

    def _send_alone(self, frame: bytes) -> None:
        """Send a frame that is not a position while nothing waits."""
        sent = self._write(frame)
        if sent != len(frame) and not self._blocked:
            self._stall().add_rest_of_event(frame, sent)

    def _stall(self) -> Backlog:
        """The socket is full: from now on frames wait, and a drain task writes them."""
        self._written.stalls += 1
        self._blocked = True
        backlog = self._backlog = Backlog()
        self._spawn(self._drain)
        return backlog

    def _check_bound(self, backlog: Backlog) -> None:
        # A single write that was cut may be larger (a large session's snapshot); what is added
        # behind it may not.
        if backlog.cost > self._limits.max_bytes + backlog.started:
            self.close(CloseReason.TOO_SLOW)

    async def _drain(self) -> None:
        """Write the backlog as the socket takes it. Ends when it is empty or the socket is gone.

        Cancelled together with the connections' nursery; the frames that wait are then lost with
        the connection.
        """
        while (backlog := self._backlog) is not None:
            with trio.move_on_after(self._limits.write_deadline) as patience:
                try:
                    await self._wire.wait_writable()
                except (OSError, trio.ClosedResourceError):
                    self.lost(CloseReason.PEER_GONE)
                    return
            if patience.cancelled_caught:
                self.close(CloseReason.TOO_SLOW)
                # One more chance, for the close frame, until the linger is over.
                continue
            if self._backlog is backlog:
                backlog.advance(self._write(backlog.chunk(_CHUNK)))
                if not backlog and self._backlog is backlog:
                    self._drained()

    def _drained(self) -> None:
        self._backlog = None
        if self.reason is None:
            self._blocked = False
        else:
            self._wire.end_of_writing()
