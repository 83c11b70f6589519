"""Every benchmark in its short form, one after the other: about three minutes.

    python -m bench            # all
    python -m bench group join # some

For figures worth writing down run the long forms one by one on a quiet machine: docs/performance.md
names them. The exit status is 1 when one of them found something wrong or could not run; slow is
not wrong.
"""

import argparse
import subprocess
import sys
import time

SHORT_FORMS = {
    "runtime": "runtime --short",
    "bridge": "bridge",
    "group": "load --scenario session --duration 10",
    "thousand": "load --scenario thousand --duration 10",
    "join": "join --seconds 5",
    "start": "start --repeat 2",
    "crash": "crash --every 0.02",
}


def main() -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="the benchmarks in their short forms"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHORT_FORMS))
    names = parser.parse_args().names or list(SHORT_FORMS)
    if unknown := [name for name in names if name not in SHORT_FORMS]:
        parser.error(f"no benchmark is called {unknown[0]}; there are {', '.join(SHORT_FORMS)}")
    failed = []
    for number, name in enumerate(names, 1):
        module, *arguments = SHORT_FORMS[name].split()
        command = ["-m", f"bench.solo.{module}", *arguments]
        print(f"\n=== {number} of {len(names)}: python {' '.join(command)}", flush=True)
        began = time.monotonic()
        status = subprocess.run([sys.executable, *command], check=False).returncode
        print(f"--- {time.monotonic() - began:.0f} s", flush=True)
        if status:
            failed.append(name)
    print(f"\n{', '.join(failed)} failed" if failed else "\nall ran", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
