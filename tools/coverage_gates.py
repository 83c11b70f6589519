"""Fail when a part of the program is covered less than its gate."""

import argparse
import io
import subprocess
import sys

import coverage

GATES = {
    "actors": 90,
    "api": 95,
    "auth": 95,
    "broadcast": 90,
    "connection": 90,
    "contract": 95,
    "http": 95,
    "ingest": 95,
    "session": 90,
    "store": 90,
    "supervisor": 90,
    "wire": 90,
}
"""By package or module of locshare, in per cent of lines and branches."""
OVERALL = 80


def is_covered(measured: coverage.Coverage, part: str, gate: int) -> bool:
    """Print how much of ``part`` is covered; true when its gate holds."""
    places = [f"src/locshare/{part}/*", f"src/locshare/{part}.py"]
    found = measured.report(include=places, file=io.StringIO())
    print(f"{part:>12} {found:.1f} %, of {gate} %")
    return found >= gate


def main() -> int:
    """Combine what subprocesses left, then check each gate, all in this process: to read the data
    and the tree again for each took longer than to check it.
    """
    subprocess.run(
        [sys.executable, "-m", "coverage", "combine", "--append", "--quiet"],
        check=False,
        stderr=subprocess.DEVNULL,
    )
    measured = coverage.Coverage()
    measured.load()
    results = {"all": measured.report() >= OVERALL}
    results |= {part: is_covered(measured, part, gate) for part, gate in GATES.items()}
    failed = [part for part, held in results.items() if not held]
    print(
        f"coverage gates: {', '.join(failed)} below the gate" if failed else "coverage gates hold"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    sys.exit(main())
