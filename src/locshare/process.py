"""What is set once for the whole process: file descriptors, the garbage collector, the last resort.

The interpreter's defaults are made for scripts. A server that holds thousands of connections needs
a descriptor for each, should not search all of them for garbage again and again, and must be gone
when it was told to go, whatever hangs.
"""

import gc
import os
import resource
import sys
import threading
from typing import Final, final

import structlog

log = structlog.get_logger()

_SPARE_FILES: Final = 512
"""Descriptors for everything but WebSockets: the API, the database, the logs."""

EXIT_TOO_LATE: Final = 70
"""The exit status of a process that was cut off (EX_SOFTWARE of sysexits.h)."""


def allow_connections(wanted: int) -> int:
    """Raise the soft limit of open files so that ``wanted`` connections fit. Returns how many do;
    fewer, with a warning, when the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= need:
        return wanted
    limit = need if hard == resource.RLIM_INFINITY else min(need, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # macOS: kern.maxfilesperproc is lower than the hard limit
        limit = soft
    allowed = min(wanted, max(limit - _SPARE_FILES, 1))
    if allowed < wanted:
        log.warning("fewer_connections_than_wanted", wanted=wanted, allowed=allowed, files=limit)
    return allowed


def calm_garbage_collector() -> None:
    """Call once, when everything is up. What exists now will be there to the end, and is never
    searched again. What comes later is nearly all freed by reference counts; the collector is for
    the rare cycle (an exception's traceback), and each full search of ten thousand connections
    would stop them all for as long as it takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


@final
class LastDeadline:
    """Ends the process by force when an orderly end takes too long. A thread, because the loop may
    be what hangs.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut_off)
        self._timer.daemon = True
        self._seconds = seconds

    def start(self) -> None:
        """From now on there are ``seconds`` left."""
        self._timer.start()

    def cancel(self) -> None:
        """The orderly end came in time."""
        self._timer.cancel()

    def _cut_off(self) -> None:
        # Not logged: the logger may be what hangs.
        sys.stderr.write(f"locshare: not stopped after {self._seconds:g} s; giving up\n")
        sys.stderr.flush()
        os._exit(EXIT_TOO_LATE)
