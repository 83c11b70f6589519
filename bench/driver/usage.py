"""CPU and memory of a server under load, sampled each second: all its processes, and those of its
Redis or PostgreSQL.

Processes may come and go (one is killed and started again). A new one counts from its first sample,
so its start is left out; the time of an ended one since its last sample is lost.

What the driver has started beside the server (a proxy, the REST probe) is neither the server's nor
another program's: it is left out of what others took.
"""

import os
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.procfs import (
    busy_seconds,
    context_switches,
    cpu_seconds,
    descendants,
    proportional_bytes,
    resident_bytes,
)
from bench.results import Usage


class UsageSample(Struct, frozen=True):
    """Since the sample before. None: not known."""

    cpu_share: float | None = None
    rss_bytes: int | None = None
    context_switches: int | None = None


class UsageMeter:
    """Of the processes that ``pids`` names, the server's own first. Memory that the others share is
    counted once. Call :meth:`sample` each second, and :meth:`begin` where a measured time begins.
    """

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids
        self._cpu: dict[int, float] = {}
        self._switches: dict[int, int] = {}
        self.begin()

    def begin(self) -> None:
        """Start anew, but keep the processes' clocks."""
        self._began = self._looked = time.monotonic()
        self._generator = time.process_time()
        self._busy = busy_seconds()
        self._helpers = self._helpers_s()
        self._cpu_s = 0.0
        self._switched = 0
        self._rss_start: int | None = None
        self._rss_peak = 0
        self._known = False
        self._take()
        self._cpu_s = 0.0
        self._switched = 0

    def sample(self) -> UsageSample:
        """What happened since the last look."""
        before = self._cpu_s, self._switched
        passed = max(time.monotonic() - self._looked, 1e-3)
        rss = self._take()
        if rss is None:
            return UsageSample()
        return UsageSample(
            cpu_share=round((self._cpu_s - before[0]) / passed, 4),
            rss_bytes=rss,
            context_switches=self._switched - before[1],
        )

    @property
    def generator_share(self) -> float:
        """Of a core, that this process took since the beginning."""
        return (time.process_time() - self._generator) / max(time.monotonic() - self._began, 1e-3)

    def usage(self, delivered: int) -> Usage | None:
        """Since the beginning; None when no process was known."""
        self._take()
        if not self._known or self._rss_start is None:
            return None
        wall = max(time.monotonic() - self._began, 1e-3)
        busy, others = busy_seconds(), None
        if busy is not None and self._busy is not None:
            generator = time.process_time() - self._generator
            helpers = sum(
                now_s - self._helpers.get(pid, 0.0) for pid, now_s in self._helpers_s().items()
            )
            others = max(busy - self._busy - self._cpu_s - generator - helpers, 0.0)
        return Usage(
            cpu_share=round(self._cpu_s / wall, 4),
            us_per_delivery=round(self._cpu_s / delivered * 1e6, 2) if delivered else None,
            rss_start_bytes=self._rss_start,
            rss_peak_bytes=self._rss_peak,
            context_switches=self._switched,
            generator_share=round(self.generator_share, 4),
            others_share=None if others is None else round(others / wall, 4),
        )

    def _helpers_s(self) -> dict[int, float]:
        """The processor time so far of each process that the driver has started, without the
        server's. Reads all of /proc: not for every second.
        """
        mine = descendants(os.getpid()).keys() - set(self._pids())
        return {pid: used for pid in mine if (used := cpu_seconds(pid)) is not None}

    def _take(self) -> int | None:
        """Add what happened. Returns the memory of all of them."""
        self._looked = time.monotonic()
        resident = []
        for place, pid in enumerate(self._pids()):
            cpu, switches = cpu_seconds(pid), context_switches(pid)
            # Reading PSS walks all pages, which would slow a big process under load.
            rss = resident_bytes(pid) if place == 0 else proportional_bytes(pid)
            if cpu is None or rss is None:
                continue
            self._cpu_s += max(cpu - self._cpu.get(pid, cpu), 0.0)
            self._cpu[pid] = cpu
            if switches is not None:
                self._switched += max(switches - self._switches.get(pid, switches), 0)
                self._switches[pid] = switches
            resident.append(rss)
        if not resident:
            return None
        self._known = True
        total = sum(resident)
        if self._rss_start is None:
            self._rss_start = total
        self._rss_peak = max(self._rss_peak, total)
        return total
