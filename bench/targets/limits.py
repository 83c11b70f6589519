"""Takes CPU, memory or file descriptors away from processes, without any privilege.

Nothing here needs root or a control group: signals and ``prlimit`` work on whatever the same user
has started. Lowering a soft limit and raising it again up to the hard one is always allowed.
Rejected: ``nice``, which an unprivileged process can raise but never take back, and a memory limit
of a control group, whose out-of-memory killer is what ``kill_process`` does already.
"""

import resource
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from bench.errors import NotServing
from bench.procfs import address_space_bytes
from bench.results import DisruptionKind
from bench.servers import send_signal

CPU_SHARE: Final = 0.25
_PERIOD_S: Final = 0.1
"""Of stopping and continuing: short beside the interval of updates, long beside a time slice."""
MEMORY_HEADROOM_MIB: Final = 16
DESCRIPTORS: Final = 3
"""The number of the first descriptor that is refused. A limit counts numbers, and those that
become free are given out again, so a limit near the number in use would not hold.
"""
LIMITS: Final[tuple[DisruptionKind, ...]] = ("limit_cpu", "limit_memory", "limit_descriptors")
AVAILABLE: Final = hasattr(resource, "prlimit")
"""Linux only."""


class ResourceLimits:
    """Limits the processes that ``pids`` names. One limit at a time; not thread-safe."""

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids
        self._before: list[tuple[int, int, tuple[int, int]]] = []
        self._throttle: _Throttle | None = None

    def can(self, kind: DisruptionKind) -> bool:
        return AVAILABLE and kind in LIMITS

    def begin(self, kind: DisruptionKind) -> str:
        """Set the limit. Returns a description. Raises NotServing when it is not permitted."""
        pids = self._pids()
        if not pids:
            raise NotServing(f"{kind}: the server has no process")
        try:
            match kind:
                case "limit_cpu":
                    self._throttle = _Throttle(pids)
                    return f"no more than {CPU_SHARE:.0%} of a core for the server's process"
                case "limit_memory":
                    for pid in pids:
                        room = MEMORY_HEADROOM_MIB * 2**20
                        self._lower(pid, resource.RLIMIT_AS, address_space_bytes(pid) + room)
                    return f"{MEMORY_HEADROOM_MIB} MiB more of address space, then none"
                case _:
                    for pid in pids:
                        self._lower(pid, resource.RLIMIT_NOFILE, DESCRIPTORS)
                    return "no new file descriptor for the server's process"
        except ProcessLookupError:
            raise NotServing(f"{kind}: the server's process has ended") from None
        except PermissionError as error:
            raise NotServing(f"{kind}: {error}; the server is another user's") from None

    def end(self) -> None:
        """Take the limit back. Processes that have ended meanwhile are left alone."""
        if self._throttle is not None:
            self._throttle.close()
            self._throttle = None
        for pid, which, (soft, _) in self._before:
            with suppress(ProcessLookupError):
                # The hard limit may have been raised meanwhile, and is never lowered here.
                _, hard = resource.prlimit(pid, which)
                resource.prlimit(pid, which, (soft, hard))
        self._before.clear()

    def _lower(self, pid: int, which: int, soft: int) -> None:
        before = resource.prlimit(pid, which)
        resource.prlimit(pid, which, (soft, before[1]))
        self._before.append((pid, which, before))


class _Throttle:
    """Stops and continues processes in turns, from a thread. :meth:`close` continues them."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._closing = threading.Event()
        send_signal(pids, signal.SIGSTOP)  # here, so that a missing permission is raised
        self._thread = threading.Thread(target=self._run, name="throttle")
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.wait(_PERIOD_S * (1 - CPU_SHARE)):
                send_signal(self._pids, signal.SIGCONT)
                self._closing.wait(_PERIOD_S * CPU_SHARE)
                send_signal(self._pids, signal.SIGSTOP)
        finally:
            send_signal(self._pids, signal.SIGCONT)
