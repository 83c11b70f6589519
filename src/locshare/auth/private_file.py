"""A file that only its owner may read, and that appears whole or not at all.

Blocking; knows no format. On Linux it has no name until it is whole (``O_TMPFILE``), so that a
process which is killed leaves nothing: half a backup, hidden and kept for ever, has the names of
people in it, and half a key looks like one.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Of link(2) on a file system that has no hard links: FAT and exFAT, some network drives."""


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears at ``path`` whole, with mode 600, at the end of the block, or not at all.

    Raises FileExistsError when something has the name by then, and OSError.
    """
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = _open_nameless(path.parent)
    nameless = descriptor is not None
    if descriptor is None:
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if nameless:
                # With a directory given, Python calls linkat(2), which follows the link in
                # /proc; the name is absolute, so the directory itself is of no account.
                os.link(_in_proc(descriptor), path, src_dir_fd=descriptor)
            else:
                _appear(hidden, path)
        _sync(path.parent)
    finally:
        hidden.unlink(missing_ok=True)


def _open_nameless(folder: Path) -> int | None:
    """A file that is gone when nobody has it open; None where the system has no such thing."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o600)
    except OSError:  # each file system says it with another number; the other way has the last word
        return None
    if os.path.lexists(_in_proc(descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def _in_proc(descriptor: int) -> str:
    """Where linkat(2) finds a file without a name (open(2), O_TMPFILE)."""
    return f"/proc/self/fd/{descriptor}"


def _appear(hidden: Path, path: Path) -> None:
    """Give ``hidden`` its name, unless something has it. Raises OSError."""
    try:
        os.link(hidden, path)  # unlike a rename it fails if something is there
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # An empty file reserves the name; killed here, it is what is left, and nothing whole.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        hidden.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
