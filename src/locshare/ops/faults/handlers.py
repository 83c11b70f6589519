"""The faults planned for one child of the tree, and the interceptor that carries them out.

A plan stays with the child across restarts. It lives in the server's memory only.
"""

import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import final

import trio

from locshare.actors import ActorRef, ExitReason
from locshare.actors.introspect import Interceptor, install
from locshare.actors.lowlevel import Incarnation, fail_init
from locshare.supervisor.lowlevel import Child, ChildState, at_each_launch


class InjectedFault(Exception):
    """Raised on purpose, on request over the control socket."""


class Poison:
    """A poison message: crashes the actor that receives it."""


@final
class CrashPlan:
    """The ``nth`` message (of type ``message``) crashes the actor, in ``times`` incarnations."""

    def __init__(self, nth: int, message: str | None, times: int) -> None:
        self.nth = nth
        self.message = message
        self.times = times
        self._left = nth

    def due(self, message: object) -> bool:
        """Count ``message``; returns whether it is the one that crashes."""
        if self.message not in (None, type(message).__name__):
            return False
        self._left -= 1
        if self._left > 0:
            return False
        self._left = self.nth
        self.times -= 1
        return True

    def __str__(self) -> str:
        what = self.message or "message"
        return f"crashes at {what} number {self._left}, {self.times} times"


@final
class DelayPlan:
    """Each of the next ``messages`` takes ``seconds`` more; ``blocking`` holds the whole loop."""

    def __init__(self, seconds: float, messages: int, *, blocking: bool) -> None:
        self.seconds = seconds
        self.messages = messages
        self.blocking = blocking

    def __str__(self) -> str:
        how = "holds the loop" if self.blocking else "takes"
        return f"{how} {self.seconds:g} s more for {self.messages} messages"


@final
class HandlerFaults(Interceptor):
    """All planned faults of one child."""

    def __init__(self, path: str, child: Child) -> None:
        self.path = path
        self._child = child
        self._crashes: list[CrashPlan] = []
        self._delays: list[DelayPlan] = []
        self._terminate_crashes = 0
        self._failing_starts = 0
        self._launched = trio.Event()
        self._waiting = 0
        at_each_launch(child, self._at_launch)
        self._join(child.incarnation)

    # --- planning ---------------------------------------------------------------------------------

    def crash(self, plan: CrashPlan) -> None:
        """Add ``plan``."""
        self._crashes.append(plan)

    def delay(self, plan: DelayPlan) -> None:
        """Add ``plan``."""
        self._delays.append(plan)

    def crash_terminate(self) -> None:
        """The next ``terminate`` raises."""
        self._terminate_crashes += 1

    def fail_starts(self, times: int) -> None:
        """The next ``times`` incarnations fail in init."""
        self._failing_starts += times

    @property
    def over(self) -> bool:
        """Nothing is planned any more, or the child has stopped; and nothing waits for it."""
        nothing = not any(self.sentences()) or self._child.state is ChildState.STOPPED
        return nothing and not self._waiting

    def sentences(self) -> Iterator[str]:
        """The planned faults, one sentence each."""
        for plan in (*self._crashes, *self._delays):
            yield f"{self.path} {plan}"
        if self._terminate_crashes:
            yield f"{self.path} crashes in terminate"
        if self._failing_starts:
            yield f"{self.path} fails its next {self._failing_starts} starts"

    def clear(self) -> None:
        """Remove all faults and the interceptor."""
        at_each_launch(self._child, None)
        incarnation = self._child.incarnation
        if incarnation is not None and isinstance(incarnation.ref, ActorRef):
            install(incarnation.ref, None)

    # --- carrying out -----------------------------------------------------------------------------

    def before(self, message: object) -> Awaitable[None] | None:
        if isinstance(message, Poison):
            raise InjectedFault("poison")
        for crash in self._crashes:
            if crash.due(message):
                if crash.times == 0:
                    self._crashes.remove(crash)
                raise InjectedFault("a planned crash")
        for delay in self._delays:
            delay.messages -= 1
            if delay.messages == 0:
                self._delays.remove(delay)
            if not delay.blocking:
                return trio.sleep(delay.seconds)  # noqa: ASYNC105 - the loop awaits it
            time.sleep(delay.seconds)
            break
        return None

    def before_terminate(self, reason: ExitReason) -> None:  # noqa: ARG002 - whatever it is
        if self._terminate_crashes:
            self._terminate_crashes -= 1
            raise InjectedFault("in terminate")

    def _at_launch(self, incarnation: Incarnation) -> None:
        if self._failing_starts:
            self._failing_starts -= 1
            fail_init(incarnation, InjectedFault("in init"))
        self._join(incarnation)
        launched, self._launched = self._launched, trio.Event()
        launched.set()

    def _join(self, incarnation: Incarnation | None) -> None:
        if incarnation is not None and isinstance(incarnation.ref, ActorRef):
            install(incarnation.ref, self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep :attr:`over` false during the block."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def next_life(self, before: Incarnation) -> Incarnation:
        """Wait for an incarnation after ``before`` that completed its init; without limit. It may
        have ended since. Call in a block of :meth:`held`.
        """
        while True:
            incarnation = self._child.incarnation
            if incarnation is None or incarnation is before:
                await self._launched.wait()
                continue
            await incarnation.wait_started()
            if incarnation.started:
                return incarnation
            before = incarnation
