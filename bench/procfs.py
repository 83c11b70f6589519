"""Processes and the machine, read from /proc. None where it is missing, never a guess."""

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.stats import percent

PROC = Path("/proc")
TOO_BUSY = 0.85
"""Above this share of a core a load generator measures itself."""
DISTURBED = 0.4
"""Above this share of a core, other processes disturb: the database takes half of it."""


def processor() -> str:
    """The processor's name, and the number of usable cores."""
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")
    return f"{name}, {len(cores())} cores"


def circumstances() -> str:
    """Where and when, for the head of a report."""
    now = datetime.now(UTC)
    return f"{processor()}, CPython {platform.python_version()}, {now:%Y-%m-%d %H:%M} UTC"


def cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpu_seconds(pid: int) -> float | None:
    """Processor time of one process so far, user and system, without its children."""
    fields = _stat(pid)
    return None if fields is None else (int(fields[11]) + int(fields[12])) / _ticks()


def resident_bytes(pid: int) -> int | None:
    """Resident memory of one process."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGESIZE")


def address_space_bytes(pid: int) -> int:
    """All that one process has mapped. Raises ProcessLookupError when it has ended."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[0])
    except OSError:
        raise ProcessLookupError(f"process {pid} has ended") from None
    return pages * os.sysconf("SC_PAGESIZE")


def proportional_bytes(pid: int) -> int | None:
    """Proportional memory (PSS) of one process: the processes of a database all map the same
    buffers. Falls back to :func:`resident_bytes`.
    """
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident_bytes(pid)


def context_switches(pid: int) -> int | None:
    """Voluntary and involuntary, of all live threads of one process, so far."""
    found = 0
    try:
        for status in (PROC / str(pid) / "task").glob("*/status"):
            for line in status.read_text().splitlines()[-2:]:
                name, _, number = line.partition(":")
                if name.endswith("ctxt_switches"):
                    found += int(number)
    except (OSError, ValueError):
        return None  # a thread, or the process, has ended
    return found


def memory_bytes() -> int | None:
    """The RAM of this machine."""
    try:
        first = (PROC / "meminfo").read_text().partition("\n")[0]
        return int(first.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None


def busy_seconds() -> float | None:
    """CPU time of the whole machine so far, idle and waiting excluded."""
    try:
        ticks = [int(each) for each in (PROC / "stat").read_text().split("\n")[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(ticks) - ticks[3] - ticks[4]) / _ticks()


class Clocks:
    """CPU seconds since construction: of this process, the server ``pid``, and all others. None
    where the system does not tell.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._now()

    def shares(self) -> "Shares":
        """The usage of each so far, as a share of one core."""
        wall, generator, server, busy = map(_minus, self._now(), self._before)
        assert wall is not None
        assert generator is not None
        others = None if busy is None or server is None else busy - server - generator
        return Shares(wall, *(_share(each, wall) for each in (generator, server, others)))

    def _now(self) -> tuple[float, float, float | None, float | None]:
        return time.monotonic(), time.process_time(), cpu_seconds(self._pid), busy_seconds()


@dataclass(frozen=True, slots=True)
class Shares:
    """CPU usage during ``wall`` seconds; 1 is a whole core."""

    wall: float
    generator: float | None
    server: float | None
    others: float | None

    def __str__(self) -> str:
        server, generator, others = map(percent, (self.server, self.generator, self.others))
        return f"server {server}, generator {generator}, others {others}"

    def warnings(self) -> list[str]:
        """Reasons to distrust the figures."""
        found = []
        if (self.generator or 0) > TOO_BUSY:
            found.append(
                f"WARNING: the generator needed {percent(self.generator)} of a core: the times are "
                "its own, not the server's"
            )
        if (self.others or 0) > DISTURBED:
            found.append(
                f"WARNING: other processes took {percent(self.others)} of a core: measure again "
                "when they do not"
            )
        return found


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _share(used: float | None, wall: float) -> float | None:
    return None if used is None else round(used / wall, 3)


def started(pid: int) -> str | None:
    """The start time, which with the pid identifies a process. None when it has ended."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else fields[19]


def descendants(*pids: int) -> dict[int, str | None]:
    """Every descendant of ``pids``, and its start time."""
    parents = {each: int(fields[1]) for each, fields in _processes()}
    found: dict[int, str | None] = {}
    level = set(pids)
    while level:
        level = {each for each, parent in parents.items() if parent in level} - found.keys()
        found |= {each: started(each) for each in level}
    return found


def _processes() -> Iterator[tuple[int, list[str]]]:
    for folder in PROC.glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields is not None:
            yield int(folder.name), fields


def _stat(pid: int) -> list[str] | None:
    """The fields after the name, so [0] is the state and [1] the parent."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _ticks() -> int:
    return os.sysconf("SC_CLK_TCK")
