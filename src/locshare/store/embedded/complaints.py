"""Why the embedded PostgreSQL does not work: its errors, its log, and what to do about them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from locshare.model.errors import LocshareError

_MAX_LOG_BYTES: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 16_384
_COMPLAINT: Final = re.compile(r"(?:FATAL|PANIC|error): +(.*)")
_RESTORE: Final = (
    "its files are damaged; keep a copy of them, and restore a backup into another --data-dir"
    " (locshare restore)"
)
_WAYS_OUT: Final = (
    ("No space left", "make room on the disk"),
    ("Disk quota exceeded", "make room on the disk"),
    ("wrote only", "make room on the disk"),
    ("contains errors", "correct what was changed in it"),
    ("could not load", "correct what was changed in it"),
    ("wrong ownership", "run as the user who owns the directory, or give it to this one (chown)"),
    ("invalid permissions", "take it from everybody else (chmod -R go-rwx)"),
    ("Permission denied", "let this process's user write there, or name another --data-dir"),
    ("Read-only file system", "name another --data-dir"),
    ("Cannot allocate memory", "give the machine or container more memory"),
    ("shared memory", "give the machine or container more memory"),
    ("semaphores", "raise the kernel's limit of semaphores (kernel.sem)"),
    ("File too large", "raise the limit of a file's size (ulimit -f)"),
    (
        "incompatible with server",
        "another build or architecture made them: restore a backup into another --data-dir",
    ),
    ("checkpoint record", _RESTORE),
    ("control file", _RESTORE),
    ("checksum", _RESTORE),
    ("could not open file", _RESTORE),
    ("could not read file", _RESTORE),
    ("could not open directory", _RESTORE),
    (
        "effective user ID",
        "give this user id an entry in /etc/passwd, or set LOCSHARE_DATABASE_URL",
    ),
)


class EmbeddedError(LocshareError):
    """The embedded PostgreSQL cannot be used. The text says why and what to do."""


class EmbeddedDied(EmbeddedError):
    """The embedded PostgreSQL ended although it was not stopped."""


def first_complaint(lines: Sequence[str]) -> str:
    """The first error in ``lines`` and what to do about it, in one line.

    For initdb: the first error is the cause. Those after it are about tidying up ("failed to remove
    contents of data directory").
    """
    return _explained([match[1] for line in lines if (match := _COMPLAINT.search(line))], lines)


def last_complaint(lines: Sequence[str]) -> str:
    """The last error in ``lines`` and what to do about it, in one line.

    For the postmaster: what made it give up is what it logs last.
    """
    found = [match[1] for line in reversed(lines) if (match := _COMPLAINT.search(line))]
    return _explained(found, lines)


def _explained(complaints: Sequence[str], lines: Sequence[str]) -> str:
    said = complaints[0] if complaints else next(reversed(lines), "it said nothing")
    for part, way_out in _WAYS_OUT:
        if part in said:
            return f"{said}: {way_out}"
    return said


class ServerLog:
    """The file that takes the output of initdb and the postmaster."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = 0

    def open(self) -> IO[bytes]:
        """For a new process, whose output then begins here. A large file is rotated first."""
        if self.path.exists() and self.path.stat().st_size > _MAX_LOG_BYTES:
            self.path.replace(self.path.with_suffix(".log.1"))
        file = self.path.open("ab")
        self._began = file.tell()
        return file

    def why_initdb_failed(self) -> str:
        """One sentence, from the output since :meth:`open`."""
        return self._with_path(first_complaint(self._read(self._began)))

    def why_postmaster_failed(self) -> str:
        """One sentence, from the output since :meth:`open`."""
        tail = max(self._began, self.path.stat().st_size - _READ_BYTES)
        return self._with_path(last_complaint(self._read(tail)))

    def _read(self, start: int) -> list[str]:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(_READ_BYTES).decode(errors="replace").splitlines()

    def _with_path(self, text: str) -> str:
        return f"{text} (all of it is in {self.path})"
