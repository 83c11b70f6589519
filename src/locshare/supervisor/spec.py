"""Specs of children, checked before anything starts (statement 6).

A spec is frozen. Its ``start`` builds everything an incarnation needs, anew for each one: mutable
arguments shared between incarnations would carry the old corruption over (13).

>>> ChildSpec("feed", Feed, (url,), restart="transient", shutdown=2.0)
>>> TaskSpec("listener", serve_connections, (settings,))
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from math import inf, isnan
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    Protocol,
    TypedDict,
    Unpack,
    final,
    get_args,
    overload,
)

import trio

from locshare.actors import Actor, MailboxHeir, Name
from locshare.actors.lowlevel import M, bad_type
from locshare.supervisor.backoff import Backoff
from locshare.supervisor.decide import Restart
from locshare.supervisor.errors import BadSpec

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple

    Ts = TypeVarTuple("Ts", default=Unpack[tuple[Any, ...]])
else:
    from typing import TypeVarTuple

    Ts = TypeVarTuple("Ts")  # a bare `ChildSpec` has any arguments; see `M`


class _Brutal(Enum):
    BRUTAL_KILL = "BRUTAL_KILL"


#: ``shutdown`` value: cancel at once, without ``terminate``.
BRUTAL_KILL: Final = _Brutal.BRUTAL_KILL
#: ``shutdown`` value: wait as long as it takes. The default for supervisors.
INFINITY: Final = inf

ShutdownTime = float | Literal[_Brutal.BRUTAL_KILL]
ChildType = Literal["worker", "supervisor"]

#: OTP's defaults, but Elixir's restart budget.
DEFAULT_SHUTDOWN: Final = 5.0
DEFAULT_MAX_RESTARTS: Final = 3
DEFAULT_MAX_SECONDS: Final = 5.0


# The keywords of the specs, written once for all forms of their `__init__`.


class _TaskOptions(TypedDict, total=False):
    restart: Restart
    shutdown: ShutdownTime
    init_timeout: float
    backoff: Backoff | None


class _ChildOptions(TypedDict, Generic[M], total=False):
    restart: Restart
    shutdown: ShutdownTime | None
    type: ChildType
    init_timeout: float
    register: Name[Any, M] | None
    heir: MailboxHeir | None
    backoff: Backoff | None


@final
@dataclass(frozen=True, slots=True, init=False)
class ChildSpec(Generic[M, *Ts]):
    """An actor (or supervisor) to be run under a supervisor.

    ``M`` is the type of the messages that its ref takes, ``Ts`` are those of the start arguments;
    both are found from ``start``. A bare ``ChildSpec`` is one of any kind.

    ``id``: unique among the siblings of a static supervisor; also the ref's name. ``start``: builds
    the actor, in the supervisor's task; called with ``args`` for each incarnation. ``restart``:
    "permanent" after every exit, "transient" after an abnormal one, "temporary" never.
    ``shutdown``: seconds for an orderly stop, ``BRUTAL_KILL`` or ``INFINITY``; the default is 5 s
    for a worker, ``INFINITY`` for a supervisor. ``init_timeout``: seconds for init. ``register``: a
    name that every incarnation takes before its init. ``heir``: keeps waiting messages over a
    crash, see :class:`~locshare.actors.MailboxHeir`. ``backoff``: wait before each automatic
    restart, and do not count it, see :class:`Backoff`. Raises BadSpec.
    """

    id: str
    start: Callable[[*Ts], Actor[M]]
    args: tuple[*Ts]
    restart: Restart
    shutdown: ShutdownTime
    type: ChildType
    init_timeout: float
    register: Name[Any, M] | None
    heir: MailboxHeir | None
    backoff: Backoff | None

    # Two forms, since no default fits tuple[*Ts]: without arguments `start` must need none.
    @overload
    def __init__(
        self: "ChildSpec[M]",
        id: str,
        start: Callable[[], Actor[M]],
        **options: Unpack[_ChildOptions[M]],
    ) -> None: ...
    @overload
    def __init__(
        self,
        id: str,
        start: Callable[[*Ts], Actor[M]],
        args: tuple[*Ts],
        **options: Unpack[_ChildOptions[M]],
    ) -> None: ...
    def __init__(
        self,
        id: str,  # noqa: A002 - OTP's word
        start: Callable[..., Actor[M]],
        args: tuple[Any, ...] = (),
        *,
        restart: Restart = "permanent",
        shutdown: ShutdownTime | None = None,
        type: ChildType = "worker",  # noqa: A002 - OTP's word
        init_timeout: float = inf,
        register: Name[Any, M] | None = None,
        heir: MailboxHeir | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        if shutdown is None:
            shutdown = INFINITY if type == "supervisor" else DEFAULT_SHUTDOWN
        _check_child(id, start, args, restart, shutdown, init_timeout, backoff)
        one_of("type", type, get_args(ChildType))
        if register is not None and not isinstance(register, Name):
            raise BadSpec("register", register, "a Name or None")
        if heir is not None and not isinstance(heir, MailboxHeir):
            raise BadSpec("heir", heir, "a MailboxHeir or None")
        put = object.__setattr__
        put(self, "id", id)
        put(self, "start", start)
        put(self, "args", args)
        put(self, "restart", restart)
        put(self, "shutdown", shutdown)
        put(self, "type", type)
        put(self, "init_timeout", init_timeout)
        put(self, "register", register)
        put(self, "heir", heir)
        put(self, "backoff", backoff)


class TaskFunction(Protocol[*Ts]):
    """An async function that reports when it is ready, as for Trio's ``nursery.start``."""

    def __call__(self, *args: *Ts, task_status: trio.TaskStatus[Any]) -> Awaitable[object]: ...


