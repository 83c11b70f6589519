"""What one connection holds of its session.

It names the session, never an incarnation for good: when the actor it talks to is gone, it waits
for the next one and goes on there. So a crash of a session costs its connections a moment's wait,
and nothing else.
"""

from typing import Protocol, TypeVar, final

from locshare.actors import ActorDown, ActorRef, Offer, Request
from locshare.broadcast.receiver import Receiver
from locshare.session.commands import Attach, SessionCast, Update
from locshare.session.table import SessionTable
from locshare.wire.messages import Position, Role

R = TypeVar("R")


class Directory(Protocol):
    """What a link needs of :class:`locshare.session.manager.SessionManager`."""

    async def incarnation(self, table: SessionTable) -> ActorRef[SessionCast]:
        """The living actor of the session, waited for or started. Raises SessionOver,
        SessionUnavailable.
        """
        ...

    async def ask(self, table: SessionTable, request: Request[R]) -> R:
        """Call the session's actor. Raises SessionOver, SessionUnavailable, and what it answers."""
        ...

    async def leave(self, table: SessionTable, user_id: str) -> None:
        """The participant leaves for good. Raises SessionOver, SessionUnavailable."""
        ...

    def wake(self, table: SessionTable) -> None:
        """Make the session look at ``table.departed`` soon. Never fails."""
        ...


@final
class SessionLink:
    """One participant's way into one session. Made by the session manager.

    Until :meth:`detach` it keeps the session in memory.
    """

    __slots__ = ("_actor", "_directory", "_receiver", "_role", "_table", "_user_id", "_uses")

    def __init__(self, directory: Directory, table: SessionTable, user_id: str, role: Role) -> None:
        self._directory = directory
        self._table = table
        self._user_id = user_id
        self._role: Role = role
        table.use_count += 1
        self._uses = True
        self._receiver: Receiver | None = None
        self._actor: ActorRef[SessionCast] | None = None

    async def attach(self, receiver: Receiver) -> None:
        """Make ``receiver`` the participant's connection, instead of an older one (which is
        closed with REPLACED). On return the snapshot is the first thing in it.

        Raises SessionOver, ParticipantNotFound, SessionUnavailable. After a cancellation the
        receiver may be attached or not: :meth:`detach` puts both right.
        """
        self._receiver = receiver
        await self._directory.ask(self._table, Attach(receiver, self._role))

    async def update(self, position: Position) -> None:
        """Report a position. Without a checkpoint in the ordinary case.

        Waits while the session's mailbox is full, and while the session is restarted: that is
        what slows a phone down. Raises SessionOver, SessionUnavailable. If the wait is cancelled,
        the position was not taken.
        """
        message = Update(self._user_id, position)
        actor = self._actor
        if actor is not None and actor.offer(message) is Offer.ACCEPTED:
            return
        while True:
            actor = self._actor = await self._directory.incarnation(self._table)
            try:
                await actor.deliver(message)
            except ActorDown:
                continue  # it died while we waited, without having seen the message
            return

    async def leave(self) -> None:
        """The participant leaves for good; everyone knows on return. Leaving twice is leaving
        once. Raises SessionOver, SessionUnavailable.
        """
        await self._directory.leave(self._table, self._user_id)

    def detach(self) -> None:
        """The connection has ended. Synchronous, in any state; a newer connection of the same
        participant is not touched.
        """
        if self._uses:
            self._uses = False
            self._table.use_count -= 1
        receiver, self._receiver = self._receiver, None
        if receiver is not None and self._table.ended is None:
            self._table.departed.append(receiver)
            self._directory.wake(self._table)
