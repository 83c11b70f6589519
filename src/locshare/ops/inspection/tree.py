"""Reads the live tree: from the root's ref to views, and from a path to a child.

Reading sends no message and awaits no actor (``which_children`` and the counters are plain data),
so a stuck actor can be inspected. A checkpoint every few hundred children lets other tasks run:
each view is consistent, the whole snapshot is not of one moment.
"""

import math
import sys
from collections.abc import Iterable
from typing import Final, NamedTuple, final

import trio

from locshare.actors import ActorRef, Ref
from locshare.actors.introspect import gauges, is_traced, statistics, status, task_of
from locshare.actors.loop_profiler import TaskProfiler
from locshare.actors.lowlevel import Status
from locshare.ops.control import ControlError
from locshare.ops.inspection.views import ActorView, SortKey
from locshare.supervisor import BaseSupervisorRef, ChildInfo, DynamicSupervisorRef

ROOT: Final = "."
_CHECKPOINT_EVERY: Final = 200


class Found(NamedTuple):
    """A child, by its path."""

    path: str
    supervisor: BaseSupervisorRef
    info: ChildInfo

    @property
    def ref(self) -> Ref:
        """Its incarnation's ref. Raises ControlError if it has none."""
        if self.info.ref is None:
            raise ControlError("not_running", f"{self.path} is {self.info.state}")
        return self.info.ref

    @property
    def actor(self) -> ActorRef:
        """Its ref, if it is an actor. Raises ControlError."""
        if not isinstance(self.ref, ActorRef):
            raise ControlError(
                "not_an_actor", f"{self.path} is a task: it has no mailbox and cannot do that"
            )
        return self.ref


def find(root: BaseSupervisorRef, path: str) -> Found:
    """The child at ``path``. Raises ControlError that names the first wrong part."""
    supervisor, walked = root, ""
    *above, last = path.split("/")
    for name in above:
        info = _child(supervisor, name, walked)
        walked = f"{walked}{name}/"
        if not isinstance(info.ref, BaseSupervisorRef):
            raise ControlError("not_found", f"{walked[:-1]} is {info.state} and has no children")
        supervisor = info.ref
    return Found(path, supervisor, _child(supervisor, last, walked))


def _child(supervisor: BaseSupervisorRef, name: str, walked: str) -> ChildInfo:
    children = supervisor.which_children()
    for label, info in zip(_labels(children), children, strict=True):
        if label == name:
            return info
    where = walked[:-1] or "the root"
    some = ", ".join(_labels(children)[:12]) or "none"
    if len(children) > 12:
        some += f" and {len(children) - 12} more"
    raise ControlError("not_found", f"{where} has no child {name!r}; there are: {some}")


def _until(instant: float | None) -> float | None:
    """Seconds from now until ``instant``."""
    return None if instant is None else max(0.0, instant - trio.current_time())


def _labels(children: Iterable[ChildInfo]) -> list[str]:
    """The ids. A dynamic supervisor may have equal ones, which get their incarnation added."""
    seen: set[str] = set()
    labels = []
    for info in children:
        label = info.id
        if label in seen and info.ref is not None:
            label = f"{label}~{info.ref.serial}"
        seen.add(info.id)
        labels.append(label)
    return labels


@final
class Loads:
    """Shares of the core between two snapshots, from the profiler's cumulative times."""

    def __init__(self, times: TaskProfiler) -> None:
        self.times = times
        self._before: dict[int, float] = {}
        self._now: dict[int, float] = {}
        self._seconds = 0.0
        self._at: float | None = None

    def begin_snapshot(self, at: float) -> None:
        """Start a new interval. ``at``: seconds of a monotonic clock."""
        self._seconds = 0.0 if self._at is None else at - self._at
        self._at = at
        self._before, self._now = self._now, {}

    def of(self, ref: Ref) -> tuple[float | None, float | None]:
        """Time on the loop, and share of the core since the last snapshot."""
        task = task_of(ref)
        if task is None:
            return None, None
        busy = self.times.of(task) if isinstance(ref, ActorRef) else self.times.below(task)
        self._now[ref.serial] = busy
        if not self._seconds:
            return busy, None
        return busy, max(busy - self._before.get(ref.serial, 0.0), 0.0) / self._seconds


