"""A cluster made in advance, which lies beside the binaries of the single-file program.

A new cluster is then a copy: it takes a fraction of initdb's time, and needs no name for the user
id, which initdb asks for. All these clusters have one system identifier, which only replication
reads, and the embedded server does none.
"""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from locshare.store.embedded.ownership import Account, give

_NAME: Final = "cluster.tar.xz"
_AS_IT_IS: Final[dict[str, Any]] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
"""Permissions as they are in the archive; "data" would open the directories. Before 3.11.4 (Debian
12 has 3.11.2) Python knows no filters and extracts so. The archive is our own."""


def template_of(bin_dir: Path) -> Path | None:
    """The archive beside the binaries, or None, as in an installation from PyPI."""
    path = bin_dir.parent / _NAME
    return path if path.exists() else None


def unpack_template(
    template: Path, into: Path, account: Account | None, check: Callable[[], None]
) -> None:
    """Unpack into the empty directory ``into``, owned by ``account``, and sync it to disk. Raises
    OSError. ``check`` is called often, and may raise to give up.
    """
    with tarfile.open(template) as archive:
        for member in archive:
            check()
            archive.extract(member, into, **_AS_IT_IS)
            give(into / member.name, account)
    os.sync()
