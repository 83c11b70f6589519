"""A program that a test talks to in lines: a client of others, in its own language."""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Queue

from bench.guardian import entrust
from tests.running import LAST_RESORT_S

END = "END"
"""After the last line."""


class LineProcess:
    """Runs ``command``; ``modules`` is for a program of node that has packages. Whoever made it
    calls :meth:`close`.
    """

    def __init__(self, command: Sequence[str], modules: Path) -> None:
        self._process = entrust(
            subprocess.Popen(
                command,
                env={"MODULES": str(modules), "PATH": "/usr/local/bin:/usr/bin:/bin"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(END)

    def line(self, timeout: float = LAST_RESORT_S) -> str:
        """The next line that it wrote. Raises queue.Empty."""
        return self._lines.get(timeout=timeout)

    def send(self, line: str) -> None:
        """A line for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End its input, and it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(LAST_RESORT_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()
