"""The task supervisor: one-off work that may fail without harming whoever asked for it.

A dynamic supervisor whose children are plain async functions, temporary each. A crash is reported
once and, if somebody waits for the result, told to him.
"""

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar, TypeVarTuple, cast, final

import trio

from locshare.actors import NORMAL, ActorRef, Exited, Ref
from locshare.actors.task import TaskIncarnation
from locshare.supervisor.dynamic import DynamicSupervisor, DynamicSupervisorRef
from locshare.supervisor.spec import DEFAULT_SHUTDOWN, DynamicSpec, ShutdownTime, TaskSpec

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
        in seconds, as in a spec. Raises MaxChildren, NoProc, Exited. Cancelling the start does not
        take it back once it is being handled.
        """
        name = getattr(async_fn, "__name__", "task")
        return await self.start_child(
            TaskSpec(name, async_fn, args, restart="temporary", shutdown=shutdown, handshake=False)
        )

    async def run(self, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run ``async_fn(*args)`` and return its result.

        Raises Exited if the task crashed (the crash is the cause) or was stopped; MaxChildren,
        NoProc if it could not start. Cancelling the wait kills the task and does not wait for its
        end.
        """
        with trio.CancelScope(shield=True):  # for two steps; a start must not outlive its asker
            ref = await self.start(async_fn, *args)
        try:
            reason = await ref.wait_exit()
        except trio.Cancelled:
            ref._incarnation.kill()
            raise
        if reason != NORMAL:
            raise Exited(reason, ref.name)
        return cast("T", cast("TaskIncarnation", ref._incarnation).result)


class TaskSupervisor(DynamicSupervisor):
    """The actor behind a :class:`TaskSupervisorRef`. Give it to a ChildSpec as ``start``."""

    ref_type: ClassVar[type[ActorRef]] = TaskSupervisorRef

    def __init__(self, spec: DynamicSpec | None = None) -> None:
        super().__init__(spec)
