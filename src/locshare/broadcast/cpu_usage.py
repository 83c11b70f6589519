"""The CPU usage of a thread: time on a core, and time in the run queue waiting for one.

Waiting for events is neither. So over an interval this is the share that an instrument in each turn
of an event loop would measure, without a call in each turn. Time in the run queue counts because a
database or a neighbour on the same core leaves the loop as little room as its own work.
"""

import os
import threading
import time
from typing import Final

_SCHEDSTAT: Final = "/proc/self/task/{}/schedstat"
"""Nanoseconds on a core, nanoseconds in the run queue, time slices (Documentation/scheduler/
sched-stats). The first is only as recent as the scheduler's last tick; a clock is exact."""


class ThreadCpuUsage:
    """The usage of the thread that creates it, which alone may read it. Must be closed.

    Where the kernel does not report run queue times (macOS, some sandboxes), they count as 0.
    """

    def __init__(self) -> None:
        try:
            self._schedstat = os.open(_SCHEDSTAT.format(threading.get_native_id()), os.O_RDONLY)
        except OSError:
            self._schedstat = -1

    def seconds(self) -> float:
        """Seconds since the thread began. Two readings give its share of one core between them."""
        return time.thread_time() + self._queued()

    def _queued(self) -> float:
        if self._schedstat < 0:
            return 0.0
        try:
            return int(os.pread(self._schedstat, 128, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            self.close()  # a sandbox may have the file and not the figures
            return 0.0

    def close(self) -> None:
        """Idempotent."""
        schedstat, self._schedstat = self._schedstat, -1
        if schedstat >= 0:
            os.close(schedstat)
