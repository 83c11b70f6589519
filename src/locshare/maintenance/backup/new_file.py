"""The file of a new backup. Blocking; knows no format."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from locshare.auth.private_file import private_file
from locshare.maintenance.backup.format import BackupError


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears at ``path`` whole, with mode 600, at the end of the block, or not at all.

    Raises BackupError when something is there, or it cannot be written.
    """
    if path.exists():
        raise _exists(path)
    try:
        with private_file(path) as file:
            yield file
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BackupError(f"{path} cannot be written: {reason}. Choose another place") from None


def _exists(path: Path) -> BackupError:
    return BackupError(f"{path} exists, and is not overwritten: give another name")
