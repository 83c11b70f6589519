"""The directory of the server's Unix socket: ``socket`` under the data directory, mode 700.

A socket's path has at most 103 bytes on macOS, 107 on Linux. Where the data directory is too deep
for that, ``socket`` is a link to a short directory under /tmp.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

from locshare.store.embedded.ownership import Account, give

_MAX_PATH_BYTES: Final = 103
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_SHORT: Final = "/tmp/locshare-"  # noqa: S108 - mkdtemp makes them
"""What the short directories are called, with something random behind it."""


def make_socket_directory(data_dir: Path, account: Account | None) -> Path:
    """The new directory, owned by ``account``. Replaces what a killed process left."""
    place = data_dir / "socket"
    remove_socket_directory(data_dir)
    if len(os.fsencode(place / _SOCKET_NAME)) <= _MAX_PATH_BYTES:
        place.mkdir(mode=0o700)
    else:
        short = Path(tempfile.mkdtemp(prefix=Path(_SHORT).name, dir=Path(_SHORT).parent))
        place.symlink_to(short)
        place = short
    give(place, account)
    return place


def remove_socket_directory(data_dir: Path) -> None:
    """Idempotent. Removes what PostgreSQL made and nothing else: an operator may have led the link
    to a directory of their own, or put something there; that stays.
    """
    place = data_dir / "socket"
    if place.is_symlink():
        short = place.readlink()
        place.unlink()
        if str(short).startswith(_SHORT):
            _remove(short)
    else:
        _remove(place)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not there, not empty, no directory: seen when it is made
        for name in (_SOCKET_NAME, f"{_SOCKET_NAME}.lock"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
