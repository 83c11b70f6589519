"""Do to a running actor what a fault would. For tests and fault injection; a program that works
calls none of it.

What happens *in* a handler (a crash, a delay) is an :class:`~locshare.actors.debug.Interceptor`;
here is the rest.
"""

from locshare.actors.actor_ref import ActorRef
from locshare.actors.incarnation import Incarnation
from locshare.actors.loop import ActorIncarnation, actor_incarnation_of
from locshare.actors.mailbox import INFO, TIMER
from locshare.actors.task import TaskIncarnation


def fail_init(life: Incarnation, error: Exception) -> None:
    """Make a life that was not launched yet raise ``error`` in its init."""

    def init() -> None:
        raise error

    async def run(*_args: object, **_kwargs: object) -> None:
        raise error

    if isinstance(life, ActorIncarnation):
        life.actor.init = init  # type: ignore[method-assign]  # of this one only
    elif isinstance(life, TaskIncarnation):
        life.replace_function(run)


def post(ref: ActorRef, message: object) -> None:
    """``info`` that no bound applies to: it arrives, unless the actor is dead."""
    actor_incarnation_of(ref).mailbox.put_exempt(INFO, message)


class _Filler:
    """Takes a place in the mailbox and is handled by nobody, as a timer that was cancelled."""

    __slots__ = ()
    cancelled = True


def fill_mailbox(ref: ActorRef) -> int:
    """Fill the ordinary lane to its bound with what is skipped when its turn comes. Returns how
    many entries that took; 0 for a mailbox without a bound, a full one, or a dead actor.

    An actor that is not suspended has skipped them all when it next runs.
    """
    mailbox = actor_incarnation_of(ref).mailbox
    capacity = actor_incarnation_of(ref).actor.mailbox.capacity
    if capacity is None or mailbox.closed:
        return 0
    missing = max(capacity - len(mailbox.queue), 0)
    for _ in range(missing):
        mailbox.put_exempt(TIMER, _Filler())
    return missing