@final
@dataclass(frozen=True, slots=True, init=False)
class TaskSpec:
    """A plain async function to be run under a supervisor; see :mod:`locshare.actors.task`.

    ``run`` is awaited with ``args`` and, unless ``handshake`` is False, with a ``task_status``
    whose ``started(value)`` ends the init; the value is then ``ref.value``. Fields and errors as
    in :class:`ChildSpec`; a stop is a cancellation.
    """

    id: str
    run: Callable[..., Awaitable[object]]
    args: tuple[Any, ...]
    restart: Restart
    shutdown: ShutdownTime
    init_timeout: float
    handshake: bool
    backoff: Backoff | None
    type: Literal["worker"]

    # With and without arguments, as in ChildSpec; with and without a handshake. The arguments are
    # checked here, but are no parameters of the class: a list of specs wants a TaskSpec with any
    # arguments, and for mypy a function with its own keywords is no TaskFunction of those.
    @overload
    def __init__(
        self,
        id: str,
        run: TaskFunction[()],
        *,
        handshake: Literal[True] = True,
        **options: Unpack[_TaskOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        id: str,
        run: TaskFunction[*Ts],
        args: tuple[*Ts],
        *,
        handshake: Literal[True] = True,
        **options: Unpack[_TaskOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        id: str,
        run: Callable[[], Awaitable[object]],
        *,
        handshake: Literal[False],
        **options: Unpack[_TaskOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        id: str,
        run: Callable[[*Ts], Awaitable[object]],
        args: tuple[*Ts],
        *,
        handshake: Literal[False],
        **options: Unpack[_TaskOptions],
    ) -> None: ...
    def __init__(
        self,
        id: str,  # noqa: A002 - OTP's word
        run: Callable[..., Awaitable[object]],
        args: tuple[Any, ...] = (),
        *,
        restart: Restart = "permanent",
        shutdown: ShutdownTime = DEFAULT_SHUTDOWN,
        init_timeout: float = inf,
        handshake: bool = True,
        backoff: Backoff | None = None,
    ) -> None:
        _check_child(id, run, args, restart, shutdown, init_timeout, backoff)
        if not isinstance(handshake, bool):
            raise BadSpec("handshake", handshake, "True or False")
        put = object.__setattr__
        put(self, "id", id)
        put(self, "run", run)
        put(self, "args", args)
        put(self, "restart", restart)
        put(self, "shutdown", shutdown)
        put(self, "init_timeout", init_timeout)
        put(self, "handshake", handshake)
        put(self, "backoff", backoff)
        put(self, "type", "worker")


AnySpec = ChildSpec | TaskSpec


def _check_child(
    id: object,  # noqa: A002 - OTP's word
    start: object,
    args: object,
    restart: object,
    shutdown: object,
    init_timeout: object,
    backoff: object,
) -> None:
    if not isinstance(id, str) or not id:
        raise BadSpec("id", id, "a string that is not empty")
    if not callable(start):
        raise BadSpec("start", start, "something callable")
    if not isinstance(args, tuple):
        raise BadSpec("args", type(args).__name__, "a tuple")
    one_of("restart", restart, get_args(Restart))
    if shutdown is not BRUTAL_KILL and not _is_seconds(shutdown):
        raise BadSpec("shutdown", shutdown, "seconds ≥ 0, BRUTAL_KILL or INFINITY")
    if not _is_seconds(init_timeout) or init_timeout == 0:
        raise BadSpec("init_timeout", init_timeout, "seconds > 0 or INFINITY")
    if backoff is not None and not isinstance(backoff, Backoff):
        raise BadSpec("backoff", backoff, "a Backoff or None")


def bad_spec(spec: object) -> Exception | None:
    """A TypeError unless ``spec`` is that of a child, else None."""
    hint = ""
    if hasattr(spec, "child"):
        hint = f"; a supervisor is started with {type(spec).__name__}(…).child(id)"
    return bad_type("spec", spec, ChildSpec, TaskSpec, hint=hint)


def check_budget(max_restarts: object, max_seconds: object) -> None:
    """Raise BadSpec for a restart budget that is none."""
    if not is_count(max_restarts):
        raise BadSpec("max_restarts", max_restarts, "a whole number ≥ 0")
    if not _is_seconds(max_seconds) or max_seconds in (0, inf):
        raise BadSpec("max_seconds", max_seconds, "finite seconds > 0")


def check_report(report: object) -> None:
    if report is not None and not callable(report):
        raise BadSpec("report", report, "a function that takes a Report, or None")


def check_telemetry(telemetry: object) -> None:
    """Raise BadSpec for a listener that is none."""
    if telemetry is not None and not callable(telemetry):
        raise BadSpec("telemetry", telemetry, "a function that takes an Event, or None")


def one_of(field: str, value: object, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise BadSpec(field, value, "one of " + ", ".join(map(repr, legal)))


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_seconds(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not isnan(value)
        and value >= 0
    )
