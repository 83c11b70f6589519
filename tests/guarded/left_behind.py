"""Not collected with the others: tests/bench/test_guardian.py runs it and kills the run.

It starts one of everything that a test may start, says what, and waits for its end.
"""

import os
import subprocess
import sys
from pathlib import Path

import trio

from bench.guardian import entrust
from tests.browser import chromium_or_skip
from tests.postgres import running_server
from tests.program import data_directory, running_program

CHILD = "import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'input()'], \
stdin=subprocess.PIPE); print(flush=True); time.sleep(1000)"


def test_that_is_never_done() -> None:
    nothing: dict[str, str] = {}
    with (
        data_directory() as folder,
        running_program({"LOCSHARE_DATA_DIR": str(folder)}) as program,
        running_server() as database,
        chromium_or_skip() as browser,
        entrust(
            subprocess.Popen(
                [sys.executable, "-c", CHILD],
                env=nothing,  # it bears no mark, as whatever writes its title over its environment
                start_new_session=True,
                stdout=subprocess.PIPE,
            )
        ) as unmarked,
    ):
        assert unmarked.stdout is not None
        assert unmarked.stdout.readline() == b"\n"
        assert browser.is_connected()
        report = Path(os.environ["LEFT_BEHIND"])
        lines = [os.getpid(), program.pid, database.pid, unmarked.pid, folder]
        partial = report.with_suffix(".partial")
        partial.write_text("\n".join(map(str, lines)))
        partial.rename(report)
        trio.run(trio.sleep_forever)