@final
class TreeReader:
    """Makes views of the tree below ``root``: at most ``limit`` children (0: all) per dynamic
    supervisor, ordered by ``sort``. ``loads`` is None when the loop is not profiled.
    """

    def __init__(
        self,
        root: BaseSupervisorRef,
        *,
        limit: int = 0,
        sort: SortKey = "load",
        loads: Loads | None = None,
    ) -> None:
        self._root = root
        self._limit = limit
        self._sort: SortKey = sort
        self._loads = loads
        self._read = 0

    async def read(self) -> ActorView:
        """The whole tree. Cancellation has no effect on it."""
        return await self._view(
            ChildInfo("root", self._root, "running", "supervisor", 0, None), ROOT, "root"
        )

    async def _view(self, info: ChildInfo, path: str, label: str) -> ActorView:
        await self._maybe_checkpoint()
        children: list[ActorView] = []
        hidden = 0
        if isinstance(info.ref, BaseSupervisorRef) and info.ref.alive:
            infos = info.ref.which_children()
            named = list(zip(_labels(infos), infos, strict=True))
            if isinstance(info.ref, DynamicSupervisorRef):
                named, hidden = await self._choose(named)
            prefix = "" if path == ROOT else f"{path}/"
            for name, below in named:
                children.append(await self._view(below, f"{prefix}{name}", name))
        return self._describe(info, path, label, tuple(children), hidden)

    async def _maybe_checkpoint(self) -> None:
        self._read += 1
        if self._read % _CHECKPOINT_EVERY == 0:
            await trio.lowlevel.checkpoint()

    async def _choose(
        self, named: list[tuple[str, ChildInfo]]
    ) -> tuple[list[tuple[str, ChildInfo]], int]:
        """The children to show, in order, and the number of those left out."""
        if self._sort != "id":
            weights = {}
            for name, info in named:
                await self._maybe_checkpoint()
                weights[name] = self._weight(info)
            named = sorted(named, key=lambda each: weights[each[0]], reverse=True)
        shown = named[: self._limit] if self._limit else named
        return shown, len(named) - len(shown)

    def _weight(self, info: ChildInfo) -> float:
        """The sort key of a child, with all below it."""
        ref = info.ref
        below = ref.which_children() if isinstance(ref, BaseSupervisorRef) and ref.alive else ()
        return self._own_weight(info) + sum(map(self._weight, below))

    def _own_weight(self, info: ChildInfo) -> float:
        ref = info.ref
        if isinstance(ref, ActorRef) and (is_traced(ref) or status(ref) is Status.SUSPENDED):
            return math.inf  # an operator is working on it
        match self._sort:
            case "restarts":
                return info.restarts
            case "latency" if isinstance(ref, ActorRef):
                return gauges(ref).get("latency_us", 0)
            case "load" if self._loads is not None and ref is not None:
                return self._loads.of(ref)[1] or 0.0
            case "mailbox" if isinstance(ref, ActorRef):
                return statistics(ref).waiting
            case "handled" | "load" if isinstance(ref, ActorRef):
                return statistics(ref).handled
        return 0.0

    def _describe(
        self, info: ChildInfo, path: str, label: str, children: tuple[ActorView, ...], hidden: int
    ) -> ActorView:
        ref = info.ref
        worker = info.type == "worker"
        if ref is None:
            return ActorView(
                path, label, info.type, info.state,
                restarts=info.restarts, last_reason=info.last_reason,
                restart_in=_until(info.restart_at),
            )  # fmt: skip
        busy, load = (None, None) if self._loads is None else self._loads.of(ref)
        if not isinstance(ref, ActorRef):
            return ActorView(
                path, label, "task", info.state, status(ref).value, ref.serial,
                info.restarts, info.last_reason, busy=busy, load=load,
            )  # fmt: skip
        counted = statistics(ref)
        own = dict(gauges(ref))
        latency_us = own.pop("latency_us", None)
        return ActorView(
            path,
            label,
            "actor" if worker else "supervisor",
            info.state,
            counted.status,
            ref.serial,
            info.restarts,
            info.last_reason,
            mailbox=counted.waiting,
            capacity=None if counted.capacity == sys.maxsize else counted.capacity,
            high_water=counted.high_water,
            handled=counted.handled,
            dropped=counted.dropped,
            timers=counted.timers,
            traced=is_traced(ref),
            busy=busy,
            load=load,
            bytes=counted.bytes + own.pop("bytes", 0),
            latency=None if latency_us is None else latency_us / 1e6,
            gauges=own,
            children=children,
            hidden=hidden,
        )
