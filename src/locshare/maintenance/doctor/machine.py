"""The machine: file descriptors, disk, memory, clock, the signing key, how positions are sent."""

import ctypes
import os
import resource
import shutil
import stat
import sys
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

import locshare
from locshare.auth.secret_file import SecretError, read_secret
from locshare.broadcast.native import IMPLEMENTATION
from locshare.config import Settings
from locshare.maintenance.doctor.findings import Finding, error, ok, skipped, split_advice, warning
from locshare.ops.inspection.text import size
from locshare.server.limits import files_beside_connections
from locshare.server.process import LEAST_CONNECTIONS

MIB: Final = 1024 * 1024
LOW_DISK: Final = 1024 * MIB
NO_DISK: Final = 128 * MIB
"""PostgreSQL keeps up to 256 MiB of its log, and stops when it can write none."""
FEW_INODES: Final = 1000
LOW_MEMORY: Final = 192 * MIB
"""A server with the embedded PostgreSQL takes about 120 MiB before the first session."""
_DAY_S: Final = 86_400.0
_TIMEX_BYTES: Final = 1024
"""More than any ``struct timex``; with modes 0, the first field, the kernel only answers."""
_TIME_ERROR: Final = 5


# --- file descriptors ---------------------------------------------------------------------------


def judge_files(hard: int | None, connections: int, others: int) -> Finding:
    """``hard``: the hard limit of open files; None is no limit. ``others``: what everything but
    the connections needs.
    """
    need = connections + others
    if hard is None or hard >= need:
        limit = "unlimited" if hard is None else str(hard)
        return ok("files", f"{limit} open files are allowed, {need} may be needed")
    allowed = max(hard - others, 0)
    do = (
        f"Raise the limit to {need} (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of Docker),"
        " or lower LOCSHARE_MAX_CONNECTIONS"
    )
    if allowed < min(connections, LEAST_CONNECTIONS):
        return error("files", f"{hard} open files are allowed: too few to start", do)
    text = f"{hard} open files are allowed: room for {allowed} connections, not {connections}"
    return warning("files", text, do)


