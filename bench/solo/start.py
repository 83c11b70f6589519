"""The time from start to ready, and from Ctrl-C to exit.

    python -m bench.solo.start --repeat 5

Each repetition starts the program twice with one data directory: the first start creates the
database cluster, the second is the usual case. *Ready* is from the fork to the log line ``ready``,
interpreter and imports included; *less database* excludes the database's own start, which the log
states. *Gone* is from SIGINT to the end of the process, after which no process that it had started
may be left (looked up in /proc).

The exit status is 1 when one was left.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from bench.errors import NotServing
from bench.procfs import circumstances, descendants, started
from bench.servers import Server, data_directory
from bench.stats import summary, table

GONE_S = 0.5
"""Time limit for the system to reap an ended process."""


@dataclass
class Starts:
    """Seconds of every repetition. ``helpers`` counts the processes that the program had started,
    ``left`` those of them that outlived it.
    """

    ready: list[float] = field(default_factory=list)
    without_database: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    helpers: int = 0
    left: int = 0


def once(server: Server, starts: Starts) -> None:
    """Start, stop, look for left-over processes. Raises NotServing."""
    ready = server.start()
    starts.ready.append(ready)
    database = server.logged("embedded_postgres_started") or {}
    starts.without_database.append(ready - database.get("seconds", 0.0))
    server.metrics()  # it does answer
    family = descendants(server.pid)
    starts.helpers += len(family)
    starts.gone.append(server.stop(signal.SIGINT))
    deadline = time.monotonic() + GONE_S
    while left := [pid for pid, began in family.items() if began and started(pid) == began]:
        if time.monotonic() > deadline:
            starts.left += len(left)
            break
        time.sleep(0.01)


def run(repeat: int, say: Callable[[str], None]) -> dict[str, Starts]:
    """Both kinds of start, ``repeat`` times. Raises NotServing."""
    kinds = {"first": Starts(), "second": Starts()}
    for number in range(repeat):
        say(f"repetition {number + 1} of {repeat}")
        with data_directory() as folder:
            server = Server(folder)
            try:
                for starts in kinds.values():
                    once(server, starts)
            finally:
                if server.running:
                    server.kill()
    return kinds


def report(kinds: dict[str, Starts]) -> str:
    rows = {}
    for name, starts in kinds.items():
        rows[f"{name}: ready"] = summary(starts.ready)
        rows[f"{name}: less database"] = summary(starts.without_database)
        rows[f"{name}: gone"] = summary(starts.gone)
    helpers = sum(starts.helpers for starts in kinds.values())
    left = sum(starts.left for starts in kinds.values())
    last = f"processes that the program had started: {helpers}, left of them: {left}"
    return "\n".join([circumstances(), "", *table(rows), "", last])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.start", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    try:
        kinds = run(options.repeat, lambda text: print(f"... {text}", file=sys.stderr, flush=True))
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({name: asdict(starts) for name, starts in kinds.items()}))
    else:
        print(report(kinds))
    return 1 if any(starts.left for starts in kinds.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
