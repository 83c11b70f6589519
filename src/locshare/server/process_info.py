"""The state of the process for inspection, all of one moment: the counterpart for ``locshare top``
of what :mod:`locshare.server.metric_families` is for Prometheus.
"""

import os
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Final

import trio

from locshare import __version__
from locshare.broadcast.flush_controller import LoopStatistics
from locshare.broadcast.native import IMPLEMENTATION
from locshare.connection.counters import ConnectionStatistics
from locshare.ops.inspection.views import ProcessInfo
from locshare.session.counters import SessionStatistics

_STARTED: Final = time.monotonic()
SENDING: Final = IMPLEMENTATION
"""What sends positions."""


def process_info(
    sessions: SessionStatistics,
    connections: ConnectionStatistics,
    loop: LoopStatistics,
    *,
    faults: bool = False,
) -> ProcessInfo:
    return ProcessInfo(
        version=__version__,
        pid=os.getpid(),
        uptime=time.monotonic() - _STARTED,
        rss=resident_bytes(),
        busy=loop.busy,
        lag=loop.lag,
        window=loop.window,
        tasks=trio.lowlevel.current_statistics().tasks_living,
        sessions=sessions.live,
        online=sessions.online,
        participants=sessions.participants,
        connections=connections.open,
        backlog=connections.backlog_bytes,
        crashes=sessions.restarts,
        faults=faults,
    )


def resident_bytes() -> int:
    """Resident memory; on macOS the peak, which is all that can be read there."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return getrusage(RUSAGE_SELF).ru_maxrss
    return pages * os.sysconf("SC_PAGESIZE")
