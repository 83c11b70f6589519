"""What the process shares with others: the memory it may use, and the disk of its data.

The limit of memory is the container's where it has one (cgroup version 2 or 1), else the machine's.
In a container the embedded database counts too. "Used" leaves out the page cache that the kernel
gives back when it needs memory, as ``MemAvailable`` does.

Reads a few small files of the kernel, at scrape time. :func:`disk` asks the file system of the data
directory; where that hangs the embedded database hangs too.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

ROOT: Final = Path("/")


class Space(Struct, frozen=True):
    """Bytes."""

    size: int
    used: int


def memory(root: Path = ROOT) -> Space | None:
    """The tightest limit that holds for this process, and what is used of it. None where the kernel
    does not say (not Linux). ``root`` is where ``proc`` and ``sys`` are.
    """
    try:
        machine = _machine(root)
    except (OSError, ValueError, KeyError):
        return None
    return min((machine, *_groups(root)), key=lambda space: space.size)


def _machine(root: Path) -> Space:
    lines = (root / "proc/meminfo").read_text().splitlines()
    kibibytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    size, available = kibibytes["MemTotal"], kibibytes["MemAvailable"]
    return Space(size * 1024, (size - available) * 1024)


def _groups(root: Path) -> Iterator[Space]:
    """Each cgroup with a limit, from this process's own up to the outermost that can be seen."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, names = root / "sys/fs/cgroup", _V2
        elif "memory" in controllers.split(","):
            top, names = root / "sys/fs/cgroup/memory", _V1
        else:
            continue
        group = top / path.lstrip("/")
        while True:  # a container may not see the folders above its own: those are left out
            with suppress(OSError, ValueError, KeyError):  # no limit is the word "max"
                yield _group(group, names)
            if group == top or top not in group.parents:
                break
            group = group.parent


_V2: Final = ("memory.max", "memory.current", "inactive_file")
_V1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _group(folder: Path, names: tuple[str, str, str]) -> Space:
    limit, usage, reclaimable = names
    lines = (folder / "memory.stat").read_text().splitlines()
    cache = int(dict(line.split() for line in lines)[reclaimable])
    used = int((folder / usage).read_text()) - cache
    return Space(int((folder / limit).read_text()), max(used, 0))


def disk(folder: Path) -> Space | None:
    """The file system of ``folder``; "used" is what this process's user cannot write. None where it
    cannot be asked.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    size = found.f_blocks * found.f_frsize
    return Space(size, size - found.f_bavail * found.f_frsize)
