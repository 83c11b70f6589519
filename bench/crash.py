"""What a crash of a session costs the people in it.

``python -m bench.crash``: 50 people in one session of the real server (bench.crashing), an update
each every 2 s, over real sockets. Twice the same: undisturbed, and while the session's actor is
crashed 1,000 times, every 20 ms. Told are the latency of the updates that arrived, those that did
not, closed connections, and the recovery: from the message that crashed the actor to the next
incarnation's answer to a caller who waited for it.

An update may be lost to a crash only if it *is* the message that crashed it, and none is.
Exit status 1 when an update was lost or a connection closed.
"""

import os
import signal
import sys
import time

from bench.crashing import CRASHES, EVERY_S
from bench.crowd import Crowd, Load
from bench.figures import circumstances, summary, table
from bench.frames import clock_us
from bench.serving import Server, data_directory

ROUND = Load(sessions=1, size=50, duration_s=CRASHES * EVERY_S * 1.3)


class CrashingServer(Server):
    """bench.crashing as a subprocess."""

    module = ("bench.crashing",)


def run_round(server: Server, load: Load, crash: bool) -> tuple[Crowd, dict[str, float]]:
    """One session from its creation to its end. Returns the crowd and the latencies (ms)."""
    ((session, tokens),) = server.fill(1, load.size)
    crowd = Crowd(load, server.ws_port, tokens)
    try:
        crowd.connect()
        crowd.send_for(load.interval_s)
        crowd.tally.counted_from_us = clock_us(time.monotonic())
        if crash:
            os.kill(server.pid, signal.SIGUSR1)
        crowd.send_for(load.duration_s)
        crowd.drain()
        latency = summary(crowd.tally.latencies)
        server.end(session)
        crowd.leave()
    finally:
        crowd.close()
    time.sleep(0.5)
    return crowd, latency


def main() -> int:
    """Run both rounds and print the table."""
    latencies: dict[str, dict[str, float]] = {}
    counts: list[str] = []
    harmed = 0
    with data_directory() as folder:
        server = CrashingServer(folder)
        server.start()
        try:
            for name, crash in (("undisturbed", False), (f"{CRASHES} crashes", True)):
                print(f"{name}: {ROUND.size} people, {ROUND.duration_s:g} s", file=sys.stderr)
                crowd, latencies[name] = run_round(server, ROUND, crash)
                tally = crowd.tally
                counts.append(
                    f"{name}: {tally.delivered} of {crowd.expected} updates arrived, "
                    f"{tally.closed} connections closed"
                )
                harmed += crowd.expected - tally.delivered + tally.closed
        finally:
            server.stop()
    figures = server.entries.get("crash_figures", {})
    latencies["recovery"] = {key: figures.get(key, 0.0) for key in ("p50", "p95", "p99", "max")}
    print(circumstances(), *table(latencies), *counts, sep="\n")
    return 1 if harmed or figures.get("crashes") != CRASHES else 0


if __name__ == "__main__":
    sys.exit(main())
