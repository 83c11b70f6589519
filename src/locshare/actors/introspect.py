"""Look into a running actor without touching its code.

State requests travel in the system lane: they are answered between two messages, never in the
middle of one, so a busy actor lets them time out (statement 67). A suspended actor queues user
messages, yet answers inspection and obeys a stop. Counters are read directly, since nothing else
runs meanwhile. The trace and its timings are off until :func:`trace` is called. They hold message
*types* and durations, never messages (68).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sys import getsizeof
from types import NoneType
from typing import Any, TypeVar, final

import trio
from trio.lowlevel import Abort, current_task, wait_task_rescheduled

from locshare.actors.actor import Actor
from locshare.actors.actor_ref import ActorRef
from locshare.actors.checks import bad_callable, bad_type, raise_after_checkpoint, raise_if
from locshare.actors.debug import (
    TRACE_LENGTH,
    DebugHooks,
    HandledHook,
    Interceptor,
    TraceEvent,
    Tracer,
)
from locshare.actors.incarnation import Status, incarnation_of
from locshare.actors.loop import Inspect, actor_incarnation_of
from locshare.actors.reasons import CallTimeout, CallToSelf, NoProc
from locshare.actors.ref import Ref
from locshare.actors.reply import ReplyTo

T = TypeVar("T")


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
    """The counters of ``ref``, alive or dead."""
    incarnation = actor_incarnation_of(ref)
    mailbox, tracer = incarnation.mailbox, _debug(ref).tracer
    return Statistics(
        status=incarnation.status.value,
        waiting=len(mailbox.queue),
        capacity=mailbox.capacity,
        high_water=max(incarnation.high_water, len(mailbox.queue)),
        handled=incarnation.handled,
        dropped=mailbox.dropped,
        skipped=incarnation.skipped,
        timers=len(incarnation.timers),
        bytes=getsizeof(mailbox.queue),
        busy=None if tracer is None else tracer.busy,
        slowest=None if tracer is None else tracer.slowest,
    )


def mailbox_size(ref: ActorRef) -> int:
    """How many entries wait in the ordinary lane of ``ref``: :func:`statistics` for a census."""
    return len(actor_incarnation_of(ref).mailbox.queue)


def gauges(ref: ActorRef) -> Mapping[str, int]:
    """The actor's own counts (``Actor.gauges``); empty if that raises."""
    try:
        return actor_incarnation_of(ref).actor.gauges()
    except Exception:  # noqa: BLE001 - inspection must not harm
        return {}


def status(ref: Ref) -> Status:
    """The state of the incarnation that ``ref`` names."""
    return incarnation_of(ref).status


def task_of(ref: Ref) -> trio.lowlevel.Task | None:
    """The Trio task behind ``ref``, None before its first step and after its end."""
    return incarnation_of(ref).task


def kill(ref: Ref) -> None:
    """OTP's ``exit(pid, kill)``: end it without ``terminate``. Returns at once; safe on the dead.
    Its supervisor sees an abnormal exit. Raises TypeError, WrongThread.
    """
    raise_if(bad_type("ref", ref, Ref))
    incarnation_of(ref).kill()


async def inspect(ref: ActorRef, function: Callable[[Actor], T], timeout: float | None = 5.0) -> T:
    """Run ``function(actor)`` in the actor's own task between two messages; return its result.

    An exception in ``function`` is raised here and leaves the actor alone. NoProc, Exited,
    CallTimeout and CallToSelf as for a call.
    """
    problem = bad_type("ref", ref, ActorRef) or bad_callable("function", function)
    if problem is None:
        problem = ref.bad_timeout(timeout)
    if problem is None and actor_incarnation_of(ref).task is current_task():
        problem = CallToSelf(f"{ref.name} cannot wait for its own answer")
    if problem is not None:
        await raise_after_checkpoint(problem)
    incarnation = actor_incarnation_of(ref)
    request: ReplyTo[Any] = ReplyTo(None, current_task(), incarnation.clock, ref.name)
    inspection = Inspect(function, request)
    if not incarnation.mailbox.put_system(inspection):
        await raise_after_checkpoint(NoProc(ref.name))
    if timeout is not None:
        request.arm(timeout, trio.current_time() + timeout)

    def abort(_raise_cancel: object) -> Abort:
        request.abandon()
        incarnation.mailbox.withdraw(inspection)
        return Abort.SUCCEEDED

    try:
        result: T = await wait_task_rescheduled(abort)
    except CallTimeout:
        incarnation.mailbox.withdraw(inspection)
        raise
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
    """Handle no user message from now on; they queue up to the bound. Idempotent."""
    await inspect(ref, _suspend, timeout)


