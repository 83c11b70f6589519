"""What a server says of itself: errors in its log, crashes, and what it holds."""

import json
import re
import time
from typing import Any, NamedTuple

import httpx

from bench.procfs import PROC, resident_bytes
from bench.servers import wait_until
from tests.fuzz.sockets import ANSWER_S, Busy, Fault
from tests.fuzz.world import World

LOG_S = 0.2
"""How long a line of the log may take to get here."""
CRASHES = re.compile(r"^locshare_\w*crashes_total(?:{.*})? (\S+)$", re.MULTILINE)
HELD = re.compile(
    r"^locshare_(?:connections|handshakes|http_connections|port_waiting|connections_blocked"
    r"|backlog_bytes) (\S+)$",
    re.MULTILINE,
)
BLOCKS = re.compile(r"^python_allocated_blocks (\S+)$", re.MULTILINE)


class Holding(NamedTuple):
    """What the server holds when nobody is connected: it must not grow."""

    files: int
    threads: int
    actors: int
    blocks: int
    """Of memory, that Python's objects take."""
    resident: int
    """Bytes."""

    def __str__(self) -> str:
        return (
            f"{self.files} files, {self.threads} threads, {self.actors} actors, "
            f"{self.blocks:,} blocks, {self.resident / 1e6:.1f} MB"
        )


class Health:
    """Of the server of ``world``."""

    def __init__(self, world: World) -> None:
        self._program = world.program
        self._url = "http://" + world.program.environment["LOCSHARE_INTERNAL_BIND"]

    def check(self) -> None:
        """It runs, has logged no error, and has written nothing but its log."""
        log, raw = self._program.log, self._program.raw
        lines, entries = raw[:], log[:]
        del raw[: len(lines)], log[: len(entries)]
        if not self._program.running:
            raise Fault("the server has ended:\n" + "".join(lines[-60:]))
        errors = [entry for entry in entries if entry.get("level") in ("error", "critical")]
        if errors:
            is_slow = all(entry["event"] == "database_away" for entry in errors)
            raise (Busy if is_slow else Fault)(f"the log: {json.dumps(errors[:3], indent=1)}")
        other = [line for line in lines if not line.startswith("{")]
        if other:
            raise Fault("the server has written " + "".join(other[:60]))

    def forget(self) -> None:
        """What the log says, or will have said in a moment, of what was found already."""
        time.sleep(LOG_S)
        self._program.log.clear()
        self._program.raw.clear()

    def idle(self) -> Holding:
        """Once nobody is connected any more. Raises Fault when something stays."""
        self.check()
        try:
            wait_until(self._is_idle, ANSWER_S, "the server did not let go of all connections")
        except Exception as error:
            raise Fault(f"{error}: {self._metrics(HELD)}") from error
        crashes = sum(self._metrics(CRASHES))
        if crashes:
            raise Fault(f"{crashes:.0f} crashes")
        pid = self._program.pid
        tree = httpx.get(f"{self._url}/debug/tree?limit=10000", timeout=ANSWER_S).json()
        folder = PROC / str(pid)
        return Holding(
            len(list((folder / "fd").iterdir())),
            len(list((folder / "task").iterdir())),
            _count(tree),
            int(self._metrics(BLOCKS)[0]),
            resident_bytes(pid) or 0,
        )

    def _is_idle(self) -> bool:
        return not any(self._metrics(HELD))

    def _metrics(self, pattern: re.Pattern[str]) -> list[float]:
        text = httpx.get(f"{self._url}/metrics", timeout=ANSWER_S).text
        return [float(value) for value in pattern.findall(text)]


def _count(tree: Any) -> int:
    """The actors and tasks of a tree, but for sessions, which come and go."""
    if isinstance(tree, list):
        return sum(map(_count, tree))
    if not isinstance(tree, dict):
        return 0
    mine = 1 if "path" in tree and "sessions/" not in tree["path"] else 0
    return mine + sum(_count(value) for value in tree.values())
