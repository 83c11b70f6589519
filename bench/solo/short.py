"""The benchmarks of this server alone in their short forms, one after the other: three minutes.

Slow is not a failure; a wrong result is, or a benchmark that could not run.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

SHORT_FORMS: dict[str, str] = {
    "runtime": "runtime --short",
    "group": "load --scenario session --duration 10",
    "thousand": "load --scenario thousand --duration 10",
    "rest": "rest --seconds 5",
    "start": "start --repeat 2",
    "crash": "crash --every 0.02",
}


LONG_FORMS: dict[str, str] = {
    "beside": "beside",
    "deflate": "deflate",
    "dialects": "dialects",
    "flush": "flush",
    "rows": "rows",
}
"""Only when they are named: they take minutes, need a C compiler or other servers, or measure what
this server decided against.
"""


def run_one(name: str, flags: Sequence[str]) -> int:
    """Run one with flags of its own. Returns its exit status."""
    module = (SHORT_FORMS | LONG_FORMS)[name].split()[0]
    command = [sys.executable, "-m", f"bench.solo.{module}", *flags]
    return subprocess.run(command, check=False).returncode


def run(names: Sequence[str]) -> int:
    """Run them, all short ones when none is named. Returns the exit status."""
    chosen = list(names) or list(SHORT_FORMS)
    failed = []
    for number, name in enumerate(chosen, 1):
        module, *arguments = (SHORT_FORMS | LONG_FORMS)[name].split()
        command = ["-m", f"bench.solo.{module}", *arguments]
        print(f"\n=== {number} of {len(chosen)}: python {' '.join(command)}", flush=True)
        began = time.monotonic()
        status = subprocess.run([sys.executable, *command], check=False).returncode
        print(f"--- {time.monotonic() - began:.0f} s", flush=True)
        if status:
            failed.append(name)
    print(f"\n{', '.join(failed)} failed" if failed else "\nall ran", flush=True)
    return 1 if failed else 0
