"""Calls to the actor of a session, for the façade and the links, which hold its table.

A caller names the session and never one incarnation for good: when the actor is restarted, a call
goes to the next one.
"""

from typing import TypeVar, final

import trio

from locshare.actors import ActorDown, ActorRef, CallTimeout, Request
from locshare.session.commands import CHECK_DEPARTURES, SessionCast
from locshare.session.directory.directory import SessionDirectory
from locshare.session.errors import ParticipantNotFound, SessionUnavailable
from locshare.session.lifecycle import SessionLifecycle, check_not_over
from locshare.session.limits import SessionLimits
from locshare.session.table import SessionTable
from locshare.store.port import Store

R = TypeVar("R")


@final
class SessionCalls:
    """Holds nothing of a session."""

    def __init__(
        self,
        directory: SessionDirectory,
        lifecycle: SessionLifecycle,
        store: Store,
        limits: SessionLimits,
    ) -> None:
        self._directory = directory
        self._lifecycle = lifecycle
        self._store = store
        self._limits = limits

    async def actor(self, table: SessionTable) -> ActorRef[SessionCast]:
        """The session's living actor. Raises SessionOver, SessionUnavailable."""
        return await self._lifecycle.running_actor(table)

    async def ask(self, table: SessionTable, request: Request[R]) -> R:
        """Call the session's actor, once more if it dies before it has answered.

        Raises SessionOver, SessionUnavailable, and what the actor answers. A request that the
        incarnation that died had handled is handled twice: all requests are idempotent, but the
        second LeaveForGood fails with ParticipantNotFound.
        """
        for _attempt in range(2):
            actor = await self._lifecycle.running_actor(table)
            try:
                return await actor.call(request, self._limits.call_timeout)
            except CallTimeout:
                raise SessionUnavailable from None
            except ActorDown:
                continue
        check_not_over(table)
        raise SessionUnavailable("the session is being restarted")

    def cast(self, table: SessionTable, message: SessionCast) -> None:
        """Send ``message`` to the session's actor; lost between two incarnations."""
        actor = self._directory.actor(table.session.id)
        if actor is not None:
            actor.cast(message)

    def note_departure(self, table: SessionTable) -> None:
        """Make the session look at ``table.departed`` soon. A full mailbox, or an actor that is
        being restarted, gets there without this.
        """
        self.cast(table, CHECK_DEPARTURES)

    async def take_out(self, table: SessionTable, user_id: str, request: Request[None]) -> None:
        """Make a participant leave for good by ``request``; everyone knows on return. Idempotent.

        Raises SessionOver, SessionUnavailable. Not cancelled once begun.
        """
        # Both or neither: what is delivered to everyone is also written.
        with trio.CancelScope(shield=True):  # both have a deadline
            try:
                await self.ask(table, request)
            except ParticipantNotFound:
                pass  # another call, or an incarnation that died, has done it
            except SessionUnavailable:
                if user_id in table.roster:
                    raise
            await self._store.deactivate_participant(table.session.id, user_id)
