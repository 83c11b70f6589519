"""How much of a core the calling thread asks for: what it was given and what it stood in line for.

Waiting for events is neither, so over an interval this is the share that an instrument between the
turns of an event loop would see, without a call in each of them. Time in line counts because a
database, or a neighbour, on the same core leaves the loop as little room as work of its own.
"""

import os
import threading
import time
from typing import Final

_SCHEDSTAT: Final = "/proc/self/task/{}/schedstat"
"""Nanoseconds on a core, nanoseconds in line for one, turns (Documentation/scheduler/sched-stats).
The first is only as new as the scheduler's last tick; a clock tells it to the nanosecond."""


class ThreadCpuUsage:
    """Of the thread that makes it, which alone may read it. :meth:`close` it in the end.

    Where the kernel does not tell how long a thread stood in line (macOS, some sandboxes), that
    part is left out.
    """

    def __init__(self) -> None:
        try:
            self._line = os.open(_SCHEDSTAT.format(threading.get_native_id()), os.O_RDONLY)
        except OSError:
            self._line = -1

    def seconds(self) -> float:
        """Since the thread began. Two of them an interval apart tell its share of one core."""
        return time.thread_time() + self._in_line()

    def _in_line(self) -> float:
        if self._line < 0:
            return 0.0
        return int(os.pread(self._line, 128, 0).split()[1]) / 1e9

    def close(self) -> None:
        """Give the file back. Closing twice is closing once."""
        line, self._line = self._line, -1
        if line >= 0:
            os.close(line)
