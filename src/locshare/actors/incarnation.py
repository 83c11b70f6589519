"""One incarnation: from the start handshake to the exit path. Common to actors and plain tasks.

An incarnation is one Trio task with its own cancel scope. Its owner (a supervisor, an actor
nursery) gives the nursery and two callbacks, ``on_started`` and ``on_exit``, both plain functions.

What is promised:

- ``on_started`` is called once if init succeeds, ``on_exit`` once in any case, and the task's
  last step is ``on_exit``: when it is called, helper tasks and nested nurseries have ended.
- The exit path (:meth:`Incarnation._exit`) has no checkpoint (statement 76). In one piece: marked
  dead, names freed, waiting calls failed, DOWNs sent, the supervisor notified. No task sees a part.
- Kill is a request (70): it cancels the scope; code that shields itself goes on until it is done.
- ``trio.Cancelled`` is never a crash and is never swallowed (72): the incarnation ends ``killed``
  and the exception goes on to its scope. A group that mixes it with ordinary exceptions is split
  (74).
- A fatal crash (KeyboardInterrupt, SystemExit) is never lost: once raised it is the exit reason,
  whatever else ends the incarnation or fails on the way (75).
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from enum import Enum
from itertools import count
from math import inf
from typing import Final, cast

import outcome
import trio
from trio.lowlevel import Abort, Task, current_task, enable_ki_protection, reschedule

from locshare.actors.actor_ref import NameTable
from locshare.actors.checks import bad_callable, raise_if
from locshare.actors.clock import CallAt, current_clock
from locshare.actors.frames import clear_finished_frames
from locshare.actors.reasons import KILLED, Crash, ExitReason
from locshare.actors.ref import Monitor, Ref

#: Default time that ``terminate`` has, and that a worker has to stop (OTP: 5 s).
DEFAULT_GRACE: Final = 5.0

_serials = count(1)

_NO_DETAILS: Final[Mapping[str, object]] = {}


class Status(Enum):
    """The state of an incarnation."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    STOPPING = "stopping"
    DEAD = "dead"


def _nothing(_incarnation: "Incarnation") -> None:
    pass


