"""Between a connection and its session: where a connection's task can be made to raise, and a
session in the middle of telling.
"""

from typing import Literal, final
from uuid import UUID

from locshare.broadcast.fanout import Flush
from locshare.broadcast.receiver import Receiver
from locshare.connection.admission import Link, Sessions
from locshare.model.reasons import CloseReason
from locshare.ops.faults.handlers import InjectedFault
from locshare.wire.dialects import Dialect
from locshare.wire.messages import Position, Role

What = Literal["positions", "event"]


@final
class Wires:
    """What is to happen on the way between connections and sessions."""

    def __init__(self) -> None:
        self.crashing: set[str] = set()
        """By user id: whose connection raises at the next position."""
        self.traps: dict[tuple[UUID, What], int] = {}
        """How many connections the session tells before it raises."""

    def clear(self) -> None:
        """Nothing is to happen."""
        self.crashing.clear()
        self.traps.clear()

    def spring(self, session_id: UUID, what: What) -> None:
        """A session is about to tell a connection something. Raises InjectedFault."""
        left = self.traps.get((session_id, what))
        if left is None:
            return
        if left == 0:
            del self.traps[session_id, what]
            raise InjectedFault("in the middle of telling")
        self.traps[session_id, what] = left - 1


@final
class WiredSessions:
    """The sessions as they are, with wires."""

    def __init__(self, sessions: Sessions, wires: Wires) -> None:
        self._sessions = sessions
        self._wires = wires

    async def open(self, session_id: UUID, user_id: str, role: Role) -> Link:
        """As :meth:`Sessions.open`."""
        link = await self._sessions.open(session_id, user_id, role)
        return WiredLink(link, session_id, user_id, self._wires)


@final
class WiredLink:
    """The link as it is, but its connection's task may be made to raise."""

    def __init__(self, link: Link, session_id: UUID, user_id: str, wires: Wires) -> None:
        self._link = link
        self._session_id = session_id
        self._user_id = user_id
        self._wires = wires

    async def attach(self, receiver: Receiver) -> None:
        """As :meth:`Link.attach`."""
        await self._link.attach(WiredReceiver(receiver, self._session_id, self._wires))

    async def update(self, position: Position) -> None:
        """As :meth:`Link.update`. Raises InjectedFault."""
        if self._user_id in self._wires.crashing:
            self._wires.crashing.discard(self._user_id)
            raise InjectedFault("in a connection's task")
        await self._link.update(position)

    async def leave(self) -> None:
        """As :meth:`Link.leave`."""
        await self._link.leave()

    def detach(self) -> None:
        """As :meth:`Link.detach`."""
        self._link.detach()


@final
class WiredReceiver:
    """The receiver as it is, but it may raise, against the promise of all receivers."""

    __slots__ = ("_receiver", "_session_id", "_wires")

    def __init__(self, receiver: Receiver, session_id: UUID, wires: Wires) -> None:
        self._receiver = receiver
        self._session_id = session_id
        self._wires = wires

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
        if self._wires.traps:
            self._wires.spring(self._session_id, "event")
        self._receiver.send_event(frame)

    def send_positions(self, flush: Flush) -> None:
        """As :meth:`Receiver.send_positions`. Raises InjectedFault."""
        if self._wires.traps:
            self._wires.spring(self._session_id, "positions")
        self._receiver.send_positions(flush)

    def close(self, reason: CloseReason) -> None:
        """As :meth:`Receiver.close`."""
        self._receiver.close(reason)
