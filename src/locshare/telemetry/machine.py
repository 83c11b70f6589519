"""What the process shares with others: the memory it may use, and the disk of its data.

The limit of memory is the container's where it has one (cgroup version 2 or 1), else the
machine's. With version 2 it is the lower of ``memory.max`` and ``memory.high`` (MemoryHigh of
systemd): at that one the kernel holds up every process of the group, long before it ends one at the
other. In a container the embedded database counts too. "Used" leaves out the page cache that the
kernel gives back when it needs memory, as ``MemAvailable`` does.

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
    return min(memory_limits(root), key=lambda space: space.size, default=None)


def memory_limits(root: Path = ROOT, pid: int | None = None) -> list[Space]:
    """All that hold for the process ``pid`` (None: this one): the machine, and each of its groups
    that has one. Empty where the kernel does not say.
    """
    try:
        machine = _machine(root)
    except (OSError, ValueError, KeyError):
        return []
    return [machine, *_groups(root, "self" if pid is None else str(pid))]


def _machine(root: Path) -> Space:
    lines = (root / "proc/meminfo").read_text().splitlines()
    kibibytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    size, available = kibibytes["MemTotal"], kibibytes["MemAvailable"]
    return Space(size * 1024, (size - available) * 1024)


def _groups(root: Path, process: str) -> Iterator[Space]:
    """Each cgroup with a limit, from the process's own up to the outermost that can be seen."""
    try:
        lines = (root / "proc" / process / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, read = root / "sys/fs/cgroup", _version_2
        elif "memory" in controllers.split(","):
            top, read = root / "sys/fs/cgroup/memory", _version_1
        else:
            continue
        group = top / path.lstrip("/")
        while True:  # a container may not see the folders above its own: those are left out
            with suppress(OSError, ValueError, KeyError):
                if (space := read(group)) is not None:
                    yield space
            if group == top or top not in group.parents:
                break
            group = group.parent


def _version_2(folder: Path) -> Space | None:
    """None where the group has no limit: the word is "max"."""
    limits = [
        int(text)
        for name in ("memory.max", "memory.high")
        if (text := _read(folder / name)) != "max"
    ]
    if not limits:
        return None
    used = int(_read(folder / "memory.current")) - _reclaimable(folder, "inactive_file")
    return Space(min(limits), max(used, 0))


def _version_1(folder: Path) -> Space:
    """Without a limit it is beyond any machine's memory."""
    used = int(_read(folder / "memory.usage_in_bytes"))
    used -= _reclaimable(folder, "total_inactive_file")
    return Space(int(_read(folder / "memory.limit_in_bytes")), max(used, 0))


def _reclaimable(folder: Path, name: str) -> int:
    lines = _read(folder / "memory.stat").splitlines()
    return int(dict(line.split() for line in lines)[name])


def _read(path: Path) -> str:
    return path.read_text().strip()


def disk(folder: Path) -> Space | None:
    """The file system of ``folder``; "used" is what this process's user cannot write. None where it
    cannot be asked.
    """
    while not os.path.exists(folder) and folder != folder.parent:  # noqa: PTH110 - raises nothing
        folder = folder.parent
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    size = found.f_blocks * found.f_frsize
    return Space(size, size - found.f_bavail * found.f_frsize)
