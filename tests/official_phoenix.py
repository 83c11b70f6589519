"""The official client of Phoenix Channels, from npm, in a process of node."""

import json
import subprocess
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from bench.guardian import entrust
from tests.node import NODE, NPM
from tests.running import LAST_RESORT_S

CLIENT = Path(__file__).with_suffix(".mjs")
PACKAGES = "phoenix@1.8.16", "ws@8.23.0"


def installed_modules(folder: Path) -> Path:
    """``folder`` with the official client in it; the test is skipped where there is no registry."""
    done = subprocess.run(
        [*NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES],
        cwd=folder, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm cannot install {' '.join(PACKAGES)}: {done.stderr[-200:]}")
    return folder


class OfficialClient:
    """One client, which joins ``topic``. ``address`` is without ``/websocket``, which it adds.
    ``options``: ``vsn``, ``firstRef`` (where it begins to count), ``tokenInHeader``.
    """

    def __init__(
        self, modules: Path, address: str, token: str, topic: str, **options: object
    ) -> None:
        self._process = entrust(
            subprocess.Popen(
                [NODE, str(CLIENT), address, token, topic, json.dumps(options)],
                env={"MODULES": str(modules), "PATH": "/usr/local/bin:/usr/bin:/bin"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._said: Queue[list[Any]] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))

    def hears(self, what: str) -> list[Any]:
        """The next thing of this kind."""
        deadline = time.monotonic() + LAST_RESORT_S
        seen = []
        while (left := deadline - time.monotonic()) > 0:
            try:
                seen.append(self._said.get(timeout=left))
            except Empty:
                break
            if seen[-1][0] == what:
                return seen[-1]
        pytest.fail(f"the official client never said {what!r}, only {seen}")

    def push(self, *what: Any) -> None:
        """A line for the client (official_phoenix.mjs)."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Disconnect and end."""
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
