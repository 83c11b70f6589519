"""The one way out of a connection: every byte to its socket passes through its outbox.

Frames are never interleaved, nor truncated on an open connection. While the socket takes
everything, a flush is one ``send`` and nothing else: no task, no queue, no allocation that outlives
it. When the socket is full, the rest waits in a :class:`~locshare.broadcast.backlog.Backlog`
(events complete and in order, positions latest wins) and a drain task, started for the occasion,
waits for room. A receiver that never reads costs ``OutboxLimits.max_bytes`` at most. Its owner is
notified (:meth:`OutboxOwner.too_slow`): at once when the backlog exceeds that bound, else when
``write_deadline`` passes without a byte taken.

Not promised: that a frame arrived. The kernel took it; no more is known.

The outbox knows nothing of closing but that the close frame is the last one: whatever comes after
:meth:`Outbox.queue_close` is dropped. When to close is its owner's decision
(:mod:`locshare.connection.lifecycle`).

Only the drain task awaits. Invariant between any two calls: ``_backlog`` is None exactly when
nothing waits; the ``exit`` is open exactly when nothing waits and more may be written, and shut for
good before the socket is closed; there is a drain task exactly while something waits.

Positions do not pass through here while the exit is open: the session's fan
(:mod:`locshare.broadcast.native`) writes them to the sockets of all its receivers in one loop.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, final

import trio

from locshare.broadcast.backlog import Backlog, Control, Topic
from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Exit, WriteCounters
from locshare.config.sections import OutboxSettings

_CHUNK = 64 * 1024  # more than a socket's send buffer takes at once gains nothing


class OutboxLimits(OutboxSettings, frozen=True):
    """How far a receiver may fall behind. Seconds and bytes."""

    write_deadline: float = 15.0
    linger: float = 2.0
    """How long a close may take: what is left to write, and the client's answer to it."""


DEFAULT_LIMITS: Final = OutboxLimits()


class OutboxSocket(Protocol):
    """What an outbox needs of a socket."""

    @property
    def send(self) -> Callable[[bytes], int]:
        """Returns how many bytes the kernel took. BlockingIOError: none now; another OSError:
        gone. Read once, so that a write is one call.
        """
        ...

    @property
    def descriptor(self) -> int:
        """Its file descriptor; -1 where there is none."""
        ...

    async def wait_writable(self) -> None:
        """Until the socket may take bytes. Raises trio.ClosedResourceError or OSError."""
        ...


class OutboxOwner(Protocol):
    """Notified of what happens to the frames, from inside the outbox's methods: must neither block
    nor raise, and may call :meth:`Outbox.queue_close` and :meth:`Outbox.abandon`.
    """

    def drained(self) -> None:
        """All that waited, or the close frame, is written."""
        ...

    def write_failed(self) -> None:
        """The socket is gone."""
        ...

    def too_slow(self) -> None:
        """The receiver is too far behind. Repeated when a further ``write_deadline`` passes without
        progress.
        """
        ...