async def resume(ref: ActorRef, timeout: float | None = 5.0) -> None:
    """End :func:`suspend`. Idempotent."""
    await inspect(ref, _resume, timeout)


def _suspend(actor: Actor) -> None:
    incarnation = actor_incarnation_of(actor.ref)
    incarnation.suspended = True
    if incarnation.status is Status.RUNNING:
        incarnation.status = Status.SUSPENDED


def _resume(actor: Actor) -> None:
    incarnation = actor_incarnation_of(actor.ref)
    incarnation.suspended = False
    if incarnation.status is Status.SUSPENDED:
        incarnation.status = Status.RUNNING


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
    raise_if(bad_type("ref", ref, ActorRef))
    if type(length) is not int or length < 1:
        raise ValueError(f"length must be a whole number ≥ 1, not {length!r}")
    if listener is not None:
        raise_if(bad_callable("listener", listener))
    debug = _debug(ref)
    tracer = Tracer(length, listener) if on else None
    _set(ref, tracer, debug.interceptor, debug.on_handled)


def is_traced(ref: ActorRef) -> bool:
    """True while a trace is on."""
    return _debug(ref).tracer is not None


def trace_events(ref: ActorRef) -> tuple[TraceEvent, ...]:
    """The last events, oldest first; empty while the trace is off."""
    tracer = _debug(ref).tracer
    return () if tracer is None else tuple(tracer.events)


def install(ref: ActorRef, interceptor: Interceptor | None) -> None:
    """Let ``interceptor`` see what ``ref`` handles from its next message on (OTP:
    ``sys:install``); None takes it out. It replaces another one, and ends with the incarnation.
    """
    raise_if(bad_type("ref", ref, ActorRef))
    raise_if(bad_type("interceptor", interceptor, Interceptor, NoneType))
    debug = _debug(ref)
    _set(ref, debug.tracer, interceptor, debug.on_handled)


def on_handled(ref: ActorRef, hook: HandledHook | None) -> None:
    """Call ``hook`` after each message that ``ref`` handles; None takes it out. It runs inside the
    actor's task and must not raise. Replaces another one, and ends with the incarnation.
    """
    debug = _debug(ref)
    _set(ref, debug.tracer, debug.interceptor, hook)


def interceptor_of(ref: ActorRef) -> Interceptor | None:
    """The interceptor that :func:`install` has set."""
    return _debug(ref).interceptor


_NOTHING = DebugHooks(None, None, None)


def _debug(ref: ActorRef) -> DebugHooks:
    return actor_incarnation_of(ref).debug or _NOTHING


def _set(
    ref: ActorRef,
    tracer: Tracer | None,
    interceptor: Interceptor | None,
    hook: HandledHook | None,
) -> None:
    nothing = tracer is None and interceptor is None and hook is None
    debug = None if nothing else DebugHooks(tracer, interceptor, hook)
    actor_incarnation_of(ref).debug = debug


__all__ = [
    "Interceptor",
    "Statistics",
    "Status",
    "TraceEvent",
    "gauges",
    "get_state",
    "inspect",
    "install",
    "interceptor_of",
    "is_traced",
    "kill",
    "on_handled",
    "replace_state",
    "resume",
    "statistics",
    "status",
    "suspend",
    "task_of",
    "trace",
    "trace_events",
]
