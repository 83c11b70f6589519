"""The directory of the server's Unix socket: ``socket`` under the data directory, mode 700.

A socket's path has at most 103 bytes on macOS, 107 on Linux. Where the data directory is too deep
for that, ``socket`` is a link to a short directory under /tmp.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from locshare.store.embedded.ownership import Account, give

_MAX_PATH_BYTES: Final = 103
_SOCKET_NAME: Final = ".s.PGSQL.5432"


def make_socket_directory(data_dir: Path, account: Account | None) -> Path:
    """The new directory, owned by ``account``. Replaces what a killed process left."""
    place = data_dir / "socket"
    remove_socket_directory(data_dir)
    if len(os.fsencode(place / _SOCKET_NAME)) <= _MAX_PATH_BYTES:
        place.mkdir(mode=0o700)
    else:
        short = Path(tempfile.mkdtemp(prefix="locshare-", dir="/tmp"))
        place.symlink_to(short)
        place = short
    give(place, account)
    return place


def remove_socket_directory(data_dir: Path) -> None:
    """Idempotent."""
    place = data_dir / "socket"
    if place.is_symlink():
        shutil.rmtree(place.readlink(), ignore_errors=True)
        place.unlink()
    elif place.exists():
        shutil.rmtree(place, ignore_errors=True)
