"""Process-wide limits: file descriptors and the garbage collector.

The interpreter's defaults suit scripts. A server with thousands of connections needs a descriptor
for each, and must not search all their objects for garbage again and again.
"""

import gc
import resource
from typing import Final

import structlog

from locshare.model.errors import LocshareError

log = structlog.get_logger()

LEAST_CONNECTIONS: Final = 64
"""A server that can hold fewer does not start."""


class TooFewFiles(LocshareError):
    """The process may not open as many files as the settings need."""


def allow_connections(wanted: int, others: int) -> int:
    """Raise the soft limit of open files so that ``wanted`` connections fit beside ``others``, the
    descriptors of everything else. Returns how many connections fit: fewer than wanted, with a
    warning, when the hard limit is lower. Raises TooFewFiles below ``LEAST_CONNECTIONS``.
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
    """Call once, when everything is up. Objects that exist now live to the end and are never
    searched again. Later ones are nearly all freed by reference counts; the collector is for the
    rare cycle (an exception's traceback), and each full collection over ten thousand connections
    would stop them all while it runs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
