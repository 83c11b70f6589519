"""Who holds up the loop: isolation is cooperative, so a handler that does not yield stops everyone
(statement 79). Nothing can prevent that; this names it.

:class:`StepWatch` is a Trio instrument. While it is installed it costs two clock readings per
task step, otherwise nothing. Durations are of the real clock, also under a mock clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final, final

import trio

from locshare.actors.loop import ActorIncarnation

#: A step longer than this holds up everybody else noticeably.
SLOW_STEP: Final = 0.05


@final
@dataclass(frozen=True, slots=True)
class SlowStep:
    """One step of one task that took too long."""

    task: str  #: the task's name; for an actor its ref's name and serial
    seconds: float
    message: str | None  #: for an actor: the type of the last message handled in that step


@final
class StepWatch(trio.abc.Instrument):
    """Measure every step of every task; call ``listener`` for those of ``threshold`` seconds or
    more. Install with ``trio.lowlevel.add_instrument``. The listener must be quick and not raise
    (Trio removes an instrument that does).
    """

    def __init__(self, listener: Callable[[SlowStep], None], threshold: float = SLOW_STEP) -> None:
        self._listener = listener
        self._threshold = threshold
        self._began = 0.0
        self.longest = 0.0  #: seconds, since the watch was made
        self.busy = 0.0  #: seconds in all steps together

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - Trio's hook
        self._began = perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        seconds = perf_counter() - self._began
        self.busy += seconds
        if seconds > self.longest:
            self.longest = seconds
        if seconds >= self._threshold:
            self._listener(SlowStep(task.name, seconds, _recent_message(task)))


def _recent_message(task: trio.lowlevel.Task) -> str | None:
    """The task's own frame knows whose life it is; looked up only when a step was slow."""
    frame = getattr(task.coro, "cr_frame", None)
    life = frame.f_locals.get("self") if frame is not None else None
    if not isinstance(life, ActorIncarnation):
        return None
    return life.recent_type()
