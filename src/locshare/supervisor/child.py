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
    """Where a child stands, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """Ended, and the next attempt to start it is still to come or under way."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@final
class Child:
    """A spec, and the life that it has now or had last."""

    __slots__ = (
        "failures",
        "key",
        "last_reason",
        "life",
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
        self.life: Incarnation | None = None
        self.state = ChildState.STARTING
        self.restarts = 0
        #: Why a life last ended abnormally, in words: the exception itself is not kept.
        self.last_reason: str | None = None
        #: For a back-off: failures since it was last healthy, the end of its last init, and while
        #: it waits the next attempt's timer and its instant.
        self.failures = 0
        self.up_since = inf
        #: Whether this life has been reported as stuck.
        self.stuck = False
        self.retry: Timer | None = None
        self.restart_at: float | None = None
        #: Is shown each new life before it runs: see locshare.supervisor.lowlevel.
        self.on_launch: Callable[[Incarnation], None] | None = None
        #: Dynamic supervisors: the key in their table, who waits for the start, who for the end.
        self.key = 0
        self.starter: Any = None
        self.stoppers: list[Any] = []
        self.limits: list[CallAt] = []

    @property
    def ref(self) -> Ref | None:
        """The ref of the living incarnation, or None."""
        life = self.life
        return life.ref if life is not None and life.reason is None else None

    def cancel_retry(self) -> None:
        """Do not wait for the next attempt any more. Safe to repeat."""
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
    """To the supervisor's own mailbox: this life of this child has ended and wants a restart."""

    child: Child
    life: Incarnation | None


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
        life = ActorIncarnation(actor, name=spec.id, heir=spec.heir, grace=grace_of(spec.shutdown))
    except Exception as error:
        raise StartError(spec.id, "could not be built") from error
    if spec.register is not None:
        try:
            register_name(spec.register, life)
        except Exception as error:
            raise StartError(spec.id, "could not take its name") from error
    return life


def _actor(made: object) -> Actor:
    if isinstance(made, Actor):
        return made
    if isinstance(made, CoroutineType):
        made.close()
    raise BadSpec("start", type(made).__name__, "a plain function that makes an Actor")
