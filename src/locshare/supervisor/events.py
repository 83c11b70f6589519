"""Telemetry events: what happens in a supervision tree, as plain data. Pure.

Metrics and tracing subscribe to them (:meth:`BaseSupervisorRef.subscribe`); Elixir's `telemetry`
is the model. Events name ids, types and durations. They never contain a message, a state, an
exception or an exception's text.
"""

from dataclasses import dataclass
from typing import final

from locshare.actors.lowlevel import MessageKind


@dataclass(frozen=True, slots=True)
class ChildEvent:
    """Base of all events: which incarnation of which child, and when."""

    supervisor: str  #: the name of the supervisor's ref
    child_id: str
    incarnation: int  #: the serial of the incarnation's ref
    at: float  #: `trio.current_time()`


@final
@dataclass(frozen=True, slots=True)
class Started(ChildEvent):
    """The init of a first start, or of one by hand, has succeeded."""


@final
@dataclass(frozen=True, slots=True)
class Restarted(ChildEvent):
    """The init of an automatic restart has succeeded."""

    restarts: int  #: attempts so far that this child caused; siblings of a group cause none


@final
@dataclass(frozen=True, slots=True)
class Stopped(ChildEvent):
    """An incarnation has ended, in whatever way; also one whose init failed."""

    reason: str  #: "normal", "shutdown", "killed", "crash"
    exception: str | None  #: of a crash: the type's name
    expected: bool  #: False for what restarts a transient child
    seconds: float | None  #: since the end of the init; None if that did not succeed


@final
@dataclass(frozen=True, slots=True)
class GaveUp(ChildEvent):
    """The restart budget of the supervisor tripped on this child: the supervisor ends."""

    restarts: int  #: attempts so far that this child caused


@final
@dataclass(frozen=True, slots=True)
class HandlerSpan(ChildEvent):
    """An actor has handled one message; ``at`` is the end. A handler that crashes has no span."""

    kind: MessageKind
    message: str  #: the name of the message's type
    seconds: float  #: from the start of the handler to its end, awaits included


@final
@dataclass(frozen=True, slots=True)
class MailboxGauge(ChildEvent):
    """The mailbox of one actor at one moment, and its counters since the incarnation began."""

    waiting: int
    capacity: int | None  #: None for no bound
    high_water: int
    handled: int
    dropped: int


Event = Started | Restarted | Stopped | GaveUp | HandlerSpan | MailboxGauge
