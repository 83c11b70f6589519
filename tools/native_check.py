"""The compiled send loop under AddressSanitizer, then under valgrind where that is installed.

    python -m tools.native_check
    python -m tools.native_check --examples 2000

Runs tests/broadcast/test_fan.py, its fuzz included, against a module that is built for the purpose.
The exit status is not 0 when a test fails or either of the two finds something in the module.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = (
    "-m",
    "pytest",
    "-q",
    "-n",
    "0",
    "-p",
    "no:cacheprovider",
    "tests/broadcast/test_fan.py",
)


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run the tests with ``command`` before them."""
    return subprocess.run(
        [*command, sys.executable, *TESTS], cwd=ROOT, env=os.environ | environment, check=False
    ).returncode


def sanitized(examples: int) -> bool:
    """Under AddressSanitizer and UndefinedBehaviorSanitizer."""
    print("AddressSanitizer:", flush=True)
    library = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return not run(
        [],
        {
            "LD_PRELOAD": library,
            # Python itself frees little at its end; a test counts the references of the module.
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
            "PYTHONMALLOC": "malloc",
            "NATIVE_CHECK_FLAGS": "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all",
            "NATIVE_CHECK_EXAMPLES": str(examples),
        },
    )


def watched(examples: int) -> bool:
    """Under valgrind: nothing that it finds may have a frame of the module."""
    print("valgrind:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        status = run(
            ["valgrind", "--num-callers=20", f"--log-file={report}"],
            {
                "PYTHONMALLOC": "malloc",
                "NATIVE_CHECK_FLAGS": "-O1 -g",
                "NATIVE_CHECK_EXAMPLES": str(examples),
            },
        )
        blocks = re.split(r"(?m)^==\d+== *\n", report.read_text())
    found = [block for block in blocks if "_native" in block and " at 0x" in block]
    print("".join(found) or "nothing of the module's")
    return not status and not found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=300, help="of the fuzz")
    options = parser.parse_args()
    passed = sanitized(options.examples)
    if shutil.which("valgrind"):
        passed = watched(options.examples // 10) and passed
    else:
        print("valgrind is not installed: skipped")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