def look_at_files(settings: Settings) -> list[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [
        judge_files(
            None if hard == resource.RLIM_INFINITY else hard,
            settings.connections.max_connections,
            files_beside_connections(settings),
        )
    ]


# --- disk and memory ----------------------------------------------------------------------------


class DiskFacts(Struct, frozen=True):
    """Of the file system that holds ``path``, or will. Bytes."""

    path: str
    free: int
    free_inodes: int | None
    """None where the file system has no fixed number."""
    read_only: bool
    writable: bool
    """By this process's user."""


def judge_disk(facts: DiskFacts, *, has_database: bool) -> Finding:
    """``has_database``: the embedded one, which needs more than a key does."""
    where = "Choose another place with LOCSHARE_DATA_DIR"
    if facts.read_only:
        return error("disk", f"{facts.path} is on a read-only file system", where)
    if not facts.writable:
        return error(
            "disk",
            f"this user may not write to {facts.path}",
            f"Give it to the user who runs the server (chown). {where}",
        )
    free = f"{size(facts.free)} free at {facts.path}"
    least, low = (NO_DISK, LOW_DISK) if has_database else (MIB, 16 * MIB)
    if facts.free < least:
        return error("disk", f"only {free}", f"Make room: the database stops. {where}")
    if facts.free_inodes is not None and facts.free_inodes < FEW_INODES:
        text = f"only {facts.free_inodes} files more fit on the file system of {facts.path}"
        return error("disk", text, f"Delete small files there. {where}")
    if facts.free < low:
        return warning("disk", f"only {free}", f"Make room, or watch it. {where}")
    return ok("disk", free)


def look_at_disk(settings: Settings) -> list[Finding]:
    place = settings.data_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        usage, status = shutil.disk_usage(place), os.statvfs(place)
    except OSError as failure:
        text = f"{place} cannot be looked at: {failure.strerror}"
        return [error("disk", text, "Choose another place with LOCSHARE_DATA_DIR")]
    facts = DiskFacts(
        str(place),
        usage.free,
        status.f_favail if status.f_files else None,
        read_only=bool(status.f_flag & os.ST_RDONLY),
        writable=os.access(place, os.W_OK | os.X_OK),
    )
    return [judge_disk(facts, has_database=settings.database_url is None)]


def judge_memory(available: int | None) -> Finding:
    """``available``: bytes that the process may still take, in its container."""
    if available is None:
        return skipped("memory", "this system does not say how much memory is left")
    if available < LOW_MEMORY:
        do = "Give the machine or container more: the kernel ends a server that runs out"
        return warning("memory", f"only {size(available)} of memory are left", do)
    return ok("memory", f"{size(available)} of memory are left")


def available_memory(root: Path = Path("/")) -> int | None:
    """The least of what the machine has and what the container may have (cgroup version 2)."""
    found = []
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        found.append(int(kib) * 1024)
    except (OSError, StopIteration, ValueError):
        return None
    group = root / "sys/fs/cgroup"
    try:
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            found.append(max(int(most) - int((group / "memory.current").read_text()), 0))
    except (OSError, ValueError):
        pass  # no cgroup, or an older kind: the machine's figure stands
    return min(found)


def look_at_memory(_settings: Settings) -> list[Finding]:
    return [judge_memory(available_memory())]


# --- clock --------------------------------------------------------------------------------------


def judge_clock(now: float, installed: float, synchronised: bool | None) -> Finding:
    """``now`` and ``installed`` (when this program was) in Unix time; ``synchronised`` as the
    kernel knows it, None when it does not say.
    """
    do = "Start a time service (systemd-timesyncd, chrony): sessions and tokens end by the clock"
    if now < installed - _DAY_S:
        return error("clock", "the clock is before the installation of this program", do)
    if synchronised is None:
        return skipped("clock", "this system does not say whether its clock is synchronised")
    if not synchronised:
        return warning("clock", "the kernel's clock is not synchronised", do)
    return ok("clock", "the kernel's clock is synchronised")


def is_synchronised() -> bool | None:
    """Asks the kernel (adjtimex(2), which needs no privilege to read)."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        answer: int = library.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def look_at_clock(_settings: Settings) -> list[Finding]:
    return [judge_clock(time.time(), _installed(), is_synchronised())]


def _installed() -> float:
    """Unix time. In the single file the modules are no files; the program that holds them is."""
    place = Path(locshare.__file__)
    return (place if place.exists() else Path(sys.executable)).stat().st_mtime


# --- key and sending ----------------------------------------------------------------------------


def look_at_key(settings: Settings) -> list[Finding]:
    """The file of the signing key, which only its owner may read. Makes none."""
    if settings.jwt_secret is not None:
        return [ok("key", "the signing key is that of the settings")]
    path = settings.secret_file
    try:
        read_secret(path)
    except FileNotFoundError:
        return [ok("key", f"the first start makes a signing key in {path}")]
    except SecretError as failure:
        if (owner := _another_owner(path)) is not None:
            return [ok("key", f"the signing key is in {path}, for the server's user {owner} only")]
        return [split_advice("key", str(failure))]
    return [ok("key", f"the signing key is in {path}, for its owner only")]


def _another_owner(key: Path) -> int | None:
    """The user id that owns both the key and its directory, if root asks about a server that runs
    as another user: a service of systemd.
    """
    status = key.lstat()
    is_private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
    is_its_own = status.st_uid == key.parent.stat().st_uid != 0
    return status.st_uid if os.geteuid() == 0 and is_private and is_its_own else None


def judge_sending(implementation: str) -> Finding:
    if implementation == "compiled":
        return ok("sending", "positions are sent by the compiled module")
    do = "Install a C compiler and Python's headers, and install again; small groups notice nothing"
    return warning("sending", "positions are sent by Python code, at more CPU", do)


def look_at_sending(_settings: Settings) -> list[Finding]:
    return [judge_sending(IMPLEMENTATION)]
