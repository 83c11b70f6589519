"""Refs, and the monitors by which one learns that the actor behind a ref has ended.

A ref names one incarnation (statement 14): after a restart it is the ref of a dead incarnation,
never of the new one. Look the new one up by name, or ask the supervisor. A ref keeps neither the
actor nor its state alive after the end, so it is safe to store.

A monitor gives exactly one DOWN, which carries the monitor itself, the target's ref and the reason;
two monitors give two. A dead or unknown target gives DOWN ``noproc`` at once (statements 59, 60).
The DOWN is queued behind everything the dead actor had sent, after its names are free (62). After
``cancel`` no DOWN of that monitor is seen, even if one was already queued (61): the reader skips
it, so nothing searches the queue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol, final

import trio
from trio.lowlevel import Task, current_task

from locshare.actors.checks import bad_callable, bad_seconds, raise_after_checkpoint, raise_if
from locshare.actors.clock import Clock
from locshare.actors.mailbox import DOWN, Mailbox
from locshare.actors.reasons import (
    NOPROC,
    SHUTDOWN,
    CallTimeout,
    CallToSelf,
    ExitReason,
    NoProc,
    bad_reason,
)


class Watched(Protocol):
    """What a monitor needs of its target's incarnation."""

    clock: Clock
    reason: ExitReason | None

    def add_monitor(self, monitor: "Monitor") -> None: ...
    def remove_monitor(self, monitor: "Monitor") -> None: ...


class Watcher(Protocol):
    """What a monitor needs of the incarnation of the actor that holds it."""

    mailbox: Mailbox

    @property
    def watching(self) -> "set[Monitor]": ...


class RefTarget(Watched, Protocol):
    """What a ref needs of its incarnation."""

    task: Task | None
    value: object

    def request_stop(self, reason: ExitReason, deadline: float = inf) -> None: ...
    async def wait_exit(self) -> ExitReason: ...


class Ref:
    """The address of one incarnation of an actor, a supervisor or a plain task."""

    __slots__ = ("__weakref__", "_incarnation", "name", "serial")

    def __init__(self, incarnation: RefTarget, name: str, serial: int) -> None:
        self._incarnation = incarnation
        self.name = name  #: the child id or a given name; for display, not unique
        self.serial = serial  #: unique in this process

    def __repr__(self) -> str:
        state = "" if self.alive else f" {self.exit_reason}"
        return f"<{type(self).__name__} {self.name}#{self.serial}{state}>"

    @property
    def alive(self) -> bool:
        """False from the exit path on. True while init runs."""
        return self._incarnation.reason is None

    @property
    def exit_reason(self) -> ExitReason | None:
        """Why it ended, or None while it is alive."""
        return self._incarnation.reason

    @property
    def value(self) -> object:
        """What a plain task passed to ``task_status.started``; None for actors."""
        return self._incarnation.value

    def monitor(self, callback: Callable[["Down"], None]) -> "Monitor":
        """Call ``callback`` with one :class:`Down` when this incarnation ends.

        For code that is not an actor. It runs synchronously in the exit path, so it must be
        quick and must not raise. For a dead target it is called at once with ``noproc``. Raises
        TypeError for what is no function, WrongThread.
        """
        raise_if(bad_callable("callback", callback))
        return Monitor(self, self._incarnation, None, callback)

    async def wait_exit(self) -> ExitReason:
        """Wait for the end and return its reason; at once if it has ended. A checkpoint always.
        Cancelling the wait changes nothing for the actor. CallToSelf in the actor's own task.
        """
        if self._incarnation.task is current_task():
            await raise_after_checkpoint(CallToSelf(f"{self.name} cannot wait for its own end"))
        return await self._incarnation.wait_exit()

    async def stop(self, reason: ExitReason = SHUTDOWN, timeout: float = 5.0) -> ExitReason:
        """Ask for an orderly end and return the actual reason after the death (statement 38).

        The request overtakes the backlog: the current message is finished, ``terminate`` runs
        (with ``timeout`` seconds as its deadline), and what waited is dropped and counted, or
        failed if it was a call. Only an owner should do this; a supervisor sees the exit and
        restarts by its rules.

        Raises NoProc at once if the target is dead, CallTimeout if it has not ended within
        ``timeout`` seconds (the request stands, nothing is killed), TypeError or ValueError for
        a bad reason or timeout (and then nothing was asked), CallToSelf in the target's own task.
        Cancelling the wait does not take the request back.
        """
        incarnation = self._incarnation
        problem = bad_reason(reason) or bad_seconds("timeout", timeout)
        if problem is None and incarnation.reason is not None:
            problem = NoProc(self.name)
        if problem is None and incarnation.task is current_task():
            problem = CallToSelf(
                f"{self.name} cannot wait for its own end; return StopActor instead"
            )
        if problem is not None:
            await raise_after_checkpoint(problem)
        deadline = trio.current_time() + timeout
        incarnation.request_stop(reason, deadline)
        with trio.move_on_at(deadline):
            return await incarnation.wait_exit()
        # `terminate` is cut short at this same instant, and Trio may run either task first. Let the
        # end of the target win.
        await trio.lowlevel.cancel_shielded_checkpoint()
        ended = self.exit_reason
        if ended is not None:
            return ended
        raise CallTimeout(timeout, self.name)


@final
class Monitor:
    """One watcher of one target. ``active`` is False after its DOWN and after ``cancel``."""

    __slots__ = ("_callback", "_target", "_watcher", "active", "cancelled", "ref")

    def __init__(
        self,
        ref: Ref,
        target: Watched | None,
        watcher: Watcher | None,
        callback: Callable[["Down"], None] | None,
    ) -> None:
        self.ref = ref
        self.active = True
        self.cancelled = False
        self._target = target
        self._watcher = watcher
        self._callback = callback
        if target is None or target.reason is not None:
            self.deliver(NOPROC)
            return
        target.add_monitor(self)
        if watcher is not None:
            watcher.watching.add(self)

    def cancel(self) -> None:
        """Stop watching; no DOWN of this monitor is seen afterwards. Never fails (but in another
        thread, with WrongThread); repeatable.
        """
        if self._target is not None:
            self._target.clock.check_thread()
        self.cancelled = True
        if self.active:
            self.active = False
            if self._target is not None:
                self._target.remove_monitor(self)
            if self._watcher is not None:
                self._watcher.watching.discard(self)

    def deliver(self, reason: ExitReason) -> None:
        """Send the one DOWN. Called by the target's exit path, or at once for a dead target."""
        if not self.active:
            return
        self.active = False
        down = Down(self, self.ref, reason)
        watcher = self._watcher
        if watcher is not None:
            watcher.watching.discard(self)
            watcher.mailbox.put_exempt(DOWN, down)
        elif self._callback is not None:
            self._callback(down)


@final
@dataclass(frozen=True, slots=True)
class Down:
    """The end of a monitored target. Lands in ``handle_info``, or is passed to the callback."""

    monitor: Monitor
    ref: Ref
    reason: ExitReason


@final
@dataclass(frozen=True, slots=True)
class LinkExit:
    """The end of a linked partner, as seen by an actor that traps exits."""

    ref: Ref
    reason: ExitReason
