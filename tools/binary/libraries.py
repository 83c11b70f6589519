"""What the single-file program has of the build machine: the shared libraries that PyInstaller
collects, and what is linked into the runner. By the packages of Debian, or of a system made from
it, so that a scanner finds them.

Needs nothing but Python: the build in a root of Debian 11 has no more.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

IN_THE_RUNNER: Final = ("libzstd-dev", "libc6-dev")
"""Linked statically into runner.c's program."""
_OWNER: Final = re.compile(r"^([a-z0-9.+-]+)(?::\w+)?: (\S+)$", re.MULTILINE)
_LIBRARY: Final = re.compile(r"lib[\w.+-]+\.so(?:\.\d+)*")
_OTHER_MACHINES: Final = re.compile(r"/(lib32|libx32|lib64)/|-cross/")


class Package(NamedTuple):
    """``system`` as in /etc/os-release: debian, ubuntu."""

    name: str
    version: str
    system: str


def system_packages(folder: Path) -> list[Package]:
    """Of the libraries in ``folder`` and of the runner. Empty where there is no dpkg: then the list
    has only what is known by itself (Python, OpenSSL, PostgreSQL).
    """
    if shutil.which("dpkg-query") is None:
        return []
    names = [each.name for each in sorted(folder.iterdir()) if _LIBRARY.fullmatch(each.name)]
    wanted = {*IN_THE_RUNNER} | {package for name in names for package in _owners(name)}
    system = platform.freedesktop_os_release()["ID"]
    lines = _ask("--show", "--showformat", r"${Package} ${Version}\n", *sorted(wanted)).splitlines()
    pairs = [line.partition(" ")[::2] for line in lines]
    return sorted({Package(name, version, system) for name, version in pairs if version})


def _owners(library: str) -> set[str]:
    """The packages that bring a file of this name; none for a library of a wheel's own."""
    found = _OWNER.findall(_ask("--search", f"*/{library}"))
    return {package for package, path in found if _OTHER_MACHINES.search(path) is None}


def _ask(*arguments: str) -> str:
    """What dpkg knows of it; it fails when it does not know all, and says the rest."""
    return subprocess.run(
        ["dpkg-query", *arguments], capture_output=True, text=True, check=False
    ).stdout
