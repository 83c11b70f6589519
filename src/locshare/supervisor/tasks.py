"""The task supervisor: one-off work that may fail without harming the task that asked for it.

A dynamic supervisor whose children are plain async functions, each temporary. A crash is reported
once and raised where the result is awaited.

- :meth:`TaskSupervisorRef.run` runs one function and returns its result; the task ends with the
  caller's wait.
- :meth:`TaskSupervisorRef.start` returns a :class:`TaskHandle`; the task lives as
  long as its supervisor unless it is cancelled.
- :meth:`TaskSupervisorRef.map` runs one function over many items with bounded concurrency; no task
  outlives its block.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import ClassVar, Final, Generic, Self, TypeVar, TypeVarTuple, cast, final

import trio

from locshare.actors import NORMAL, ActorRef, Down, Exited, ExitReason, Ref
from locshare.actors.lowlevel import Incarnation, TaskIncarnation, raise_after_checkpoint
from locshare.supervisor.dynamic import (
    DynamicSpec,
    DynamicSupervisor,
    DynamicSupervisorRef,
    StartDynamic,
)
from locshare.supervisor.errors import BadSpec
from locshare.supervisor.spec import DEFAULT_SHUTDOWN, ShutdownTime, TaskSpec, is_count

I = TypeVar("I")  # noqa: E741 - an item of a map
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@final
class TaskHandle(Generic[T]):
    """A started task: await its result, or cancel it. The handle keeps the result."""

    __slots__ = ("_incarnation",)

    def __init__(self, incarnation: Incarnation) -> None:
        self._incarnation = cast("TaskIncarnation", incarnation)

    @property
    def ref(self) -> Ref:
        """For monitors, ``stop`` with a reason, and the supervisor's ``terminate_child``."""
        return self._incarnation.ref

    @property
    def done(self) -> bool:
        """True once the task has returned, crashed, or been stopped."""
        return self._incarnation.reason is not None

    def cancel(self) -> None:
        """Kill the task. Returns at once; idempotent. The task has ended once :meth:`wait` returns:
        code that shields itself from cancellation finishes first. Raises WrongThread.
        """
        self._incarnation.kill()

    async def wait(self) -> ExitReason:
        """Wait for the end and return its reason. Cancelling the wait leaves the task alone. Raises
        CallToSelf in the task itself.
        """
        return await self.ref.wait_exit()

    async def result(self) -> T:
        """Wait for the end and return what the function returned.

        Raises Exited if the task crashed (the crash is the cause), was cancelled or stopped;
        CallToSelf in the task itself. Cancelling the wait leaves the task alone. Repeatable.
        """
        reason = await self.wait()
        if reason != NORMAL:
            raise Exited(reason, self.ref.name)
        return cast("T", self._incarnation.result)


