"""Fail when a part of the program is covered less than its gate."""

import subprocess
import sys

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


def covered(*arguments: str) -> bool:
    """Print one coverage report; true when its gate holds."""
    command = [sys.executable, "-m", "coverage", "report", *arguments]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Combine what subprocesses left, then check each gate."""
    subprocess.run(
        [sys.executable, "-m", "coverage", "combine", "--append", "--quiet"],
        check=False,
        stderr=subprocess.DEVNULL,
    )
    results = {"all": covered(f"--fail-under={OVERALL}")}
    for part, gate in GATES.items():
        results[part] = covered(
            f"--include=src/locshare/{part}/*,src/locshare/{part}.py",
            f"--fail-under={gate}",
            "--format=total",
        )
    failed = [part for part, held in results.items() if not held]
    print(
        f"coverage gates: {', '.join(failed)} below the gate" if failed else "coverage gates hold"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
