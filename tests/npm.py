"""Packages from npm that tests need, as a package.json and its lock file pin them."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

from tests.node import NPM

PACKAGES: Final = Path(__file__).parent / "node_packages"
CLIENTS: Final = PACKAGES / "clients"


def installed(folder: Path) -> Path:
    """A folder with the ``node_modules`` that the lock file in ``folder`` pins. Made once for
    each content of the lock file, in the virtual environment; the test is skipped where there is no
    registry.
    """
    lock = folder / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    place = Path(sys.prefix) / f"npm-{digest}"
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=place.parent) as made:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(folder / name, made)
            done = subprocess.run(
                [*NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=made, capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip
            if done.returncode:
                pytest.skip(f"npm cannot install what {folder.name} needs: {done.stderr[-200:]}")
            try:
                Path(made).rename(place)
            except OSError:  # another worker was faster
                return place
            Path(made).mkdir()  # for the end of the block
    return place
