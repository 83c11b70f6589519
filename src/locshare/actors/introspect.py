"""Look into a running actor without touching its code.

State requests travel in the system lane: they are answered between two messages, never in the
middle of one, so a busy actor lets them time out (statement 67). A suspended actor queues user
messages, yet answers inspection and obeys a stop. Counters are read directly, for nothing runs
while they are read. Trace and its timings are off until :func:`trace` is called and then hold
message *types* and durations only, never messages (68).
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sys import getsizeof
from typing import Any, NamedTuple, TypeVar, final

import trio
from trio.lowlevel import Abort, current_task, wait_task_rescheduled

from locshare.actors.actor import Actor
from locshare.actors.incarnation import Status
from locshare.actors.loop import Inspect
from locshare.actors.mailbox import CALL, CAST, DOWN, INFO, TIMER
from locshare.actors.reasons import NoProc
from locshare.actors.ref import ActorRef, Ref, check_timeout
from locshare.actors.reply import ReplyTo

T = TypeVar("T")

#: How many trace events an actor keeps.
TRACE_LENGTH = 64

_KINDS = {CAST: "cast", CALL: "call", INFO: "info", DOWN: "down", TIMER: "timer"}


class TraceEvent(NamedTuple):
    """One handled message: when it was done, its kind, the name of its type, seconds of work."""

    at: float
    kind: str
    type: str
    seconds: float


@final
class Tracer:
    """The last events of one actor and its sums since the trace was switched on."""

    __slots__ = ("busy", "count", "events", "listener", "slowest")

    def __init__(self, length: int, listener: Callable[[TraceEvent], None] | None) -> None:
        self.events: deque[TraceEvent] = deque(maxlen=length)
        self.listener = listener
        self.busy = 0.0
        self.count = 0
        self.slowest: TraceEvent | None = None

    def record(self, kind: int, message_type: type, seconds: float) -> None:
        """One message has been handled."""
        event = TraceEvent(trio.current_time(), _KINDS[kind], message_type.__qualname__, seconds)
        self.events.append(event)
        self.busy += seconds
        self.count += 1
        if self.slowest is None or seconds > self.slowest.seconds:
            self.slowest = event
        if self.listener is not None:
            self.listener(event)


@final
@dataclass(frozen=True, slots=True)
class Statistics:
    """The counters of one incarnation at one moment."""

    status: str
    waiting: int  #: entries in the ordinary lane
    capacity: int
    high_water: int  #: the most entries ever found waiting at the start of a batch
    handled: int  #: messages taken, up to the last batch
    dropped: int  #: casts and infos lost to a full mailbox, or to the death
    skipped: int  #: calls whose callers had gone
    timers: int
    bytes: int  #: of the mailbox itself, not of the messages in it
    busy: float | None  #: seconds spent in handlers since the trace was switched on
    slowest: TraceEvent | None


def statistics(ref: ActorRef) -> Statistics:
    """The counters of ``ref``; of a dead one too, as long as somebody holds the ref."""
    life = ref._incarnation
    mailbox = life.mailbox
    return Statistics(
        status=life.status.value,
        waiting=len(mailbox.queue),
        capacity=mailbox.capacity,
        high_water=max(life.high_water, len(mailbox.queue)),
        handled=life.handled,
        dropped=mailbox.dropped,
        skipped=life.skipped,
        timers=len(life.timers),
        bytes=getsizeof(mailbox.queue),
        busy=None if life.tracer is None else life.tracer.busy,
        slowest=None if life.tracer is None else life.tracer.slowest,
    )


def gauges(ref: ActorRef) -> Mapping[str, int]:
    """What the actor counts by itself (``Actor.gauges``); nothing if that fails."""
    try:
        return ref._incarnation.actor.gauges()
    except Exception:  # noqa: BLE001 - looking must not harm
        return {}


def status(ref: Ref) -> Status:
    """Where the incarnation behind ``ref`` stands in its life."""
    return ref._incarnation.status


def task_of(ref: Ref) -> trio.lowlevel.Task | None:
    """The Trio task behind ``ref``, None before its first step and after its end."""
    return ref._incarnation.task


def kill(ref: Ref) -> None:
    """OTP's ``exit(pid, kill)``: end it without ``terminate``. Returns at once; safe on the dead.
    Its supervisor sees an abnormal exit.
    """
    ref._incarnation.kill()


async def inspect(ref: ActorRef, function: Callable[[Actor], T], timeout: float | None = 5.0) -> T:
    """Run ``function(actor)`` in the actor's own task between two messages; return its result.

    An exception in ``function`` is raised here and leaves the actor alone. NoProc, Exited and
    CallTimeout as for a call.
    """
    if timeout is not None:
        check_timeout(timeout)
    life = ref._incarnation
    request: ReplyTo[Any] = ReplyTo(None, current_task(), life.clock, ref.name)
    if not life.mailbox.put_system(Inspect(function, request)):
        raise NoProc(ref.name)
    if timeout is not None:
        request.arm(timeout, trio.current_time() + timeout)

    def abort(_raise_cancel: object) -> Abort:
        request.abandon()
        return Abort.SUCCEEDED

    result: T = await wait_task_rescheduled(abort)
    return result


async def get_state(ref: ActorRef, timeout: float | None = 5.0) -> object:
    """The actor's state, as its ``get_state`` gives it (a shallow copy, unless it says else)."""
    return await inspect(ref, lambda actor: actor.get_state(), timeout)


async def replace_state(
    ref: ActorRef, function: Callable[[Any], Any], timeout: float | None = 5.0
) -> object:
    """Replace the state by ``function(state)`` and return it. If ``function`` raises, nothing
    has changed, provided that it built a new value instead of editing the old one's parts.
    """

    def replace(actor: Actor) -> object:
        state = function(actor.get_state())
        actor.replace_state(state)
        return state

    return await inspect(ref, replace, timeout)


async def suspend(ref: ActorRef, timeout: float | None = 5.0) -> None:
    """Take no user message from now on; they queue up to the bound. Repeatable."""
    await inspect(ref, _suspend, timeout)


async def resume(ref: ActorRef, timeout: float | None = 5.0) -> None:
    """End :func:`suspend`. Repeatable."""
    await inspect(ref, _resume, timeout)


def _suspend(actor: Actor) -> None:
    life = actor._incarnation
    life.suspended = True
    if life.status is Status.RUNNING:
        life.status = Status.SUSPENDED


def _resume(actor: Actor) -> None:
    life = actor._incarnation
    life.suspended = False
    if life.status is Status.SUSPENDED:
        life.status = Status.RUNNING


def trace(
    ref: ActorRef,
    on: bool = True,
    *,
    length: int = TRACE_LENGTH,
    listener: Callable[[TraceEvent], None] | None = None,
) -> None:
    """Switch the trace of ``ref`` on or off, effective with its next message.

    ``listener`` is called after every message, inside the actor's task: quick, and no raising.
    """
    ref._incarnation.tracer = Tracer(length, listener) if on else None


def is_traced(ref: ActorRef) -> bool:
    """True while a trace is on."""
    return ref._incarnation.tracer is not None


def trace_events(ref: ActorRef) -> tuple[TraceEvent, ...]:
    """The last events, oldest first; empty while the trace is off."""
    tracer = ref._incarnation.tracer
    return () if tracer is None else tuple(tracer.events)


__all__ = [
    "Statistics",
    "TraceEvent",
    "gauges",
    "get_state",
    "inspect",
    "is_traced",
    "kill",
    "replace_state",
    "resume",
    "statistics",
    "status",
    "suspend",
    "task_of",
    "trace",
    "trace_events",
]
