"""Inspection as operations of the control socket."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, final

import structlog
import trio
from msgspec import structs

from locshare.actors import ActorRef, introspect
from locshare.actors.introspect import TraceEvent
from locshare.actors.loop_profiler import SlowStep, TaskProfiler
from locshare.ops.control import ControlError, Operation, Send
from locshare.ops.inspection.tree import ROOT, Found, Loads, TreeReader, find
from locshare.ops.inspection.views import (
    Kill,
    Latency,
    LongStep,
    ProcessInfo,
    Restart,
    Resume,
    Suspend,
    Terminate,
    Trace,
    TraceLine,
    Tree,
    TreeSnapshot,
    Watch,
)
from locshare.supervisor import (
    BaseSupervisorRef,
    DynamicSupervisorRef,
    SupervisorError,
    SupervisorRef,
)
from locshare.telemetry.histogram import Distribution

log = structlog.get_logger()

_SHORTEST_INTERVAL: Final = 0.1
_LONGEST_INTERVAL: Final = 3600.0
_TRACE_BUFFER: Final = 1000
_TIMEOUT_S: Final = 5.0
"""How long suspend and resume wait for an actor that is in the middle of a message."""


@final
class Inspector:
    """``root`` returns the root supervisor, None while the server starts; ``process_info`` returns
    the state of the process, ``delivery`` how long positions took. Any number of clients may ask
    at once.
    """

    def __init__(
        self,
        root: Callable[[], BaseSupervisorRef | None],
        process_info: Callable[[], ProcessInfo],
        delivery: Callable[[], Distribution] | None = None,
    ) -> None:
        self._root = root
        self._delivery = delivery
        self._process_info = process_info
        self._watchers = 0
        self._times = TaskProfiler()

    def operations(self) -> list[Operation]:
        """For :class:`locshare.ops.control.ControlServer`."""
        return [
            Operation(Tree, self._tree),
            Operation(Watch, self._watch),
            Operation(Suspend, self._suspend),
            Operation(Resume, self._resume),
            Operation(Trace, self._trace),
            Operation(Terminate, self._terminate),
            Operation(Restart, self._restart),
            Operation(Kill, self._kill),
        ]

    def root(self) -> BaseSupervisorRef:
        """The root. Raises ControlError while there is none."""
        root = self._root()
        if root is None or not root.alive:
            raise ControlError("not_ready", "the server is starting or stopping; ask again")
        return root

    def find(self, path: str) -> Found:
        """The child at ``path``. Raises ControlError."""
        if path == ROOT:
            raise ControlError(
                "refused", "the root is the server itself; to stop it send it SIGTERM"
            )
        return find(self.root(), path)

    # --- reading ----------------------------------------------------------------------------------

    async def snapshot(self, request: Tree) -> TreeSnapshot:
        """A snapshot without loads. Raises ControlError."""
        reader = TreeReader(self.root(), limit=_limit(request.limit), sort=request.sort)
        process = structs.replace(self._process_info(), latency=latency_of(self._delivered()))
        return TreeSnapshot(time.time(), process, await reader.read())

    def _delivered(self) -> Distribution | None:
        return None if self._delivery is None else self._delivery()

    async def _tree(self, request: Tree, _send: Send) -> TreeSnapshot:
        return await self.snapshot(request)

    async def _watch(self, request: Watch, send: Send) -> None:
        if not _SHORTEST_INTERVAL <= request.interval <= _LONGEST_INTERVAL:
            raise ControlError(
                "bad_request",
                f"interval is {request.interval:g}; allowed are {_SHORTEST_INTERVAL:g} to "
                f"{_LONGEST_INTERVAL:g} seconds",
            )
        limit = _limit(request.limit)
        with self._measured() as times:
            loads = Loads(times)
            cpu, at = time.process_time(), trio.current_time()
            before = self._delivered()
            while True:
                loads.begin_snapshot(trio.current_time())
                reader = TreeReader(self.root(), limit=limit, sort=request.sort, loads=loads)
                root = await reader.read()
                now_cpu, now = time.process_time(), trio.current_time()
                delivered = self._delivered()
                process_info = structs.replace(
                    self._process_info(),
                    cpu=(now_cpu - cpu) / (now - at) if now - at > _SHORTEST_INTERVAL / 2 else None,
                    longest_step=_long_step(times.take_longest()),
                    latency=latency_of(delivered, before),
                )
                cpu, at, before = now_cpu, now, delivered
                await send(TreeSnapshot(time.time(), process_info, root))
                await trio.sleep(request.interval)

    @contextmanager
    def _measured(self) -> Iterator[TaskProfiler]:
        """Profile the loop while at least one client watches; all share the profiler."""
        if self._watchers == 0:
            self._times = TaskProfiler()
            trio.lowlevel.add_instrument(self._times)
        self._watchers += 1
        try:
            yield self._times
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                trio.lowlevel.remove_instrument(self._times)

    async def _trace(self, request: Trace, send: Send) -> str:
        """Ends with the actor; returns its exit reason."""
        actor = self.find(request.path).actor
        if introspect.is_traced(actor):
            raise ControlError("refused", f"{request.path} is traced by another client already")
        began = trio.current_time()
        put, lines = trio.open_memory_channel[TraceLine](_TRACE_BUFFER)
        lost = 0

        def note(event: TraceEvent) -> None:
            nonlocal lost
            line = TraceLine(event.at - began, event.kind, event.type, event.seconds, lost)
            try:
                put.send_nowait(line)
            except trio.WouldBlock:
                lost += 1
            else:
                lost = 0

        down = actor.monitor(lambda _down: put.close())
        introspect.trace(actor, listener=note)
        try:
            async for line in lines:
                await send(line)
        finally:
            introspect.trace(actor, on=False)
            down.cancel()
            put.close()
        return str(actor.exit_reason)

    # --- acting -----------------------------------------------------------------------------------

    async def _suspend(self, request: Suspend, _send: Send) -> None:
        actor = self._worker(request.path)
        log.warning("suspended", path=request.path)
        await introspect.suspend(actor, _TIMEOUT_S)

    async def _resume(self, request: Resume, _send: Send) -> None:
        await introspect.resume(self._worker(request.path), _TIMEOUT_S)
        log.warning("resumed", path=request.path)

    def _worker(self, path: str) -> ActorRef:
        actor = self.find(path).actor
        if isinstance(actor, BaseSupervisorRef):
            raise ControlError(
                "refused", f"{path} is a supervisor; suspended, it would restart nobody"
            )
        return actor

    async def _terminate(self, request: Terminate, _send: Send) -> None:
        found = self.find(request.path)
        log.warning("terminated", path=request.path)
        # Shielded: a client that hangs up must not leave a child half stopped.
        with trio.CancelScope(shield=True):
            try:
                if isinstance(found.supervisor, SupervisorRef):
                    await found.supervisor.terminate_child(found.info.id)
                elif isinstance(found.supervisor, DynamicSupervisorRef):
                    await found.supervisor.terminate_child(found.ref)
            except SupervisorError as error:
                raise ControlError("refused", str(error)) from None

    async def _restart(self, request: Restart, _send: Send) -> None:
        found = self.find(request.path)
        if not isinstance(found.supervisor, SupervisorRef):
            raise ControlError(
                "refused", f"{request.path} was forgotten when it ended: it cannot be restarted"
            )
        log.warning("restarted", path=request.path)
        with trio.CancelScope(shield=True):
            try:
                await found.supervisor.restart_child(found.info.id)
            except SupervisorError as error:
                raise ControlError("refused", str(error)) from None

    async def _kill(self, request: Kill, _send: Send) -> None:
        found = self.find(request.path)
        log.warning("killed", path=request.path)
        introspect.kill(found.ref)
        with trio.move_on_after(_TIMEOUT_S):
            await found.ref.wait_exit()


def latency_of(now: Distribution | None, before: Distribution | None = None) -> Latency | None:
    """The quantiles of what was observed between the two. Pure."""
    if now is None:
        return None
    recent = now if before is None else now.since(before)
    p50, p95, p99 = (recent.quantile(share) for share in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        return None
    return Latency(p50, p95, p99, sum(recent.counts))


def _limit(limit: int) -> int:
    if limit < 0:
        raise ControlError("bad_request", f"limit is {limit}; allowed are whole numbers from 0")
    return limit


def _long_step(step: SlowStep | None) -> LongStep | None:
    return None if step is None else LongStep(step.task, step.seconds, step.message)
