"""Calls: the typed request, the reply, and the results a handler may return.

A call is one object from the caller's ``await`` to the reply. It is at once the entry in the
mailbox, the timer in the clock's heap and the :class:`ReplyTo` that the handler sees, so a call
makes no task, no scope and no channel.

Invariant: the caller is waiting exactly while ``waiting`` is true. Everything that can end a call
(reply, failure, timeout, the caller's cancellation, the server's death) goes through one place
and does nothing the second time. So a caller is woken once, never hangs, and a late or second
reply is dropped (statements 46, 48, 50).
"""

from enum import Enum
from typing import Any, Final, Generic, Literal, TypeVar, final

import outcome
from trio.lowlevel import Task, enable_ki_protection, reschedule

from locshare.actors.checks import bad_type, raise_if
from locshare.actors.clock import Clock
from locshare.actors.reasons import NORMAL, CallTimeout, Exited, ExitReason, bad_reason

R = TypeVar("R")


class Request(Generic[R]):
    """Mixin for messages that are called: ``R`` is the type of the reply.

    ::

        class Attach(msgspec.Struct, Request[Snapshot], frozen=True):
            user_id: str

        snapshot = await ref.call(Attach(user_id))      # a Snapshot, and mypy knows it
    """

    __slots__ = ()


@final
class ReplyTo(Generic[R]):
    """Where the answer to one call goes. Handed to ``handle_call``; may be kept (``NO_REPLY``),
    given to another task, and used later. The first answer counts.
    """

    __slots__ = ("_clock", "_seconds", "_server", "_target", "_task", "armed", "request")

    def __init__(self, request: object, task: Task, clock: Clock, target: str) -> None:
        self.request = request
        self._task: Task | None = task
        self._clock = clock
        self._target = target
        self._seconds = 0.0
        self._server: dict[ReplyTo[Any], None] | None = None
        self.armed = False

    @property
    def waiting(self) -> bool:
        """False once the call is over: answered, timed out, its caller cancelled, or its server
        dead.
        """
        return self._task is not None

    def reply(self, value: R) -> None:
        """Answer. Does nothing if the call is over: the reply is late, or the second. Raises
        WrongThread.
        """
        if self._task is not None:
            self._finish(outcome.Value(value))

    def fail(self, error: Exception) -> None:
        """Raise ``error`` in the caller; the server itself goes on unharmed.

        This is how a handler says "no" with a typed error. An exception that is *returned* from
        a handler is a value like any other and is returned to the caller as such. Raises
        TypeError for what is no Exception, WrongThread.
        """
        raise_if(bad_type("error", error, Exception))
        if self._task is not None:
            self._finish(outcome.Error(error))

    # -- for the runtime -------------------------------------------------------------------

    def fire(self) -> None:
        """The clock says that the timeout has passed."""
        if self._task is not None:
            self._finish(outcome.Error(CallTimeout(self._seconds, self._target)))

    def arm(self, seconds: float, deadline: float) -> None:
        """Give up at ``deadline`` (absolute), which is ``seconds`` after the call."""
        self._seconds = seconds
        self._clock.set(deadline, self)

    def server_died(self, reason: ExitReason) -> None:
        """Raise Exited in the caller."""
        if self._task is not None:
            self._finish(outcome.Error(Exited(reason, self._target)))

    def abandon(self) -> None:
        """The caller was cancelled and will be woken by Trio, not by us."""
        self._task = None
        self._settle()

    def deferred(self, unanswered: "dict[ReplyTo[Any], None]") -> None:
        """The handler will answer later; until then ``unanswered`` holds the call."""
        if self._task is not None:
            self._server = unanswered
            unanswered[self] = None

    @enable_ki_protection
    def _finish(self, result: outcome.Outcome[R]) -> None:
        self._clock.check_thread()
        task = self._task
        self._task = None
        self._settle()
        if task is not None:
            reschedule(task, result)

    def _settle(self) -> None:
        if self.armed:
            self._clock.disarm(self)
        if self._server is not None:
            self._server.pop(self, None)
            self._server = None


class _NoReply(Enum):
    NO_REPLY = "NO_REPLY"


class _Ignore(Enum):
    IGNORE = "IGNORE"


#: ``handle_call`` returns this when it has answered, or will answer, through its ``reply_to``.
NO_REPLY: Final = _NoReply.NO_REPLY
#: ``init`` returns this to decline: the start succeeds without an actor (statement 5).
IGNORE: Final = _Ignore.IGNORE

NoReply = Literal[_NoReply.NO_REPLY]
Ignore = Literal[_Ignore.IGNORE]


@final
class Continue:
    """Run ``handle_continue(value)`` before any message (statement 56).

    May be returned by ``init`` and by every handler. From ``handle_call``, ``reply`` is sent to
    the caller first unless it is left out.
    """

    __slots__ = ("reply", "value")

    def __init__(self, value: object = None, *, reply: object = NO_REPLY) -> None:
        self.value = value
        self.reply = reply


@final
class StopActor:
    """End the actor with ``reason`` after this message; ``terminate`` runs.

    From ``handle_call``, ``reply`` is sent first, so the caller has it even if ``terminate``
    then crashes (statement 52). Raises TypeError for a reason that is none.
    """

    __slots__ = ("reason", "reply")

    def __init__(self, reason: ExitReason = NORMAL, *, reply: object = NO_REPLY) -> None:
        raise_if(bad_reason(reason))
        self.reason = reason
        self.reply = reply
