"""Refs: what the rest of the program holds of an actor.

A ref names one incarnation for ever (statement 14): after a restart it is the ref of somebody
dead, never of the new one. Whoever wants "the one that is there now" looks it up by name or asks
the supervisor. A ref keeps neither the actor nor its state alive after the end, so it may be
stored without care.
"""

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from trio.lowlevel import Abort, current_task, wait_task_rescheduled

from locshare.actors.checks import bad_callable, bad_seconds, raise_after_checkpoint, raise_if
from locshare.actors.mailbox import ACCEPTED, CALL, CAST, INFO, Mailbox, Offer, Overflow
from locshare.actors.monitors import Down, Monitor
from locshare.actors.reasons import (
    SHUTDOWN,
    CallTimeout,
    CallToSelf,
    ExitReason,
    MailboxFull,
    NoProc,
    WrongThread,
    bad_reason,
)
from locshare.actors.reply import ReplyTo, Request
from locshare.actors.threads import FromThread

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from locshare.actors.incarnation import Incarnation
    from locshare.actors.loop import ActorIncarnation

    M = TypeVarWithDefault("M", contravariant=True, default=Any)
else:
    # The default is news to type checkers only: it lets a bare `ActorRef` mean "any message".
    M = TypeVar("M", contravariant=True)

R = TypeVar("R")


class Ref:
    """One incarnation of anything that is supervised: an actor, a supervisor, a plain task."""

    __slots__ = ("__weakref__", "_incarnation", "name", "serial")

    def __init__(self, incarnation: "Incarnation", name: str, serial: int) -> None:
        self._incarnation = incarnation
        self.name = name  #: the child id or a given name; for people, not unique
        self.serial = serial  #: unique in this process

    def __repr__(self) -> str:
        state = "" if self.alive else f" {self.exit_reason}"
        return f"<{type(self).__name__} {self.name}#{self.serial}{state}>"

    @property
    def alive(self) -> bool:
        """False from the exit path on. True while init runs."""
        return self._incarnation.reason is None

    @property
    def exit_reason(self) -> ExitReason | None:
        """Why it ended, or None while it lives."""
        return self._incarnation.reason

    @property
    def value(self) -> object:
        """What a plain task passed to ``task_status.started``; None for actors."""
        return self._incarnation.value

    def monitor(self, callback: Callable[[Down], None]) -> Monitor:
        """Call ``callback`` with one :class:`Down` when this incarnation ends.

        For code that is not an actor. It runs synchronously in the exit path, so it must be
        quick and must not raise. For a dead target it is called at once with ``noproc``. Raises
        TypeError for what is no function, WrongThread.
        """
        raise_if(bad_callable("callback", callback))
        return Monitor(self, self._incarnation, None, callback)

    async def wait_exit(self) -> ExitReason:
        """Wait for the end and return its reason; at once if it has ended. A checkpoint always.
        Cancelling the wait changes nothing for the actor. CallToSelf in the actor's own task.
        """
        if self._incarnation.task is current_task():
            await raise_after_checkpoint(CallToSelf(f"{self.name} cannot wait for its own end"))
        return await self._incarnation.wait_exit()

    async def stop(self, reason: ExitReason = SHUTDOWN, timeout: float = 5.0) -> ExitReason:
        """Ask for an orderly end and return the actual reason after the death (statement 38).

        The request overtakes the backlog: the current message is finished, ``terminate`` runs
        (with ``timeout`` seconds as its deadline), and what waited is dropped and counted, or
        failed if it was a call. Only an owner should do this; a supervisor sees the exit and
        restarts by its rules.

        Raises NoProc at once if the target is dead, CallTimeout if it has not ended within
        ``timeout`` seconds (the request stands, nothing is killed), TypeError or ValueError for
        a bad reason or timeout (and then nothing was asked), CallToSelf in the target's own task.
        Cancelling the wait does not take the request back.
        """
        incarnation = self._incarnation
        problem = bad_reason(reason) or bad_seconds("timeout", timeout)
        if problem is None and incarnation.reason is not None:
            problem = NoProc(self.name)
        if problem is None and incarnation.task is current_task():
            problem = CallToSelf(
                f"{self.name} cannot wait for its own end; return StopActor instead"
            )
        if problem is not None:
            await raise_after_checkpoint(problem)
        deadline = trio.current_time() + timeout
        incarnation.request_stop(reason, deadline)
        with trio.move_on_at(deadline):
            return await incarnation.wait_exit()
        # The deadline that cuts `terminate` short is this very instant, and which of the two tasks
        # Trio runs first is chance: let the death win.
        await trio.lowlevel.cancel_shielded_checkpoint()
        ended = self.exit_reason
        if ended is not None:
            return ended
        raise CallTimeout(timeout, self.name)


