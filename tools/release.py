"""Make what a release consists of, in dist/: `make release`.

Writes the archives, the notes (from the changelog) and the checksums of all that is there. A file
of `make binary` that lies in dist/ becomes part of it. Publishes nothing, tags nothing.

The archives have the time of the last commit (SOURCE_DATE_EPOCH), so that whoever builds the same
commit with the same Python gets the same bytes.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DIST: Final = ROOT / "dist"
SUMS: Final = "SHA256SUMS"
NOTES: Final = "release-notes.md"


class CannotRelease(Exception):
    """What is missing for a release. The text is for the one who makes it."""


def notes_of(changelog: str, version: str) -> str:
    """The notes of ``version``: its section, without the heading. Raises CannotRelease."""
    sections = re.split(r"^## \[(.+?)\](.*)\n", changelog, flags=re.MULTILINE)
    found = {name: (rest, text) for name, rest, text in zip(*[iter(sections[1:])] * 3, strict=True)}
    if version not in found:
        raise CannotRelease(
            f"CHANGELOG.md has no section [{version}]: rename [Unreleased] to"
            f" [{version}] - DATE, and begin a new [Unreleased]"
        )
    rest, text = found[version]
    if not re.fullmatch(r" - \d{4}-\d\d-\d\d", rest):
        raise CannotRelease(f"the heading of [{version}] in CHANGELOG.md has no date: - YYYY-MM-DD")
    if not text.strip():
        raise CannotRelease(f"the section [{version}] of CHANGELOG.md is empty")
    return f"# locshare {version}\n\n{text.strip()}\n"


def checksums(folder: Path) -> str:
    """Lines as sha256sum writes and checks them."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in (SUMS, "locshare.sha256")
    ]
    return "".join(f"{line}\n" for line in lines)


def main() -> int:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    try:
        _check_clean()
        notes = notes_of((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    except CannotRelease as reason:
        print(f"no release of {version}: {reason}.", file=sys.stderr)
        return 1
    DIST.mkdir(exist_ok=True)
    for old in (*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")):
        old.unlink()
    environment = os.environ | {"SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")}
    for target in ("sdist", "wheel"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", DIST],
            cwd=ROOT, env=environment, check=True,
        )  # fmt: skip
    (DIST / NOTES).write_text(notes, encoding="utf-8")
    (DIST / SUMS).write_text(checksums(DIST), encoding="utf-8")
    print((DIST / SUMS).read_text(), end="")
    return 0


def _check_clean() -> None:
    if _git("status", "--porcelain"):
        raise CannotRelease("the work tree has changes: commit them first")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    sys.exit(main())
