"""The server withstands what libFuzzer makes of the same examples (`make fuzz-guided`)."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]

if sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 14):
    # Where there are wheels of atheris.
    def test_no_input_that_reaches_new_code_is_a_failure(tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", "--runs=100", "--seed=1",
             f"--findings={tmp_path}"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=2 * LAST_RESORT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        assert "Done 100 runs" in done.stderr
