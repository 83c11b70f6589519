"""The machine: file descriptors, disk, memory, clock, the signing key, how positions are sent."""

import ctypes
import os
import re
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
from locshare.ops.control import ControlError, open_control
from locshare.ops.inspection.text import size
from locshare.server.limits import files_beside_connections
from locshare.server.process import LEAST_CONNECTIONS
from locshare.telemetry.machine import memory_limits

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


def judge_files(
    hard: int | None, connections: int, others: int, *, running: bool = False
) -> Finding:
    """``hard``: the hard limit of open files; None is no limit. ``others``: what everything but
    the connections needs. ``running``: it is the limit of the running server, which a service
    manager may have raised; else that of this shell.
    """
    need = connections + others
    of = "to the running server" if running else "in this shell"
    if hard is None or hard >= need:
        limit = "unlimited" if hard is None else str(hard)
        return ok("files", f"{limit} open files are allowed {of}, {need} may be needed")
    allowed = max(hard - others, 0)
    do = (
        f"Raise the limit to {need} (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of Docker),"
        " or lower LOCSHARE_MAX_CONNECTIONS"
    )
    if allowed < min(connections, LEAST_CONNECTIONS):
        return error("files", f"{hard} open files are allowed {of}: too few to start", do)
    text = f"{hard} open files are allowed {of}: room for {allowed} connections, not {connections}"
    return warning("files", text, do)


async def look_at_files(settings: Settings) -> list[Finding]:
    server = await running_server(settings)
    allowed = None if server is None else limit_of_files(server)
    running = allowed is not None
    hard = allowed if running else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return [
        judge_files(
            None if hard == resource.RLIM_INFINITY else hard,
            settings.connections.max_connections,
            files_beside_connections(settings),
            running=running,
        )
    ]


def limit_of_files(pid: int, root: Path = Path("/")) -> int | None:
    """The hard limit of open files of a process, RLIM_INFINITY for none; None when it is not to be
    known. Not prlimit(2): that asks for a privilege where the process is another user's.
    """
    try:
        text = (root / "proc" / str(pid) / "limits").read_text()
    except OSError:
        return None
    found = re.search(r"^Max open files +\S+ +(\S+)", text, re.MULTILINE)
    if found is None:
        return None
    return resource.RLIM_INFINITY if found[1] == "unlimited" else int(found[1])


async def running_server(settings: Settings) -> int | None:
    """The process id of the server that has the control socket of the settings; None when none
    runs, when this user may not ask, or when it is out of sight (in another container).
    """
    path = settings.control_path
    if path is None:
        return None
    try:
        async with open_control(path) as control:
            return control.server_pid
    except ControlError:
        return None


# --- disk and memory ----------------------------------------------------------------------------


class DiskFacts(Struct, frozen=True):
    """Of the file system that holds the data directory, or will. Bytes."""

    path: str
    """The directory, or where there is none yet, the nearest one above."""
    free: int
    free_inodes: int | None
    """None where the file system has no fixed number."""
    read_only: bool
    writable: bool
    """By this process's user."""
    missing: str = ""
    """The data directory, where there is none yet."""


def judge_disk(facts: DiskFacts, *, has_database: bool) -> Finding:
    """``has_database``: the embedded one, which needs more than a key does."""
    where = "Choose another place with LOCSHARE_DATA_DIR"
    if facts.read_only:
        return error("disk", f"{facts.path} is on a read-only file system", where)
    if not facts.writable and facts.missing:
        return error(
            "disk",
            f"this user may not make {facts.missing} in {facts.path}",
            f"Make it, and give it to the user who runs the server. {where}",
        )
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
    data_dir = place = settings.data_dir
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        usage, status = shutil.disk_usage(place), os.statvfs(place)
    except PermissionError:
        text = f"this user may not look into {data_dir}"
        return [error("disk", text, "Run this as the user who runs the server, or as root")]
    except OSError as failure:
        text = f"{place} cannot be looked at: {failure.strerror}"
        return [error("disk", text, "Choose another place with LOCSHARE_DATA_DIR")]
    facts = DiskFacts(
        str(place),
        usage.free,
        status.f_favail if status.f_files else None,
        read_only=bool(status.f_flag & os.ST_RDONLY),
        writable=os.access(place, os.W_OK | os.X_OK),
        missing="" if place == data_dir else str(data_dir),
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


def available_memory(server: int | None = None, root: Path = Path("/")) -> int | None:
    """The least of what the machine has and what the groups of the process ``server`` may have;
    None for it: those of this process.
    """
    limits = memory_limits(root, server)
    return min((max(each.size - each.used, 0) for each in limits), default=None)


async def look_at_memory(settings: Settings) -> list[Finding]:
    return [judge_memory(available_memory(await running_server(settings)))]


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
    if os.geteuid() != 0:
        return None  # who may not even look into the directory gets the error of the key
    status = key.lstat()
    is_private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
    is_its_own = status.st_uid == key.parent.stat().st_uid != 0
    return status.st_uid if is_private and is_its_own else None


def judge_sending(implementation: str) -> Finding:
    if implementation == "compiled":
        return ok("sending", "positions are sent by the compiled module")
    do = "Install a C compiler and Python's headers, and install again; small groups notice nothing"
    return warning("sending", "positions are sent by Python code, at more CPU", do)


def look_at_sending(_settings: Settings) -> list[Finding]:
    return [judge_sending(IMPLEMENTATION)]
