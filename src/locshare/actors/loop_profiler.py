"""Profile the event loop by task. Isolation is cooperative, so a handler that does not yield blocks
every other task (statement 79). This cannot be prevented; the profilers name the task.

:class:`StepProfiler` and :class:`TaskProfiler` are Trio instruments. An installed one reads the
clock twice per task step; otherwise they cost nothing. Durations are of the real clock, also
under a mock clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final, final

import trio

from locshare.actors.checks import bad_callable, bad_seconds, raise_if
from locshare.actors.loop import incarnation_in

#: A step of this many seconds delays every other task noticeably.
SLOW_STEP: Final = 0.05


@final
@dataclass(frozen=True, slots=True)
class SlowStep:
    """One step of one task that took too long."""

    task: str  #: the task's name; for an actor its ref's name and serial
    seconds: float
    message: str | None  #: for an actor: the type of the last message handled in that step


@final
class StepProfiler(trio.abc.Instrument):
    """Measure every step of every task; call ``listener`` for those of ``threshold`` seconds or
    more. Install with ``trio.lowlevel.add_instrument``. The listener must be quick and not raise
    (Trio removes an instrument that does).
    """

    def __init__(self, listener: Callable[[SlowStep], None], threshold: float = SLOW_STEP) -> None:
        raise_if(bad_callable("listener", listener) or bad_seconds("threshold", threshold))
        self._listener = listener
        self._threshold = threshold
        self._began = 0.0
        self.longest = 0.0  #: seconds, since the watch was made
        self.busy = 0.0  #: seconds in all steps together

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - Trio's hook
        self._began = perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if not self._began:
            return  # installed in the middle of this step
        seconds = perf_counter() - self._began
        self.busy += seconds
        if seconds > self.longest:
            self.longest = seconds
        if seconds >= self._threshold:
            self._listener(SlowStep(task.name, seconds, _recent_message(task)))


@final
class TaskProfiler(trio.abc.Instrument):
    """How long every task has held the loop since this was installed: BEAM's reductions, in time.

    The time of a task that has ended goes to the task that holds its nursery, as that of a
    process's children goes to the process (getrusage's ``RUSAGE_CHILDREN``).
    """

    def __init__(self) -> None:
        self._seconds: dict[trio.lowlevel.Task, float] = {}
        self._began = 0.0
        self._exited: trio.lowlevel.Task | None = None
        self._longest: SlowStep | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - Trio's hook
        self._began = perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if not self._began:
            return  # installed in the middle of this step
        seconds = perf_counter() - self._began
        if self._longest is None or seconds > self._longest.seconds:
            self._longest = SlowStep(task.name, seconds, _recent_message(task))
        if task is self._exited:  # this was its last step
            self._exited = None
            seconds += self._seconds.pop(task, 0.0)
            if task.parent_nursery is None:
                return
            task = task.parent_nursery.parent_task
        self._seconds[task] = self._seconds.get(task, 0.0) + seconds

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._exited = task

    def of(self, task: trio.lowlevel.Task) -> float:
        """Seconds of the task itself and of those of its children that have ended."""
        return self._seconds.get(task, 0.0)

    def below(self, task: trio.lowlevel.Task) -> float:
        """Seconds of the task and everything in its nurseries. Takes a step per task."""
        total, todo = 0.0, [task]
        while todo:
            task = todo.pop()
            total += self._seconds.get(task, 0.0)
            for nursery in task.child_nurseries:
                todo.extend(nursery.child_tasks)
        return total

    def take_longest(self) -> SlowStep | None:
        """The longest step since this was last asked, and whose it was."""
        longest, self._longest = self._longest, None
        return longest


def _recent_message(task: trio.lowlevel.Task) -> str | None:
    incarnation = incarnation_in(task)
    return None if incarnation is None else incarnation.recent_type()
