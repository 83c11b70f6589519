"""What one child of the tree is still to suffer: a plan, and the interceptor that carries it out.

The plan goes with the child from life to life. It is all in memory of the server and dies with it.
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
    """Raised on purpose, by request of somebody at the control socket."""


class Poison:
    """A message that crashes whoever is asked to suffer it."""


@final
class CrashPlan:
    """The ``nth`` message (of type ``message``) crashes; in ``times`` lives."""

    def __init__(self, nth: int, message: str | None, times: int) -> None:
        self.nth = nth
        self.message = message
        self.times = times
        self._left = nth

    def due(self, message: object) -> bool:
        """Count ``message``. True for the one that is to crash."""
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
    """Each of the next ``messages`` takes ``seconds`` more, of everybody's time if ``blocking``."""

    def __init__(self, seconds: float, messages: int, *, blocking: bool) -> None:
        self.seconds = seconds
        self.messages = messages
        self.blocking = blocking

    def __str__(self) -> str:
        how = "holds the loop" if self.blocking else "takes"
        return f"{how} {self.seconds:g} s more for {self.messages} messages"


@final
class HandlerFaults(Interceptor):
    """The plan for one child."""

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
        self._join(child.life)

    # --- what is planned --------------------------------------------------------------------------

    def crash(self, plan: CrashPlan) -> None:
        """Add ``plan``."""
        self._crashes.append(plan)

    def delay(self, plan: DelayPlan) -> None:
        """Add ``plan``."""
        self._delays.append(plan)

    def crash_terminate(self) -> None:
        """Once."""
        self._terminate_crashes += 1

    def fail_starts(self, times: int) -> None:
        """The next lives."""
        self._failing_starts += times

    @property
    def over(self) -> bool:
        """Nothing is left of the plan, or nobody to suffer it, and nobody is waiting."""
        nothing = not any(self.sentences()) or self._child.state is ChildState.STOPPED
        return nothing and not self._waiting

    def sentences(self) -> Iterator[str]:
        """What is still to come."""
        for plan in (*self._crashes, *self._delays):
            yield f"{self.path} {plan}"
        if self._terminate_crashes:
            yield f"{self.path} crashes in terminate"
        if self._failing_starts:
            yield f"{self.path} fails its next {self._failing_starts} starts"

    def clear(self) -> None:
        """Take it all back, and go."""
        at_each_launch(self._child, None)
        life = self._child.life
        if life is not None and isinstance(life.ref, ActorRef):
            install(life.ref, None)

    # --- what happens -----------------------------------------------------------------------------

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

    def _at_launch(self, life: Incarnation) -> None:
        if self._failing_starts:
            self._failing_starts -= 1
            fail_init(life, InjectedFault("in init"))
        self._join(life)
        launched, self._launched = self._launched, trio.Event()
        launched.set()

    def _join(self, life: Incarnation | None) -> None:
        if life is not None and isinstance(life.ref, ActorRef):
            install(life.ref, self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Not over during the block."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def next_life(self, before: Incarnation) -> Incarnation:
        """Wait for a life of this child after ``before`` that has come up; for ever if none does.
        It may have ended again. To be called in a block of :meth:`held`.
        """
        while True:
            life = self._child.life
            if life is None or life is before:
                await self._launched.wait()
                continue
            await life.wait_started()
            if life.started:
                return life
            before = life