class Incarnation:
    """One supervised task. Subclasses define what it runs."""

    __slots__ = (
        "__weakref__",
        "_helpers",
        "_init_limit",
        "_monitors",
        "_names",
        "_scope",
        "_stopping_scope",
        "_waiters",
        "clock",
        "details",
        "fatal",
        "gave_up",
        "grace",
        "ignored",
        "init_timed_out",
        "killed",
        "last_crash",
        "last_events",
        "last_message",
        "nursery",
        "on_exit",
        "on_started",
        "reason",
        "ref",
        "started",
        "status",
        "suppressed_crash",
        "task",
        "value",
    )

    ref: Ref

    def __init__(self, *, grace: float = DEFAULT_GRACE) -> None:
        self.clock = current_clock()
        self.status = Status.NEW
        self.reason: ExitReason | None = None
        self.started = False
        self.ignored = False
        self.init_timed_out = False
        self.killed = False
        self.value: object = None
        self.grace = grace
        self.task: Task | None = None
        self.nursery: trio.Nursery | None = None
        #: A supervisor whose budget tripped says so here, and leaves the last crash (31).
        self.gave_up = False
        self.last_crash: Crash | None = None
        #: The first fatal crash of this incarnation, or of one below it: its reason in the end.
        self.fatal: Crash | None = None
        #: A crash that the end would hide: the ordinary part of a group that also held Cancelled
        #: (74), or that of a helper which crashed after the handler had been cancelled.
        self.suppressed_crash: Crash | None = None
        #: After a crash: the type of the message that was being handled. Never the message.
        self.last_message: str | None = None
        #: ... what the actor's ``redact`` allowed, and the last trace events if a trace was on.
        self.details: Mapping[str, object] = _NO_DETAILS
        self.last_events: tuple[object, ...] = ()
        self.on_started: Callable[[Incarnation], None] = _nothing
        self.on_exit: Callable[[Incarnation], None] = _nothing
        self._scope = trio.CancelScope()
        self._stopping_scope: trio.CancelScope | None = None
        self._init_limit: CallAt | None = None
        # None until used: an idle actor should be small.
        self._monitors: dict[Monitor, None] | None = None
        self._names: dict[tuple[int, Hashable], NameTable] | None = None
        self._waiters: dict[Task, None] | None = None
        self._helpers: dict[trio.CancelScope, None] | None = None

    # -- start -----------------------------------------------------------------------------

    def launch(self, nursery: trio.Nursery, init_timeout: float = inf) -> None:
        """Start the task in ``nursery``. Returns at once; the callbacks report the rest.

        When init takes longer than ``init_timeout`` seconds it is cancelled and
        ``init_timed_out`` is set.
        """
        self.status = Status.STARTING
        self.nursery = nursery
        if init_timeout != inf:
            self._init_limit = CallAt(
                self.clock, trio.current_time() + init_timeout, self._init_took_too_long
            )
        nursery.start_soon(self._main, name=f"{self.ref.name}#{self.ref.serial}")

    def _init_took_too_long(self) -> None:
        if not self.started:
            self.init_timed_out = True
            self.kill()

    def announce_started(self) -> None:
        """Init has succeeded. Without effect after a kill, such as that of ``init_timeout``: then
        the start has failed (4). No checkpoint.
        """
        if self.killed or self.reason is not None:
            return
        if self._init_limit is not None:
            self._init_limit.disarm()
            self._init_limit = None
        self.started = True
        if self.status is Status.STARTING:
            self.status = Status.RUNNING
        self._wake_waiters()
        # Drop the reference: it holds the starter's closure, and an idle actor should be small.
        on_started, self.on_started = self.on_started, _nothing
        on_started(self)

    def discard(self, reason: ExitReason) -> None:
        """End an incarnation that was made but will not be launched."""
        self._exit(reason)

    # -- run -------------------------------------------------------------------------------

    async def _live(self) -> ExitReason:
        """Run from init to ``terminate``. Raises only Cancelled, alone or in a group. An init that
        declines sets ``ignored`` and returns.
        """
        raise NotImplementedError

    async def _main(self) -> None:
        self.task = current_task()
        reason: ExitReason = KILLED
        try:
            with self._scope:
                reason = await self._live()
        except BaseExceptionGroup as group:
            # Only Cancelled is expected here; anything else is a crash of the runtime itself
            # and is at least reported as one.
            cancelled, rest = group.split(trio.Cancelled)
            if rest is not None:
                reason = Crash(rest)
            if cancelled is not None:
                raise cancelled from None
        finally:
            self._exit(reason)

    # -- end -------------------------------------------------------------------------------

    def crashed(self, error: BaseException, previous: ExitReason | None = None) -> Crash:
        """Make a Crash of ``error``; keep it as the exit reason if it is fatal."""
        crash = Crash(error, previous=previous)
        self.note_fatal(crash)
        return crash

    def note_fatal(self, reason: ExitReason) -> None:
        """Keep ``reason`` as the exit reason if it is the first fatal one."""
        if self.fatal is None and isinstance(reason, Crash) and reason.fatal:
            self.fatal = reason

    def request_stop(self, reason: ExitReason, deadline: float = inf) -> None:
        """Ask for an orderly end. ``deadline`` (absolute) is the limit for ``terminate``."""
        raise NotImplementedError

    def kill(self) -> None:
        """Cancel everything. ``terminate`` is not called; if it runs it is cut short. Returns at
        once; safe in any state. Raises WrongThread.
        """
        self.clock.check_thread()
        if self.reason is None:
            self.killed = True
            self._scope.cancel()
            if self._stopping_scope is not None:
                self._stopping_scope.cancel()
            for helper in self._helpers or ():
                helper.cancel()

    @enable_ki_protection
    def _exit(self, reason: ExitReason) -> None:
        """The exit path. No checkpoint, and nothing in it may raise (statement 76)."""
        reason = self._settle_reason(reason)
        if self.suppressed_crash is not None and not isinstance(reason, Crash):
            reason = self.suppressed_crash
        self.note_fatal(reason)
        if self.fatal is not None:
            reason = self.fatal
            self.ignored = False
        if isinstance(reason, Crash):
            # Before anything can see the reason, which refs and reports keep.
            clear_finished_frames(reason.exception)
        self.status = Status.DEAD
        self.reason = reason
        if self._init_limit is not None:
            self._init_limit.disarm()
            self._init_limit = None
        for (_, key), registry in (self._names or {}).items():
            registry.free(key, self.ref)
        self._names = None
        self._close(reason)
        monitors, self._monitors = self._monitors, None  # a callback may cancel another one
        for monitor in monitors or ():
            try:
                monitor.deliver(reason)
            except BaseException as error:  # noqa: BLE001 - the other monitors must hear of it too
                self.crashed(error)
        self._wake_waiters()
        on_exit, self.on_started, self.on_exit = self.on_exit, _nothing, _nothing
        self.task = None
        self.nursery = None
        on_exit(self)

    def _settle_reason(self, reason: ExitReason) -> ExitReason:
        """The exit reason. One that was killed ends as killed, even if it came to an orderly end
        after the kill.
        """
        return KILLED if self.killed and reason.expected else reason

    def _close(self, reason: ExitReason) -> None:
        """The subclass's part of the exit path."""

    # -- waiting ---------------------------------------------------------------------------

    async def wait_exit(self) -> ExitReason:
        """Park until the end. A checkpoint always."""
        if self.reason is not None:
            await trio.lowlevel.checkpoint()
        while self.reason is None:
            await self._wait_change()
        return self.reason

    async def wait_started(self) -> None:
        """Park until init has succeeded or failed. No checkpoint if it already has."""
        while not self.started and self.reason is None:
            await self._wait_change()

    async def _wait_change(self) -> None:
        task = current_task()
        if self._waiters is None:
            self._waiters = {}
        waiters = self._waiters
        waiters[task] = None

        def abort(_raise_cancel: object) -> Abort:
            waiters.pop(task, None)
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for task in waiters or ():
            reschedule(task, outcome.Value(None))

    # -- names, monitors -------------------------------------------------------------------

    def hold_name(self, registry: NameTable, key: Hashable) -> None:
        """``registry`` has given ``key`` to this incarnation."""
        if self._names is None:
            self._names = {}
        self._names[id(registry), key] = registry

    def release_name(self, registry: NameTable, key: Hashable) -> None:
        """``registry`` has taken ``key`` back."""
        if self._names is not None:
            self._names.pop((id(registry), key), None)

    def add_monitor(self, monitor: Monitor) -> None:
        """Notify ``monitor`` at the end, once."""
        self.clock.check_thread()
        if self._monitors is None:
            self._monitors = {}
        self._monitors[monitor] = None

    def remove_monitor(self, monitor: Monitor) -> None:
        """Undo :meth:`add_monitor`."""
        self.clock.check_thread()
        if self._monitors is not None:
            self._monitors.pop(monitor, None)

    # -- helper tasks ----------------------------------------------------------------------

    def spawn_helper(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a helper task that ends with this incarnation and crashes it if it raises."""
        raise_if(bad_callable("async_fn", async_fn))
        self.clock.check_thread()
        if self.nursery is None or self.reason is not None:
            raise RuntimeError("an actor can spawn helpers only while it is alive")
        if self._helpers is None:
            self._helpers = {}
        scope = trio.CancelScope()
        self._helpers[scope] = None
        name = f"{self.ref.name}#{self.ref.serial} helper {getattr(async_fn, '__name__', '')}"
        self.nursery.start_soon(self._help, scope, async_fn, args, name=name)

    async def _help(
        self,
        scope: trio.CancelScope,
        async_fn: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        try:
            with scope:
                await async_fn(*args)
        except trio.Cancelled:
            raise
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if rest is not None:
                self.helper_crashed(rest)
            if cancelled is not None:
                raise cancelled from None
        except BaseException as error:  # noqa: BLE001 - carried to the actor, fatal ones too (75)
            self.helper_crashed(error)
        finally:
            if self._helpers is not None:
                del self._helpers[scope]
            self._wake_waiters()

    def helper_crashed(self, error: BaseException) -> None:
        """A helper raised ``error``: crash with it."""
        raise NotImplementedError

    async def _end_helpers(self) -> None:
        """Cancel the helpers and wait for them, shielded: no helper outlives its actor (73)."""
        if not self._helpers:
            return
        with trio.CancelScope(shield=True):
            while self._helpers:
                for scope in self._helpers:  # at each turn: a helper may have spawned another
                    scope.cancel()
                await self._wait_change()


def incarnation_of(ref: Ref) -> Incarnation:
    """The incarnation that ``ref`` names."""
    return cast("Incarnation", ref._incarnation)


def next_serial() -> int:
    """A number that is unique in this process."""
    return next(_serials)
