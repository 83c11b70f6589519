"""What is set once for the whole process: file descriptors and the garbage collector.

The interpreter's defaults are made for scripts. A server that holds thousands of connections needs
a descriptor for each, and should not search all of them for garbage again and again.
"""

import gc
import resource
from typing import Final

import structlog

from locshare.model.errors import LocshareError

log = structlog.get_logger()

LEAST_CONNECTIONS: Final = 64
"""A server that could hold fewer is of no use to anybody, and does not start."""


class TooFewFiles(LocshareError):
    """The process may not open as many files as the settings need."""


def allow_connections(wanted: int, others: int) -> int:
    """Raise the soft limit of open files so that ``wanted`` connections fit beside ``others``, the
    descriptors that everything else can ask for. Returns how many connections do; fewer, with a
    warning, when the hard limit is lower. Raises TooFewFiles when that would be next to none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + others
    if soft == resource.RLIM_INFINITY or soft >= need:
        return wanted
    limit = need if hard == resource.RLIM_INFINITY else min(need, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # macOS: kern.maxfilesperproc is lower than the hard limit
        limit = soft
    allowed = min(wanted, limit - others)
    if allowed < min(wanted, LEAST_CONNECTIONS):
        raise TooFewFiles(
            f"the limit of open files is {limit}, and everything but WebSockets may need {others}: "
            f"raise it to {need} (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of Docker), "
            "or lower LOCSHARE_MAX_CONNECTIONS and LOCSHARE_MAX_HTTP_CONNECTIONS"
        )
    if allowed < wanted:
        log.warning(
            "fewer_connections_than_wanted",
            wanted=wanted,
            allowed=allowed,
            files=limit,
            way_out=f"ulimit -n {need}, or LOCSHARE_MAX_CONNECTIONS={allowed}",
        )
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
