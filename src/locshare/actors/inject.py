"""Inject faults into a running actor, for tests. Programs need none of it.

What happens *in* a handler (a crash, a delay) is an :class:`~locshare.actors.debug.Interceptor`;
here is the rest.
"""

from locshare.actors.actor_ref import ActorRef
from locshare.actors.incarnation import Incarnation
from locshare.actors.loop import ActorIncarnation, actor_incarnation_of
from locshare.actors.mailbox import INFO, TIMER
from locshare.actors.task import TaskIncarnation


def fail_init(incarnation: Incarnation, error: Exception) -> None:
    """Make an incarnation that was not launched yet raise ``error`` in its init."""

    def init() -> None:
        raise error

    async def run(*_args: object, **_kwargs: object) -> None:
        raise error

    if isinstance(incarnation, ActorIncarnation):
        incarnation.actor.init = init  # type: ignore[method-assign]  # of this one only
    elif isinstance(incarnation, TaskIncarnation):
        incarnation.replace_function(run)


def post(ref: ActorRef, message: object) -> None:
    """Send ``info`` that the bound does not apply to: it arrives unless the actor is dead."""
    actor_incarnation_of(ref).mailbox.put_exempt(INFO, message)


class _Filler:
    """Takes a place in the mailbox and is skipped, as a cancelled timer is."""

    __slots__ = ()
    cancelled = True


def fill_mailbox(ref: ActorRef) -> int:
    """Fill the ordinary lane to its bound with entries that the actor skips. Returns their number;
    0 for an unbounded or full mailbox, or a dead actor. An actor that is not suspended has skipped
    them all after it next ran.
    """
    mailbox = actor_incarnation_of(ref).mailbox
    capacity = actor_incarnation_of(ref).actor.mailbox.capacity
    if capacity is None or mailbox.closed:
        return 0
    missing = max(capacity - len(mailbox.queue), 0)
    for _ in range(missing):
        mailbox.put_exempt(TIMER, _Filler())
    return missing
