"""Debug hooks of one actor: OTP's ``sys:trace`` and ``sys:install``.

An incarnation has one slot for its :class:`DebugHooks`. While it is empty it costs one test per
message (statement 68). It holds a :class:`Tracer`, which records types and durations, and an
:class:`Interceptor`, which can inject faults into a handler. Both are installed by
:mod:`locshare.actors.introspect`.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, final

import trio

from locshare.actors.mailbox import CALL, CAST, DOWN, INFO, TIMER
from locshare.actors.reasons import ExitReason

#: How many trace events an actor keeps.
TRACE_LENGTH = 64

MessageKind = Literal["call", "cast", "info", "down", "timer"]

_KINDS: Final[Mapping[int, MessageKind]] = {
    CAST: "cast", CALL: "call", INFO: "info", DOWN: "down", TIMER: "timer"
}  # fmt: skip


#: Called after each message: its kind, the name of its type, seconds of work. Must not raise.
HandledHook = Callable[[MessageKind, str, float], None]


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


class Interceptor:
    """Runs in the actor's own task, before each handler. What it raises is a crash of the handler;
    the time that it awaits counts as the handler's.
    """

    __slots__ = ()

    def before(self, message: object) -> Awaitable[None] | None:
        """``message`` (of a call: the request) is about to be handled. An awaitable is awaited
        first. Not called for what is skipped: calls whose callers have gone, cancelled timers and
        DOWNs.
        """

    def before_terminate(self, reason: ExitReason) -> None:
        """``terminate`` is about to be called. Raising is a crash in it (statement 69)."""


@final
class DebugHooks:
    """What is installed in one incarnation."""

    __slots__ = ("interceptor", "on_handled", "tracer")

    def __init__(
        self,
        tracer: Tracer | None,
        interceptor: Interceptor | None,
        on_handled: HandledHook | None,
    ) -> None:
        self.tracer = tracer
        self.interceptor = interceptor
        self.on_handled = on_handled

    def before(self, kind: int, message: Any) -> Awaitable[None] | None:
        """The loop has taken ``message``."""
        if self.interceptor is None:
            return None
        if kind == CALL:
            return self.interceptor.before(message.request) if message.waiting else None
        if kind == TIMER:
            return None if message.cancelled else self.interceptor.before(message.message)
        if kind == DOWN and getattr(getattr(message, "monitor", None), "cancelled", False):
            return None
        return self.interceptor.before(message)

    def after(self, kind: int, message: Any, seconds: float) -> None:
        """``message`` (of a timer: what it said) has been handled."""
        message_type = type(message.request if kind == CALL else message)
        if self.tracer is not None:
            self.tracer.record(kind, message_type, seconds)
        if self.on_handled is not None:
            self.on_handled(_KINDS[kind], message_type.__qualname__, seconds)