@final
class Outbox:
    """The frames on their way to one non-blocking socket. ``spawn`` starts the drain task."""

    __slots__ = (
        "_backlog",
        "_limits",
        "_owner",
        "_sealed",
        "_socket",
        "_spawn",
        "counters",
        "exit",
        "send",
    )

    def __init__(
        self,
        socket: OutboxSocket,
        owner: OutboxOwner,
        *,
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
        counters: WriteCounters,
        limits: OutboxLimits = DEFAULT_LIMITS,
    ) -> None:
        self.send = socket.send
        """The socket's own. For :meth:`~locshare.connection.subscription.Subscription.\
send_positions`, which does in one frame what :meth:`_write` does, while ``exit`` is open."""
        self.exit = Exit(socket.descriptor, socket.send, counters)
        """Open while nothing waits and more may be written: the one test of the fast path."""
        self.counters = counters
        self._socket = socket
        self._owner = owner
        self._spawn = spawn
        self._limits = limits
        self._backlog: Backlog | None = None
        self._sealed = False  # the close frame has been handed over

    @property
    def backlog_bytes(self) -> int:
        """What waits, with its bookkeeping."""
        return 0 if self._backlog is None else self._backlog.cost

    def send_event(self, frame: bytes) -> None:
        """Write ``frame`` behind everything handed over before it."""
        if self.exit.open:
            self._send_alone(frame)
        elif self._backlog is not None and not self._sealed:
            self._backlog.add_event(frame)
            self._check_bound(self._backlog)

    def send_control(self, kind: Control, frame: bytes) -> None:
        """Write a protocol ping or pong. While the socket is full, the newest of its kind waits."""
        if self.exit.open:
            self._send_alone(frame)
        elif self._backlog is not None and not self._sealed:
            self._backlog.add_control(kind, frame)

    def queue_positions(self, flush: Flush, own: str, topic: Topic = None) -> None:
        """Keep a flush while the exit is shut, without the frame of ``own``."""
        if self._backlog is not None and not self._sealed:
            self._backlog.add_positions(flush.waiting, own, topic)
            self._check_bound(self._backlog)

    def queue_rest(self, flush: Flush, own: str, sent: int, topic: Topic = None) -> None:
        """The socket took only the first ``sent`` bytes of a flush: keep the rest."""
        backlog = self._stall()
        if sent and flush.whole:
            backlog.add_rest_of_event(flush.joined, sent)
        else:
            backlog.add_rest(flush.waiting, own, sent, topic)

    def queue_close(self, frame: bytes, *, alone: bool = False) -> None:
        """Write the close frame behind the events that wait; positions that wait are dropped.

        ``alone`` drops everything but a frame already begun, which gives the memory of a slow
        receiver back at once. The owner hears ``drained`` when all is written, which may be before
        this returns.
        """
        self._sealed = True
        backlog = self._backlog
        if backlog is not None:
            if alone:
                backlog.drop_waiting()
            else:
                backlog.drop_positions()
            backlog.add_event(frame)
        elif self.exit.open:
            self._send_alone(frame)
            if self.exit.open:
                self._all_written()

    def abandon(self) -> bool:
        """Write nothing more and drop what waits. True when something did. Idempotent; the owner
        calls it before it closes the socket.
        """
        self.exit.open = False
        backlog, self._backlog = self._backlog, None
        return backlog is not None

    # --- the socket -----------------------------------------------------------------------------

    def _write(self, data: bytes) -> int:
        """One non-blocking send. Returns what was taken; after a lost socket, 0."""
        try:
            sent = self.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.fail()
            return 0
        self.counters.writes += 1
        self.counters.size += sent
        return sent

    def fail(self) -> None:
        """A write raised: the socket is gone."""
        self.abandon()
        self._owner.write_failed()

    def _send_alone(self, frame: bytes) -> None:
        """Send a frame that is not a position while nothing waits."""
        sent = self._write(frame)
        if sent != len(frame) and self.exit.open:
            self._stall().add_rest_of_event(frame, sent)

    def _stall(self) -> Backlog:
        """The socket is full: from now on frames wait, and a drain task writes them."""
        self.counters.stalls += 1
        self.exit.open = False
        backlog = self._backlog = Backlog()
        self._spawn(self._drain)
        return backlog

    def _check_bound(self, backlog: Backlog) -> None:
        # A single write that was cut may be larger (a large session's snapshot); what is added
        # behind it may not.
        if backlog.cost > self._limits.max_bytes + backlog.started:
            self._owner.too_slow()

    async def _drain(self) -> None:
        """Write the backlog as the socket takes it. Ends when it is empty or the socket is gone.

        Cancelled together with the connections' nursery; the frames that wait are then lost with
        the connection.
        """
        while (backlog := self._backlog) is not None:
            with trio.move_on_after(self._limits.write_deadline) as deadline:
                try:
                    await self._socket.wait_writable()
                except (OSError, trio.ClosedResourceError):
                    if self._backlog is backlog:
                        self.fail()
                    return
            if deadline.cancelled_caught:
                if self._backlog is backlog:
                    self._owner.too_slow()
                # One more chance, for the close frame, until the linger is over.
                continue
            if self._backlog is backlog:
                backlog.advance(self._write(backlog.chunk(_CHUNK)))
                if not backlog and self._backlog is backlog:
                    self._backlog = None
                    self._all_written()

    def _all_written(self) -> None:
        self.exit.open = not self._sealed
        self._owner.drained()
