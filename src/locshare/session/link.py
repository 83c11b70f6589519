"""What one connection holds of its session.

It names the session and never one incarnation for good: when its actor is gone, it waits for the
next one and goes on there. A crash of a session costs its connections a moment's wait and nothing
else.
"""

from typing import TypeVar, final

from locshare.actors import ActorDown, ActorRef, Offer
from locshare.broadcast.receiver import Receiver
from locshare.model.participant import PresenceState
from locshare.model.position import Position
from locshare.session.calls import SessionCalls
from locshare.session.commands import (
    NO_OPTIONS,
    Attach,
    AttachOptions,
    ChangePace,
    LeaveForGood,
    SessionCast,
    SetState,
    Update,
)
from locshare.session.features.feature import FeatureCommand
from locshare.session.table import SessionTable

R = TypeVar("R")


@final
class SessionLink:
    """One participant's way into one session. Made by the session manager.

    Until :meth:`detach` it keeps the session in memory.
    """

    __slots__ = ("_actor", "_attached", "_calls", "_counted", "_table", "_user_id")

    def __init__(self, calls: SessionCalls, table: SessionTable, user_id: str) -> None:
        self._calls = calls
        self._table = table
        self._user_id = user_id
        table.local.use_count += 1
        self._counted = True
        self._attached: Receiver | None = None
        self._actor: ActorRef[SessionCast] | None = None

    async def attach(self, receiver: Receiver, options: AttachOptions = NO_OPTIONS) -> None:
        """Make ``receiver`` the participant's connection, instead of an older one (which is
        closed with REPLACED). On return the snapshot is the first thing in it.

        Raises SessionOver, ParticipantNotFound, SessionUnavailable. Cancelled: the receiver is
        attached or not; :meth:`detach` is right in both cases.
        """
        self._attached = receiver
        await self._calls.ask(self._table, Attach(receiver, options))

    def offer(self, position: Position, received: float = 0.0) -> bool:
        """Report a position, read at ``received`` (Trio's clock; 0: not measured), unless that
        would have to wait. False: nothing was reported.
        """
        actor = self._actor
        return (
            actor is not None
            and actor.offer(Update(self._user_id, position, received)) is Offer.ACCEPTED
        )

    async def update(self, position: Position, received: float = 0.0) -> None:
        """As :meth:`offer`, and wait where it would have to. Without a checkpoint in the ordinary
        case.

        Waits while the session's mailbox is full, and while the session is restarted: this is the
        back-pressure on a connection. Raises SessionOver, SessionUnavailable. Cancelled in the
        wait: the position was not taken.
        """
        message = Update(self._user_id, position, received)
        actor = self._actor
        if actor is not None and actor.offer(message) is Offer.ACCEPTED:
            return
        await self._deliver(message)

    async def set_pace(self, interval_s: float) -> None:
        """Choose how often positions come to the attached receiver, until it ends. Waits, fails
        and is cancelled as :meth:`update`. Does nothing before :meth:`attach`.
        """
        if self._attached is not None:
            await self._deliver(ChangePace(self._attached, interval_s))

    async def set_state(self, state: PresenceState) -> None:
        """Show the others what the person of the attached receiver does, until it ends. As
        :meth:`set_pace`.
        """
        if self._attached is not None:
            await self._deliver(SetState(self._attached, state))

    async def _deliver(self, message: SessionCast) -> None:
        while True:
            actor = self._actor = await self._calls.actor(self._table)
            try:
                await actor.deliver(message)
            except ActorDown:
                continue  # it died while we waited, without having seen the message
            return

    async def leave(self) -> None:
        """The participant leaves for good; everyone knows on return. Idempotent. Raises
        SessionOver, SessionUnavailable.
        """
        await self._calls.take_out(self._table, self._user_id, LeaveForGood(self._user_id))

    async def command(self, command: FeatureCommand[R]) -> R:
        """Let a feature decide ``command``. Raises SessionOver, SessionUnavailable, FeatureFull,
        and what the feature refuses with.
        """
        return await self._calls.ask(self._table, command)

    def detach(self) -> None:
        """The connection has ended. Synchronous, valid in any state; a newer connection of the
        same participant stays.
        """
        if self._counted:
            self._counted = False
            self._table.local.use_count -= 1
        receiver, self._attached = self._attached, None
        if receiver is not None and self._table.ended is None:
            self._table.departed.append(receiver)
            self._calls.note_departure(self._table)
