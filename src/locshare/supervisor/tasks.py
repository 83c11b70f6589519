"""The task supervisor: one-off work that may fail without harming whoever asked for it.

A dynamic supervisor whose children are plain async functions, temporary each. A crash is reported
once and, if somebody waits for the result, told to him.
"""

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar, TypeVarTuple, cast, final

from locshare.actors import NORMAL, ActorRef, Exited, Ref
from locshare.actors.lowlevel import Incarnation, TaskIncarnation, raise_after_checkpoint
from locshare.supervisor.dynamic import (
    DynamicSpec,
    DynamicSupervisor,
    DynamicSupervisorRef,
    StartDynamic,
)
from locshare.supervisor.errors import BadSpec
from locshare.supervisor.spec import DEFAULT_SHUTDOWN, ShutdownTime, TaskSpec

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@final
class TaskSupervisorRef(DynamicSupervisorRef):
    """The ref of a task supervisor."""

    __slots__ = ()

    async def start(
        self,
        async_fn: Callable[[*Ts], Awaitable[object]],
        *args: *Ts,
        shutdown: ShutdownTime = DEFAULT_SHUTDOWN,
    ) -> Ref:
        """Start ``async_fn(*args)`` and return its ref at once; nobody waits for it. ``shutdown``
        in seconds, as in a spec. Raises MaxChildren, NoProc, Exited, BadSpec. Cancelling the start
        does not take it back once it is being handled.
        """
        try:
            spec = _spec(async_fn, args, shutdown)
        except BadSpec as error:
            await raise_after_checkpoint(error)
        return await self.start_child(spec)

    async def run(self, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run ``async_fn(*args)`` and return its result.

        Raises Exited if the task crashed (the crash is the cause) or was stopped; MaxChildren,
        NoProc if it could not start; BadSpec. Cancelling the wait, at any moment, kills the task
        and waits neither for its end nor for the supervisor: that may be stopping, and waiting for
        us.
        """
        try:
            spec = _spec(async_fn, args)
        except BadSpec as error:
            await raise_after_checkpoint(error)
        launched: list[Incarnation] = []
        try:
            request = StartDynamic(spec, launched.append)
            reason = await (await self.call(request, None)).wait_exit()
        except BaseException:
            # A call that was not taken yet is skipped, so who is not here will never be.
            for life in launched:
                life.kill()
            raise
        if reason != NORMAL:
            raise Exited(reason, launched[0].ref.name)
        return cast("T", cast("TaskIncarnation", launched[0]).result)


def _spec(
    async_fn: Callable[[*Ts], Awaitable[object]],
    args: tuple[*Ts],
    shutdown: ShutdownTime = DEFAULT_SHUTDOWN,
) -> TaskSpec:
    name = getattr(async_fn, "__name__", None)
    name = name if isinstance(name, str) and name else "task"
    return TaskSpec(name, async_fn, args, restart="temporary", shutdown=shutdown, handshake=False)


class TaskSupervisor(DynamicSupervisor):
    """The actor behind a :class:`TaskSupervisorRef`. Give it to a ChildSpec as ``start``."""

    ref_type: ClassVar[type[ActorRef]] = TaskSupervisorRef

    def __init__(self, spec: DynamicSpec | None = None) -> None:
        super().__init__(spec)
