"""Where the machine can have everything that a test needs, a skipped test is a failed one.

It can for root on a system with apt: `make test` has installed the packages
(tools/ensure_packages.sh). In CI (the variable `CI`) it must. Elsewhere the end of the run says how
many tests were skipped, and how to have them run. What only another kernel would have is skipped
with a reason that begins with KERNEL.
"""

import os
import shutil
from typing import Final

import pytest

KERNEL: Final = "this kernel"
HELP: Final = "`sh tools/ensure_packages.sh` installs it, or says what to install"


def is_complete() -> bool:
    """Whether this machine can have everything."""
    return bool(os.environ.get("CI")) or (
        hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None
    )


def judge(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    """Make a failure of a skip that need not be."""
    if not report.skipped or hasattr(report, "wasxfail") or config.getoption("--allow-skips"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not is_complete() or reason.startswith(KERNEL):
        return
    report.outcome = "failed"
    report.longrepr = (
        f"Skipped, where it could run: {reason}.\n{HELP};"
        " where that cannot be, `make test ARGS=--allow-skips`."
    )


def summarize(terminal: pytest.TerminalReporter) -> None:
    """Say at the end that not everything was tested."""
    skipped = len(terminal.stats.get("skipped", ()))
    if skipped:
        tests = "1 test was" if skipped == 1 else f"{skipped} tests were"
        terminal.write_line(f"{tests} skipped, for the reasons above; {HELP}.", yellow=True)
