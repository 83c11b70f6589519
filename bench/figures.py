"""Percentiles, and what Linux tells of processes. Without a /proc it is None, never a guess."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

PROC = Path("/proc")


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of ``ordered`` (ascending) that at least ``share`` of them do not exceed; 0.0
    when there are none.
    """
    if not ordered:
        return 0.0
    rank = -int(-share * len(ordered) // 1)  # the ceiling
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def summary(values: Sequence[float], unit: float = 1e-3) -> dict[str, float]:
    """p50, p95, p99 and max of ``values`` in seconds, as multiples of ``unit`` seconds."""
    ordered = sorted(values)
    return {
        name: round(percentile(ordered, share) / unit, 3)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def processor() -> str:
    """What the cores are called, and how many may be used."""
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


def table(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Named summaries under one another."""
    lines = [f"{'milliseconds':<22}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}"]
    for name, figures in rows.items():
        lines.append(f"{name:<22}" + "".join(f"{value:>9.2f}" for value in figures.values()))
    return lines


def percent(share: float | None) -> str:
    """A share of a core, for people."""
    return "?" if share is None else f"{share:.0%}"


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
    """What one process has in RAM."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGESIZE")


def busy_seconds() -> float | None:
    """Processor time of everything on this machine so far, idle and waiting excluded."""
    try:
        ticks = [int(each) for each in (PROC / "stat").read_text().split("\n")[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(ticks) - ticks[3] - ticks[4]) / _ticks()


def started(pid: int) -> str | None:
    """When the process began; with its number the name of a process. None when it is gone."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else fields[19]


def descendants(pid: int) -> dict[int, str | None]:
    """Every process below ``pid``, and when it began."""
    parents = {each: int(fields[1]) for each, fields in _processes()}
    found: dict[int, str | None] = {}
    level = {pid}
    while level:
        level = {each for each, parent in parents.items() if parent in level}
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
