"""What is set once for the whole process: file descriptors and the garbage collector.

The interpreter's defaults are made for scripts. A server that holds thousands of connections needs
a descriptor for each, and should not search all of them for garbage again and again.
"""

import gc
import resource
from typing import Final

import structlog

log = structlog.get_logger()

_SPARE_FILES: Final = 512
"""Descriptors for everything but WebSockets: the API, the database, the logs."""


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
