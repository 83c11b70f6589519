"""Fault points between a connection and its session: a connection's task raises, or a session
raises in the middle of a delivery.
"""

from typing import Literal, final
from uuid import UUID
from weakref import WeakSet

from locshare.broadcast.fanout import Flush
from locshare.broadcast.native import Fan
from locshare.broadcast.receiver import Receiver
from locshare.connection.admission import Link, SessionOpener
from locshare.model.participant import PresenceState
from locshare.model.position import Position
from locshare.model.reasons import CloseReason
from locshare.ops.faults.handlers import InjectedFault
from locshare.session.commands import NO_OPTIONS, AttachOptions
from locshare.wire.dialects import Dialect

What = Literal["positions", "event"]


@final
class FaultPoints:
    """Which connections and deliveries are to fail."""

    def __init__(self) -> None:
        self.crashing: set[str] = set()
        """User ids whose connection raises at its next position."""
        self.deliveries: dict[tuple[UUID, What], int] = {}
        """How many more receivers get the flush or event before the session raises."""

        self._receivers: WeakSet[ReceiverWithFaults] = WeakSet()

    def arm(self, session_id: UUID, what: What, after: int) -> None:
        """Let the delivery to the receiver after the next ``after`` raise."""
        self.deliveries[session_id, what] = after
        if what == "positions":
            for receiver in self._receivers:
                receiver.leave_fan(session_id)

    def note(self, receiver: "ReceiverWithFaults") -> None:
        """``receiver`` may be in a fan from now on."""
        self._receivers.add(receiver)

    def clear(self) -> None:
        """Remove all."""
        self.crashing.clear()
        self.deliveries.clear()

    def trigger(self, session_id: UUID, what: What) -> None:
        """Call before each delivery to a receiver. Raises InjectedFault when it is due."""
        left = self.deliveries.get((session_id, what))
        if left is None:
            return
        if left == 0:
            del self.deliveries[session_id, what]
            raise InjectedFault("in the middle of a delivery")
        self.deliveries[session_id, what] = left - 1


@final
class SessionsWithFaults:
    """The real sessions, with fault points."""

    def __init__(self, sessions: SessionOpener, points: FaultPoints) -> None:
        self._sessions = sessions
        self._points = points

    async def open(self, session_id: UUID, user_id: str) -> Link:
        """As :meth:`SessionOpener.open`."""
        link = await self._sessions.open(session_id, user_id)
        return LinkWithFaults(link, session_id, user_id, self._points)


@final
class LinkWithFaults:
    """The real link; its connection's task raises on request."""

    def __init__(self, link: Link, session_id: UUID, user_id: str, points: FaultPoints) -> None:
        self._link = link
        self._session_id = session_id
        self._user_id = user_id
        self._points = points

    async def attach(self, receiver: Receiver, options: AttachOptions = NO_OPTIONS) -> None:
        """As :meth:`Link.attach`."""
        await self._link.attach(
            ReceiverWithFaults(receiver, self._session_id, self._points), options
        )

    def offer(self, position: Position, received: float) -> bool:
        """As :meth:`Link.offer`. Raises InjectedFault."""
        self._crash_if_asked()
        return self._link.offer(position, received)

    async def update(self, position: Position, received: float) -> None:
        """As :meth:`Link.update`. Raises InjectedFault."""
        self._crash_if_asked()
        await self._link.update(position, received)

    def _crash_if_asked(self) -> None:
        if self._user_id in self._points.crashing:
            self._points.crashing.discard(self._user_id)
            raise InjectedFault("in a connection's task")

    async def set_pace(self, interval_s: float) -> None:
        """As :meth:`Link.set_pace`."""
        await self._link.set_pace(interval_s)

    async def set_state(self, state: PresenceState) -> None:
        """As :meth:`Link.set_state`."""
        await self._link.set_state(state)

    async def leave(self) -> None:
        """As :meth:`Link.leave`."""
        await self._link.leave()

    def detach(self) -> None:
        """As :meth:`Link.detach`."""
        self._link.detach()


@final
class ReceiverWithFaults:
    """The real receiver; it raises on request, although receivers promise never to."""

    __slots__ = ("__weakref__", "_fan", "_points", "_receiver", "_session_id")

    def __init__(self, receiver: Receiver, session_id: UUID, points: FaultPoints) -> None:
        self._fan: Fan[Receiver] | None = None
        self._receiver = receiver
        self._session_id = session_id
        self._points = points

    @property
    def user_id(self) -> str:
        """Whose connection this is."""
        return self._receiver.user_id

    @property
    def dialect(self) -> Dialect:
        """How it wants its messages written."""
        return self._receiver.dialect

    @property
    def closed(self) -> bool:
        """True once it has ended."""
        return self._receiver.closed

    @property
    def backlog_bytes(self) -> int:
        """What it has not yet been able to write."""
        return self._receiver.backlog_bytes

    def send_event(self, frame: bytes) -> None:
        """As :meth:`Receiver.send_event`. Raises InjectedFault."""
        if self._points.deliveries:
            self._points.trigger(self._session_id, "event")
        self._receiver.send_event(frame)

    def send_positions(self, flush: Flush) -> None:
        """As :meth:`Receiver.send_positions`. Raises InjectedFault."""
        if self._points.deliveries:
            self._points.trigger(self._session_id, "positions")
        self._receiver.send_positions(flush)

    def join(self, fan: Fan[Receiver], entry: Receiver | None = None) -> None:
        """As :meth:`Receiver.join`. Without an exit while deliveries are to fail: each flush then
        passes the fault point.
        """
        if (self._session_id, "positions") in self._points.deliveries:
            fan.add(entry or self, None)
        else:
            self._fan = fan
            self._receiver.join(fan, entry or self)
            self._points.note(self)

    def leave_fan(self, session_id: UUID) -> None:
        """Deliveries of ``session_id`` are to fail: take each flush one by one."""
        fan = self._fan
        if fan is None or session_id != self._session_id or self.closed:
            return
        self._fan = None
        fan.remove(self)
        fan.add(self, None)

    def send_rest(self, flush: Flush, sent: int) -> None:
        """As :meth:`Receiver.send_rest`."""
        self._receiver.send_rest(flush, sent)

    def close(self, reason: CloseReason) -> None:
        """As :meth:`Receiver.close`."""
        self._receiver.close(reason)
