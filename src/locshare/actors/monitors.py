"""Monitors and links: how one actor learns of another's end.

A monitor gives exactly one DOWN, carrying the monitor itself, the target's ref and the reason;
two monitors give two. A dead or unknown target gives DOWN ``noproc`` at once (statements 59, 60).
The DOWN is queued behind everything the dead actor had sent, after its names are free (62).
After ``cancel`` no DOWN of that monitor is seen, even if one was already queued (61): the reader
skips it, so nothing searches the queue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from locshare.actors.mailbox import DOWN
from locshare.actors.reasons import NOPROC, ExitReason

if TYPE_CHECKING:
    from locshare.actors.incarnation import Incarnation
    from locshare.actors.loop import ActorIncarnation
    from locshare.actors.ref import Ref


@final
@dataclass(frozen=True, slots=True)
class Down:
    """The end of a monitored target. Lands in ``handle_info``, or is passed to the callback."""

    monitor: "Monitor"
    ref: "Ref"
    reason: ExitReason


@final
@dataclass(frozen=True, slots=True)
class LinkExit:
    """The end of a linked partner, as seen by an actor that traps exits."""

    ref: "Ref"
    reason: ExitReason


@final
class Monitor:
    """One watcher of one target. ``active`` is False after its DOWN and after ``cancel``."""

    __slots__ = ("_callback", "_target", "_watcher", "active", "cancelled", "ref")

    def __init__(
        self,
        ref: "Ref",
        target: "Incarnation | None",
        watcher: "ActorIncarnation | None",
        callback: Callable[[Down], None] | None,
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
