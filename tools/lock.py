"""Write constraints.txt: what the newest allowed dependencies resolve to."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Pinned versions of every dependency, direct and indirect. Made by `make lock`.\n"
HELD_BACK = ["pytest<9.2", "pymdown-extensions<13"]
"""Newer versions that do not work yet: pytest-xdist 3.8 cannot mark a test's group in the ids of
pytest 9.2, and tests/grouping.py refuses to run so; pymdown-extensions 13 refuses Python 3.11.2,
which is Debian 12's (tests/test_packaging.py finds others of this kind)."""


def main() -> None:
    """Resolve all extras and hatchling in a throw-away environment, write what came out."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run(
            [
                *pip,
                "install",
                "--quiet",
                "hatchling",
                "editables",
                f"{ROOT}[dev,mutants,binary]",
                *HELD_BACK,
            ],
            check=True,
        )
        frozen = subprocess.run(
            [*pip, "freeze", "--exclude", "locshare"], check=True, capture_output=True, text=True
        ).stdout
    (ROOT / "constraints.txt").write_text(HEADER + frozen)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
