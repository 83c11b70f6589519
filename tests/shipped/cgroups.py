"""Cgroups of this run, named after its process: the next run removes what a killed one left."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from bench.procfs import started
from tests.running import LAST_RESORT_S

TOP: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "locshare-run"


def name_of_this_run() -> str:
    """The name, the same in every hierarchy of version 1."""
    remove_stale()
    return f"{_PREFIX}-{os.getpid()}-{started(os.getpid())}"


def remove_stale() -> None:
    """Remove the cgroups of runs that have ended."""
    for path in (*TOP.glob(f"{_PREFIX}-*"), *TOP.glob(f"*/{_PREFIX}-*")):
        *_, pid, began = path.name.split("-")
        if started(int(pid)) != began:
            remove(path.name)


def remove(name: str) -> None:
    """Remove the cgroups with ``name``, whose processes are ending."""
    deadline = time.monotonic() + LAST_RESORT_S
    for top in (*TOP.glob(name), *TOP.glob(f"*/{name}")):
        while top.exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
            time.sleep(0.02)
