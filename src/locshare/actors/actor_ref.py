"""An actor's address: what the rest of the program sends through."""

from collections.abc import Hashable
from math import inf
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import trio
from trio.lowlevel import Abort, current_task, wait_task_rescheduled

from locshare.actors.checks import bad_seconds, raise_after_checkpoint
from locshare.actors.mailbox import ACCEPTED, CALL, CAST, INFO, Mailbox, Offer, Overflow
from locshare.actors.reasons import CallTimeout, CallToSelf, MailboxFull, NoProc, WrongThread
from locshare.actors.ref import Ref, RefTarget
from locshare.actors.reply import ReplyTo, Request
from locshare.actors.threads import FromThread

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    M = TypeVarWithDefault("M", contravariant=True, default=Any)
else:
    # Only type checkers know the default: it lets a bare `ActorRef` mean "any message".
    M = TypeVar("M", contravariant=True)

R = TypeVar("R")


class NameTable(Protocol):
    """What an incarnation needs of a registry in which it holds a name."""

    def free(self, key: Any, ref: Any) -> None: ...


class ActorRefTarget(RefTarget, Protocol):
    """What an actor's ref, and a registry, need of its incarnation."""

    mailbox: Mailbox

    def hold_name(self, registry: NameTable, key: Hashable) -> None: ...
    def release_name(self, registry: NameTable, key: Hashable) -> None: ...


class ActorRef(Ref, Generic[M]):
    """An actor's address. Messages of one task arrive in the order in which they were sent.

    ``M`` is the type of what may be cast, offered and delivered. A bare ``ActorRef`` takes any
    message; an ``ActorRef[Add | Reset]`` may stand for an ``ActorRef[Add]``. News (:meth:`info`)
    has any type, and a request carries the type of its reply.
    """

    __slots__ = ("_front", "_mailbox")

    _incarnation: ActorRefTarget

    def __init__(
        self, incarnation: ActorRefTarget, name: str, serial: int, mailbox: Mailbox
    ) -> None:
        super().__init__(incarnation, name, serial)
        self._mailbox = mailbox
        self._front: FromThread[M] | None = None

    def cast(self, message: M) -> None:
        """Send without waiting for anything. A dead or full target drops the message and counts it;
        :class:`Overflow` says which message a full mailbox drops.

        Raises WrongThread in another thread than the actor's, as do all methods but those of
        :attr:`from_thread`. Raises nothing else.
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

        Cancelling the caller does not affect the actor. A checkpoint always, also when it raises.
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
        """The methods that other threads may use; see :mod:`locshare.actors.threads`."""
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
