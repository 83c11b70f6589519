"""Run the tests with every Python from 3.11 on that this machine has: `make test-all`.

    python tools/test_all.py [--list] [arguments for pytest]

Looks on the path, in pyenv's versions and in /usr; of each minor version it takes the newest. One
that is not here comes from a Debian which has it, where that can be installed in a root of its own
(tools/debian_python.sh: root, debootstrap, a gigabyte the first time). Each gets an environment of
its own in build/pythons, from constraints.txt, which later runs use again. Says at the end which
versions passed, and which were not to be had; when none passed, that is a failure.
``PYTHONS=3.13,3.14`` takes only these.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
ENVIRONMENTS: Final = ROOT / "build" / "pythons"
MINORS: Final = (11, 12, 13, 14)
"""As pyproject.toml's classifiers have them."""

DEBIANS: Final = {13: "trixie", 14: "forky"}
"""Whose ``python3`` it is."""

ENTER: Final = ROOT / "tools" / "debian_python.sh"

_ASK: Final = "import sys, venv; print('.'.join(map(str, sys.version_info[:3])))"


class Interpreter(NamedTuple):
    """A Python, and what a command begins with to run where that Python is."""

    version: str
    program: Path
    enter: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.program} of Debian's {self.enter[1]}" if self.enter else str(self.program)


def candidates(minor: int, path: str, home: Path) -> list[Path]:
    """Programs that may be Python 3.``minor``, without asking them."""
    name = f"python3.{minor}"
    found = [
        Path(folder) / name for folder in [*path.split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    ]
    found += sorted((home / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/{name}"))
    return [each for each in dict.fromkeys(found) if each.is_file() and os.access(each, os.X_OK)]


def newest(programs: list[Path], minor: int) -> Interpreter | None:
    """Of those that run, are that version, and can make an environment: the newest."""
    best: tuple[tuple[int, ...], Path, str] | None = None
    for program in programs:
        done = subprocess.run([program, "-c", _ASK], capture_output=True, text=True, check=False)
        version = done.stdout.strip()
        if done.returncode or not re.fullmatch(rf"3\.{minor}\.\d+", version):
            continue
        key = tuple(map(int, version.split(".")))
        if best is None or key > best[0]:
            best = key, program, version
    return None if best is None else Interpreter(best[2], best[1])


def here(minor: int) -> Interpreter | None:
    """The newest on this machine."""
    return newest(candidates(minor, os.environ.get("PATH", ""), Path.home()), minor)


def in_debian(minor: int) -> Interpreter | None:
    """The one of the Debian that has this version, which is installed first, unless it is there.
    None where this user, this machine or its mirror cannot.
    """
    suite = DEBIANS.get(minor)
    if suite is None or os.geteuid() != 0 or shutil.which("debootstrap") is None:
        return None
    program, enter = Path("/usr/bin/python3"), (str(ENTER), suite)
    command: list[str | Path] = [*enter, program, "-c", _ASK]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    version = asked.stdout.strip()
    if asked.returncode or not version.startswith(f"3.{minor}."):
        return None
    return Interpreter(version, program, enter)


def wanted(asked: str) -> list[int]:
    """The minor versions of ``PYTHONS``, or all."""
    if not asked:
        return [*MINORS]
    known = {f"3.{minor}": minor for minor in MINORS}
    unknown = [each for each in asked.split(",") if each not in known]
    if unknown:
        raise SystemExit(f"PYTHONS may name {', '.join(known)}, and not {', '.join(unknown)}.")
    return [known[each] for each in asked.split(",")]


def main(arguments: list[str]) -> int:
    results: dict[str, str] = {}
    for minor in wanted(os.environ.get("PYTHONS", "")):
        each = here(minor)
        if each is None and arguments == ["--list"]:
            suite = DEBIANS.get(minor)
            results[f"3.{minor}"] = "not on this machine" + (f"; Debian's {suite}" if suite else "")
            continue
        each = each or in_debian(minor)
        if each is None:
            results[f"3.{minor}"] = "not on this machine"
        elif arguments == ["--list"]:
            results[each.version] = str(each)
        else:
            print(f"--- {each.version}, {each}", flush=True)
            results[each.version] = "passed" if run(each, arguments) else "FAILED"
    for name, result in results.items():
        print(f"{name:8} {result}")
    if arguments == ["--list"]:
        return 0
    return 1 if "FAILED" in results.values() or "passed" not in results.values() else 0


def run(each: Interpreter, arguments: list[str]) -> bool:
    place = ENVIRONMENTS / each.version
    python = place / "bin" / "python"
    try:
        if not os.path.lexists(python):  # a link, which may lead nowhere outside of that Debian
            _do(each, each.program, "-m", "venv", place)
        pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
        _do(each, *pip, "install", "-c", ROOT / "constraints.txt", "-e", f"{ROOT}[dev]")
        # The send loop is compiled for each Python, under a name of its own.
        _do(each, python, ROOT / "src/locshare/broadcast/native/build.py")
        _do(each, "sh", ROOT / "tools/ensure_packages.sh")
    except subprocess.CalledProcessError:
        shutil.rmtree(place, ignore_errors=True)
        return False
    try:
        _do(each, python, "-m", "pytest", "-p", "no:cacheprovider", *(arguments or ["-n", "2"]))
    except subprocess.CalledProcessError:
        return False
    return True


def _do(each: Interpreter, *command: str | Path) -> None:
    """Run a command where this Python is; CalledProcessError if it fails."""
    subprocess.run([*each.enter, *command], cwd=ROOT, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sys.exit(main(parser.parse_known_args()[1]))
