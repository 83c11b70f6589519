"""One child of a supervisor: its spec, its current or last incarnation, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from types import CoroutineType
from typing import Any, Literal, final

from locshare.actors import Actor, Ref, StartError, Timer
from locshare.actors.lowlevel import (
    DEFAULT_GRACE,
    ActorIncarnation,
    CallAt,
    Incarnation,
    TaskIncarnation,
    register_name,
)
from locshare.supervisor.errors import BadSpec
from locshare.supervisor.spec import BRUTAL_KILL, AnySpec, ChildSpec, ChildType, ShutdownTime


class ChildState(Enum):
    """The state of a child, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """Ended, and the next attempt to start it is still to come or under way."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@final
class Child:
    """A spec, and its current or last incarnation."""

    __slots__ = (
        "failures",
        "incarnation",
        "key",
        "last_reason",
        "limits",
        "on_launch",
        "restart_at",
        "restarts",
        "retry",
        "spec",
        "starter",
        "state",
        "stoppers",
        "stuck",
        "up_since",
    )

    def __init__(self, spec: AnySpec) -> None:
        self.spec = spec
        self.incarnation: Incarnation | None = None
        self.state = ChildState.STARTING
        self.restarts = 0
        #: Why an incarnation last ended abnormally, as text: the exception is not kept.
        self.last_reason: str | None = None
        #: For a back-off: failures since the child was last healthy, and the end of its last init;
        #: while it waits, the timer of the next attempt and its instant.
        self.failures = 0
        self.up_since = inf
        #: Whether this incarnation has been reported as stuck.
        self.stuck = False
        self.retry: Timer | None = None
        self.restart_at: float | None = None
        #: Called with each new incarnation before it runs: see locshare.supervisor.lowlevel.
        self.on_launch: Callable[[Incarnation], None] | None = None
        #: The deadlines of what is under way: an init, or a stop by a dynamic supervisor.
        self.limits: list[CallAt] = []
        #: Of a dynamic supervisor: the key in its table, the caller that waits for the start, those
        #: that wait for the end.
        self.key = 0
        self.starter: Any = None
        self.stoppers: list[Any] = []

    @property
    def ref(self) -> Ref | None:
        """The ref of the living incarnation, or None."""
        incarnation = self.incarnation
        return incarnation.ref if incarnation is not None and incarnation.reason is None else None

    def disarm_limits(self) -> None:
        """What is under way has ended. Idempotent."""
        for limit in self.limits:
            limit.disarm()
        self.limits = []

    def cancel_retry(self) -> None:
        """Cancel the timer of the next attempt. Idempotent."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
            self.restart_at = None


@final
@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One line of ``which_children``. ``ref`` is None unless it runs."""

    id: str
    ref: Ref | None
    state: Literal["starting", "running", "restarting", "stopping", "stopped"]
    type: ChildType
    restarts: int  #: automatic restart attempts so far
    last_reason: str | None  #: of the last abnormal end, such as "crash: ValueError in Join"
    restart_at: float | None = None
    """While a child with back-off waits: when it is started, of ``trio.current_time()``."""


@final
@dataclass(frozen=True, slots=True)
class ChildCounts:
    """The answer of ``count_children`` (statement 41)."""

    specs: int
    active: int
    supervisors: int
    workers: int


@final
@dataclass(frozen=True, slots=True)
class ChildExit:
    """From a supervisor to itself: restart this child, whose incarnation has ended."""

    child: Child
    incarnation: Incarnation | None


def grace_of(shutdown: ShutdownTime) -> float:
    """The time for ``terminate`` after a crash, when no stop request gives a deadline."""
    return DEFAULT_GRACE if shutdown is BRUTAL_KILL else shutdown


def build(spec: AnySpec) -> Incarnation:
    """A new incarnation, not yet launched. Raises StartError if that is not possible."""
    if not isinstance(spec, ChildSpec):
        return TaskIncarnation(
            spec.run,
            spec.args,
            name=spec.id,
            handshake=spec.handshake,
            grace=grace_of(spec.shutdown),
        )
    try:
        actor = _actor(spec.start(*spec.args))
        incarnation = ActorIncarnation(
            actor, name=spec.id, heir=spec.heir, grace=grace_of(spec.shutdown)
        )
    except Exception as error:
        raise StartError(spec.id, "could not be built") from error
    if spec.register is not None:
        try:
            register_name(spec.register, incarnation)
        except Exception as error:
            raise StartError(spec.id, "could not take its name") from error
    return incarnation


def _actor(made: object) -> Actor:
    if isinstance(made, Actor):
        return made
    if isinstance(made, CoroutineType):
        made.close()
    raise BadSpec("start", type(made).__name__, "a plain function that makes an Actor")
