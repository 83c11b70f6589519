"""The official client of Phoenix Channels, from npm, in a process of node."""

import json
import time
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from tests.line_process import END, LineProcess
from tests.node import NODE
from tests.running import LAST_RESORT_S

CLIENT = Path(__file__).with_suffix(".mjs")


class OfficialClient:
    """One client, which joins ``topic``. ``address`` is without ``/websocket``, which it adds.
    ``options``: ``vsn``, ``firstRef`` (where it begins to count), ``tokenInHeader``.
    """

    def __init__(
        self, modules: Path, address: str, token: str, topic: str, **options: object
    ) -> None:
        command = [NODE, str(CLIENT), address, token, topic, json.dumps(options)]
        self._process = LineProcess(command, modules)

    def hears(self, what: str) -> list[Any]:
        """The next thing of this kind."""
        deadline = time.monotonic() + LAST_RESORT_S
        seen: list[Any] = []
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._process.line(left)
            except Empty:
                break
            if line == END:
                break
            seen.append(json.loads(line))
            if seen[-1][0] == what:
                found: list[Any] = seen[-1]
                return found
        pytest.fail(f"the official client never said {what!r}, only {seen}")

    def push(self, *what: Any) -> None:
        """A line for the client (official_phoenix.mjs)."""
        self._process.send(json.dumps(what))

    def close(self) -> None:
        """Disconnect and end."""
        self._process.close()
