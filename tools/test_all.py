"""Run the tests with every Python from 3.11 on that this machine has: `make test-all`.

    python tools/test_all.py [--list] [arguments for pytest]

Looks on the path, in pyenv's versions and in /usr; of each minor version it takes the newest. Each
gets an environment of its own in build/pythons, from constraints.txt, which later runs use again.
Says at the end which versions passed, and which were not to be had.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
ENVIRONMENTS: Final = ROOT / "build" / "pythons"
MINORS: Final = (11, 12, 13, 14)
"""As pyproject.toml's classifiers have them."""

_ASK: Final = "import sys, venv; print('.'.join(map(str, sys.version_info[:3])))"


def candidates(minor: int, path: str, home: Path) -> list[Path]:
    """Programs that may be Python 3.``minor``, without asking them."""
    name = f"python3.{minor}"
    found = [
        Path(folder) / name for folder in [*path.split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    ]
    found += sorted((home / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/{name}"))
    return [each for each in dict.fromkeys(found) if each.is_file() and os.access(each, os.X_OK)]


def newest(programs: list[Path], minor: int) -> tuple[Path, str] | None:
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
    return None if best is None else best[1:]


def main(arguments: list[str]) -> int:
    found = {
        minor: newest(candidates(minor, os.environ.get("PATH", ""), Path.home()), minor)
        for minor in MINORS
    }
    results: dict[str, str] = {}
    for minor, each in found.items():
        if each is None:
            results[f"3.{minor}"] = "not on this machine"
            continue
        program, version = each
        if arguments == ["--list"]:
            results[version] = str(program)
            continue
        print(f"--- {version}, {program}", flush=True)
        results[version] = "passed" if run(program, version, arguments) else "FAILED"
    for name, result in results.items():
        print(f"{name:8} {result}")
    return 1 if "FAILED" in results.values() else 0


def run(program: Path, version: str, arguments: list[str]) -> bool:
    place = ENVIRONMENTS / version
    python = place / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([program, "-m", "venv", place], check=True)
        subprocess.run(
            [
                *(python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"),
                *("-c", ROOT / "constraints.txt", "-e", f"{ROOT}[dev]"),
            ],
            check=True,
        )
        # The send loop is compiled for each Python, under a name of its own.
        subprocess.run([python, ROOT / "src/locshare/broadcast/native/build.py"], check=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(place, ignore_errors=True)
        return False
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *(arguments or ["-n", "2"])], cwd=ROOT, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