class ActorRef(Ref, Generic[M]):
    """An actor's address. All sends of one task arrive in the order in which they were made.

    ``M`` is the type of what may be cast, offered and delivered. A bare ``ActorRef`` takes any
    message; an ``ActorRef[Add | Reset]`` may stand for an ``ActorRef[Add]``. News (:meth:`info`)
    is of any kind, and a request carries the type of its own reply.
    """

    __slots__ = ("_front", "_mailbox")

    _incarnation: "ActorIncarnation"

    def __init__(
        self, incarnation: "ActorIncarnation", name: str, serial: int, mailbox: Mailbox
    ) -> None:
        super().__init__(incarnation, name, serial)
        self._mailbox = mailbox
        self._front: FromThread[M] | None = None

    def cast(self, message: M) -> None:
        """Send and forget. Never blocks, never raises; a dead or full target drops and counts.
        What gives way in a full mailbox is the actor's rule (:class:`Overflow`).

        In another thread than the actor's it does raise, WrongThread, and nothing has changed; so
        do all methods but those of :attr:`from_thread`.
        """
        mailbox = self._mailbox
        if mailbox.put(CAST, message) is not ACCEPTED:
            mailbox.dropped += 1

    def info(self, message: object) -> None:
        """Like :meth:`cast`, for news rather than orders, hence of any type: lands in
        ``handle_info``, which ignores what it does not know.
        """
        mailbox = self._mailbox
        if mailbox.put(INFO, message) is not ACCEPTED:
            mailbox.dropped += 1

    def offer(self, message: M) -> Offer:
        """Cast, and say whether it was taken: ACCEPTED, FULL or DEAD. Without a checkpoint, never
        raises; nothing is counted unless the actor's overflow rule itself drops.
        """
        offer = self._mailbox.put(CAST, message)
        if offer is Offer.FULL and self._mailbox.overflow is not Overflow.REFUSE:
            self._mailbox.dropped += 1
        return offer

    async def deliver(self, message: M) -> None:
        """Cast, waiting for room in the mailbox (overflow rule REFUSE; with the other rules
        nothing ever waits). A checkpoint always.

        Raises NoProc if the target is dead, Exited if it dies during the wait; then it never saw
        the message. CallToSelf if the actor itself would wait. There is no timeout: cancel the
        wait instead, and the message was not taken.
        """
        mailbox = self._mailbox
        await trio.lowlevel.checkpoint()
        offer = self.offer(message)
        if offer is Offer.ACCEPTED:
            return
        if offer is Offer.DEAD:
            raise NoProc(self.name)
        if mailbox.overflow is not Overflow.REFUSE:
            return
        task = current_task()
        if self._incarnation.task is task:
            raise CallToSelf(f"{self.name} cannot wait for room in its own mailbox")
        mailbox.wait_for_room(CAST, message, task)

        def abort(_raise_cancel: object) -> Abort:
            mailbox.give_up_waiting(task)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)

    async def call(self, request: Request[R], timeout: float | None = 5.0) -> R:
        """Send a request and wait for its reply.

        ``timeout`` (seconds, None for no limit) covers everything: room in the mailbox, the
        queue, the handling, the reply. Raises

        - NoProc at once if the target is dead, Exited promptly if it dies before it answered (a
          crash is the ``__cause__``),
        - CallTimeout when the time is up; the server may or may not act on the request, and its
          late reply is dropped. A call whose caller has gone before it was taken is skipped,
        - MailboxFull if a full mailbox with a dropping rule does not take it,
        - CallToSelf if the actor's own task calls,
        - whatever error the handler passed to ``reply_to.fail``,
        - TypeError or ValueError for a bad timeout, before anything is sent.

        Cancelling the caller harms nobody. A checkpoint always, also when it raises.
        """
        mailbox = self._mailbox
        incarnation = self._incarnation
        task = current_task()
        if timeout is not None and not (type(timeout) is float and 0 <= timeout < inf):
            problem = self.bad_timeout(timeout)
            if problem is not None:
                await raise_after_checkpoint(problem)
            if timeout == inf:
                timeout = None
        if incarnation.task is task:
            await raise_after_checkpoint(CallToSelf(f"{self.name} called itself"))
        call: ReplyTo[R] = ReplyTo(request, task, incarnation.clock, self.name)
        try:
            offer = mailbox.put(CALL, call)
        except WrongThread as error:
            await raise_after_checkpoint(error)
        if offer is not ACCEPTED:
            problem = self._not_accepted(offer, call)
            if problem is not None:
                await raise_after_checkpoint(problem)
        if timeout is not None:
            call.arm(timeout, trio.current_time() + timeout)

        def abort(_raise_cancel: object) -> Abort:
            call.abandon()
            mailbox.call_abandoned(call)
            return Abort.SUCCEEDED

        try:
            reply: R = await wait_task_rescheduled(abort)
        except CallTimeout:
            mailbox.call_abandoned(call)
            raise
        return reply

    @property
    def from_thread(self) -> FromThread[M]:
        """What other threads may use of this ref; see :mod:`locshare.actors.threads`."""
        front = self._front
        if front is None:
            front = self._front = FromThread(self, self._incarnation.clock.token)
        return front

    def bad_timeout(self, timeout: object) -> Exception | None:
        """What is wrong with the timeout of a call, or None."""
        return None if timeout is None else bad_seconds("timeout", timeout)

    def _not_accepted(self, offer: Offer, call: ReplyTo[Any]) -> Exception | None:
        """The error of a call that was not taken, or None if it now waits for room."""
        if offer is Offer.DEAD:
            return NoProc(self.name)
        if self._mailbox.overflow is not Overflow.REFUSE:
            self._mailbox.dropped += 1
            return MailboxFull(f"the mailbox of {self.name} is full")
        self._mailbox.wait_for_room(CALL, call, None)
        return None
