"""Whether an embedded server runs on a data directory, and how it is reached. Changes nothing."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

_READY_LINE: Final = 7
"""Of ``postmaster.pid``: what pg_ctl waits for."""
_VERSION_CHARS: Final = 16
"""More than ``PG_VERSION`` has."""


def url_of(socket_dir: Path) -> str:
    """The URL of the embedded server whose socket is in ``socket_dir``."""
    return f"postgresql://postgres@/postgres?host={quote(str(socket_dir), safe='/')}"


def url_of_running(data_dir: Path) -> str | None:
    """The URL of the server that another process runs on ``data_dir``; None when there is none.

    Raises PermissionError when the directory is another user's.
    """
    data_dir = data_dir.resolve()
    try:
        pid_file = data_dir / "postgres" / "postmaster.pid"
        text = pid_file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    lines = text.splitlines()
    if len(lines) <= _READY_LINE or lines[_READY_LINE].strip() != "ready":
        return None
    try:
        os.kill(int(lines[0]), 0)
    except PermissionError:
        pass  # it lives, as another user: root runs it as one
    except (ValueError, ProcessLookupError, OverflowError):
        return None
    place = data_dir / "socket"
    return url_of(place.resolve()) if place.exists() else None


def major_of(data_dir: Path) -> str | None:
    """The major version that made the cluster of ``data_dir``; None without one."""
    try:
        with (data_dir / "postgres" / "PG_VERSION").open(encoding="ascii") as file:
            version = file.read(_VERSION_CHARS).strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeDecodeError):
        return None
    return version if version.isdecimal() else None
