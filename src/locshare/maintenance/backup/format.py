"""The file of a backup: lines of JSON, compressed with gzip.

The first line is a :class:`Header`; then one line ``[table, row]`` for each row; the last one is an
:class:`End` with the number of rows and the SHA-256 of all lines before it. A file that was cut
short has no end. Blocking; knows no database.
"""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final, final

import msgspec
from msgspec import Struct

from locshare.config.fields import MIN_SECRET_BYTES
from locshare.model.errors import LocshareError

FORMAT: Final = "locshare-backup"
VERSION: Final = 1
MAX_LINE_BYTES: Final = 1024 * 1024
"""A row has some kilobytes at most."""

MAX_PROGRAM_CHARS: Final = 64
"""Of the version that wrote the file, as it says itself."""

_BROKEN: Final = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,  # a hundred thousand brackets
)


class BackupError(LocshareError):
    """A backup cannot be made, read or restored. The text says why and what to do."""


class Header(Struct, frozen=True, kw_only=True):
    """``migrations``: version to checksum, of the tables that the rows were in."""

    format: str = FORMAT
    version: int = VERSION
    program: str
    made_at: datetime
    migrations: dict[int, str]
    key: str | None = None
    """The generated signing key, if it was asked for."""


class End(Struct, frozen=True):
    rows: dict[str, int]
    sha256: str


class Row(Struct, frozen=True, array_like=True):
    """``columns`` as PostgreSQL writes a row as JSON."""

    table: str
    columns: msgspec.Raw


@final
class Writer:
    """Writes lines to ``file``, which it does not close. Raises BackupError when it cannot."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        # Without a name and a time: the same rows make the same bytes.
        with _writing():
            self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
        self._file = file
        self._sum = hashlib.sha256()
        self.rows: Counter[str] = Counter()
        self._line(msgspec.json.encode(header))

    def row(self, table: str, columns: str) -> None:
        """``columns`` is JSON."""
        self.rows[table] += 1
        self._line(msgspec.json.encode(Row(table, msgspec.Raw(columns.encode()))))

    def end(self) -> None:
        """The last line, without which the file is no backup; then all is with the system."""
        self._line(msgspec.json.encode(End(dict(self.rows), self._sum.hexdigest())))
        with _writing():
            self._gzip.close()
            self._file.flush()

    def _line(self, line: bytes) -> None:
        with _writing():
            self._gzip.write(line + b"\n")
        self._sum.update(line + b"\n")


@contextmanager
def _writing() -> Iterator[None]:
    """An OSError is here the file's; further out it would be taken for the database's."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BackupError(
            f"the backup cannot be written: {reason}. Make room, or choose another place"
        ) from error


@final
class BackupFile:
    """A file that was read once from the beginning to its end, and is whole.

    Raises BackupError when it is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        counted: Counter[str] = Counter()
        for row in self.read():
            counted[row.table] += 1
        if dict(counted) != self.rows:
            raise self._broken("its rows are not those that it counted")

    header: Header
    rows: dict[str, int]

    def read(self) -> Iterator[Row]:
        """The rows, in their order. Raises BackupError when the file has changed since."""
        try:
            with gzip.open(self.path, "rb") as file:
                line = file.readline(MAX_LINE_BYTES)
                self.header = self._header(line)
                total = hashlib.sha256(line)
                while line := file.readline(MAX_LINE_BYTES):
                    if line.startswith(b"["):
                        total.update(line)
                        yield msgspec.json.decode(line, type=Row)
                        continue
                    end = msgspec.json.decode(line, type=End)
                    if end.sha256 != total.hexdigest():
                        raise self._broken("its checksum is another")
                    if file.read(1):  # which also checks gzip's own
                        raise self._broken("something follows its end")
                    self.rows = end.rows
                    return
        except FileNotFoundError:
            raise BackupError(f"there is no file {self.path}") from None
        except PermissionError:
            raise BackupError(
                f"this user may not read {self.path}: run this as the user who owns it"
            ) from None
        except _BROKEN as error:  # before OSError, which BadGzipFile is
            raise self._broken(f"it cannot be read ({type(error).__name__})") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise BackupError(
                f"{self.path} cannot be read: {reason}. Give the file of a backup"
            ) from None
        raise self._broken("it was cut short")

    def _header(self, line: bytes) -> Header:
        if not line:
            raise self._broken("it is empty")
        header = msgspec.json.decode(line, type=Header)
        if header.format != FORMAT:
            raise self._broken("it says so in its first line")
        # What a stranger's file says goes to a terminal, and into the file of the key.
        if not header.program.isprintable() or len(header.program) > MAX_PROGRAM_CHARS:
            raise self._broken("its first line does not say which version wrote it")
        if header.key is not None and not (
            header.key.isascii()
            and header.key.isprintable()
            and len(header.key) >= MIN_SECRET_BYTES
        ):
            raise self._broken("the key in it is none")
        if header.version > VERSION:
            raise BackupError(
                f"{self.path} was made by locshare {header.program}, in a format that this version"
                " does not know: use that version or a newer one"
            )
        return header

    def _broken(self, why: str) -> BackupError:
        return BackupError(f"{self.path} is no backup, or a broken one: {why}. Take another one")