@final
class TaskSupervisorRef(DynamicSupervisorRef):
    """The ref of a task supervisor."""

    __slots__ = ()

    async def start(
        self,
        async_fn: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        shutdown: ShutdownTime = DEFAULT_SHUTDOWN,
    ) -> TaskHandle[T]:
        """Start ``async_fn(*args)`` and return its handle at once.

        ``shutdown``: seconds, as in a spec. Raises MaxChildren, NoProc, Exited, BadSpec. Cancelling
        the start does not take it back once the supervisor handles it.
        """
        try:
            spec = _spec(async_fn, args, shutdown)
        except BadSpec as error:
            await raise_after_checkpoint(error)
        return await self._launch(spec, lambda _handle: None)

    async def run(self, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run ``async_fn(*args)`` and return its result.

        Raises Exited if the task crashed (the crash is the cause) or was stopped; MaxChildren or
        NoProc if it could not start; BadSpec. Cancelling the wait, at any moment, kills the task.
        It waits neither for the task's end nor for the supervisor, which may be stopping and
        waiting for the caller.
        """
        try:
            spec = _spec(async_fn, args)
        except BadSpec as error:
            await raise_after_checkpoint(error)
        launched: list[TaskHandle[T]] = []
        try:
            return await (await self._launch(spec, launched.append)).result()
        except BaseException:
            # A call that the supervisor has not taken is skipped: what is not here never starts.
            for handle in launched:
                handle.cancel()
            raise

    def map(
        self,
        async_fn: Callable[[I], Awaitable[T]],
        items: Iterable[I],
        *,
        limit: int,
        ordered: bool = True,
    ) -> "TaskMap[I, T]":
        """Run ``async_fn(item)`` for each item, at most ``limit`` at once::

            async with tasks.map(fetch, urls, limit=8) as pages:
                async for page in pages: ...

        Results come in the order of the items, or with ``ordered=False`` as they are finished. See
        :class:`TaskMap`. Raises BadSpec.
        """
        return TaskMap(self, async_fn, items, limit, ordered)

    async def _launch(
        self, spec: TaskSpec, launched: Callable[[TaskHandle[T]], None]
    ) -> TaskHandle[T]:
        """Start a task; ``launched`` gets the handle in the supervisor's task, before anything can
        be cancelled in between.
        """
        handles: list[TaskHandle[T]] = []

        def on_launch(incarnation: Incarnation) -> None:
            handle: TaskHandle[T] = TaskHandle(incarnation)
            handles.append(handle)
            launched(handle)

        await self.call(StartDynamic(spec, on_launch), None)
        return handles[0]


_NO_MORE: Final = object()
_NOT_READ: Final = object()


@final
class TaskMap(Generic[I, T]):
    """A running :meth:`TaskSupervisorRef.map`: an async context manager and iterator.

    At most ``limit`` tasks are running or hold a result that was not taken yet: a slow consumer
    slows the start of new tasks. ``items`` is read one at a time, as tasks are started.

    If a task crashes or is stopped, the iteration raises Exited at once, in either order, with the
    crash as its cause; MaxChildren and NoProc if a task cannot be started. Leaving the block for
    any reason, a ``break`` or a cancellation included, kills the tasks that are left and waits for
    their ends: no task outlives the block.
    """

    __slots__ = ("_changed", "_failed", "_finished", "_fn", "_item", "_items", "_limit", "_open",
                 "_ordered", "_tasks")  # fmt: skip

    def __init__(
        self,
        tasks: TaskSupervisorRef,
        async_fn: Callable[[I], Awaitable[T]],
        items: Iterable[I],
        limit: int,
        ordered: bool,
    ) -> None:
        if not callable(async_fn):
            raise BadSpec("async_fn", async_fn, "something callable")
        if not isinstance(items, Iterable):
            raise BadSpec("items", items, "an iterable")
        if not is_count(limit) or limit == 0:
            raise BadSpec("limit", limit, "a whole number ≥ 1")
        self._tasks = tasks
        self._fn = async_fn
        self._items = iter(items)
        self._item: object = _NOT_READ  # the next one, until its task is started
        self._limit = limit
        self._ordered = ordered
        #: Tasks whose results were not taken yet, in start order.
        self._open: dict[Ref, TaskHandle[T]] = {}
        self._finished: deque[TaskHandle[T]] = deque()
        self._failed: TaskHandle[T] | None = None
        self._changed = trio.Event()

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._open.values():
            handle.cancel()
        with trio.CancelScope(shield=True):
            for handle in self._open.values():
                await handle.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next result. Cancelling the wait loses neither an item nor a result: the next one
        goes on from there.
        """
        while self._failed is None and len(self._open) < self._limit:
            if self._item is _NOT_READ:
                self._item = next(self._items, _NO_MORE)
            if self._item is _NO_MORE:
                break
            await self._tasks._launch(_spec(self._fn, (cast("I", self._item),)), self._launched)
        if not self._open:
            await trio.lowlevel.checkpoint()
            raise StopAsyncIteration
        handle = await self._next_done()
        result = await handle.result()
        del self._open[handle.ref]
        if not self._ordered:
            self._finished.popleft()
        return result

    async def _next_done(self) -> TaskHandle[T]:
        while True:
            if self._failed is not None:
                return self._failed
            if self._ordered:
                first = next(iter(self._open.values()))
                if first.done:
                    return first
            elif self._finished:
                return self._finished[0]
            await self._changed.wait()
            self._changed = trio.Event()

    def _launched(self, handle: TaskHandle[T]) -> None:
        self._item = _NOT_READ
        self._open[handle.ref] = handle
        handle.ref.monitor(self._ended)

    def _ended(self, down: Down) -> None:
        handle = self._open[down.ref]
        if down.reason != NORMAL and self._failed is None:
            self._failed = handle
        elif not self._ordered:
            self._finished.append(handle)
        self._changed.set()


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
