"""What it costs to receive, by four ways, in one run: the server's own transport, every byte
through `websockets`' protocol object, the same with `wsproto`, and trio-websocket's own connection.

    python -m bench.solo.receive          # 20 sessions of 50: two and a half minutes
    python -m bench.solo.receive --full   # and 100 sessions of 100: six in all
    python -m bench.solo.receive --short  # once, for a few seconds

The real program serves each time, with its sessions, limits and broadcast
(:mod:`bench.solo.transports`); its flush window stands at 250 ms, so that a dearer way shows in the
processor's time and not in a wider window. The four servers live side by side and have the first
core; one at a time is under load, from the generator on the other core. Their rounds take turns; a
figure is that of the best round. The two costs are the server's whole processor time, broadcast
included, divided by the updates that were delivered and by those that came in; what an idle
connection holds is looked at once, when everybody has connected for the first time.

Standard output is the tables as they stand in docs/performance.md. The exit status is 1 when a
delivery was lost or a connection closed.
"""

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from bench.figures import Clocks, Shares, circumstances, percent, percentile, resident_bytes
from bench.serving import NotServing, Server, data_directory, own_cores
from bench.solo.crowd import PATIENCE_S, Crowd, Load
from bench.solo.frames import clock_us
from bench.solo.load import allow_files
from bench.solo.rounds import Figures, best, take_turns
from bench.solo.transports.serve import WAYS, WINDOW_S

HEAD = (
    "| {sessions} sessions of {size} | core | µs per delivery | µs per message in | p50 / p95 ms "
    "| KiB per idle connection |"
)
RULE = "|---|---|---|---|---|---|"

GROUPS = Load(20, 50, duration_s=6, connect_per_s=1000)
FULL = Load(100, 100, duration_s=8, sample=20, connect_per_s=1000)
SHORT = Load(4, 25, duration_s=2, connect_per_s=1000)
ROUNDS = 3


class WayServer(Server):
    """The program with one way to receive."""

    def __init__(self, way: str, data_dir: Path, environment: Mapping[str, str]) -> None:
        super().__init__(data_dir, environment)
        self.module = ("bench.solo.transports.serve", way)


@dataclass
class Contender:
    """One way's server, the people who joined its sessions, and what was found besides figures."""

    server: Server
    load: Load
    tokens: list[str]
    idle_bytes: float | None = None
    wrong: int = 0
    shares: list[Shares] = field(default_factory=list)

    def one_round(self) -> Figures:
        """Everyone connects, sends for a while, and is gone. Share of a core, µs per delivery, µs
        per message, p50 and p95 in ms. Raises NotServing.
        """
        load = self.load
        before = resident_bytes(self.server.pid)
        crowd = Crowd(load, self.server.ws_port, self.tokens)
        try:
            crowd.connect()
            if self.idle_bytes is None and before is not None:
                after = resident_bytes(self.server.pid)
                self.idle_bytes = ((after or before) - before) / load.people
            crowd.send_for(load.interval_s)
            latencies, tally = crowd.tally.latencies, crowd.tally
            tally.counted_from_us = clock_us(time.monotonic())
            sent, delivered = crowd.sent, tally.delivered
            clocks = Clocks(self.server.pid)
            crowd.send_for(load.duration_s)
            shares = clocks.shares()
            sent, delivered = crowd.sent - sent, tally.delivered - delivered
            crowd.drain()
            self.wrong += crowd.expected - tally.delivered + tally.errors + tally.closed
        finally:
            crowd.close()
        self._wait_until_gone()
        self.shares.append(shares)
        ordered = sorted(latencies)
        used = float("nan") if shares.server is None else shares.server * shares.wall
        return (
            used / shares.wall,
            used / delivered * 1e6,
            used / sent * 1e6,
            percentile(ordered, 0.5) * 1e3,
            percentile(ordered, 0.95) * 1e3,
        )

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while left := self.server.metrics()["locshare_connections"]:
            if time.monotonic() > deadline:
                raise NotServing(f"{left:g} connections did not end")
            time.sleep(0.05)


@contextmanager
def contenders(load: Load) -> Iterator[dict[str, Contender]]:
    """A server for each way, with everyone joined. Raises NotServing."""
    environment = {"LOCSHARE_MAX_PARTICIPANTS": str(load.size)}
    with ExitStack() as stack:
        apart = stack.enter_context(own_cores(True))
        servers = {}
        for way in WAYS:
            say(f"{way}: the server starts")
            folder = stack.enter_context(data_directory())
            servers[way] = server = WayServer(way, folder, environment)
            stack.callback(_end, server)
            server.start()
        apart(())
        found = {}
        for way, server in servers.items():
            say(f"{way}: {load.people} people join")
            filled = server.fill(load.sessions, load.size)
            tokens = [token for _, tokens in filled for token in tokens]
            found[way] = Contender(server, load, tokens)
        yield found


def _end(server: Server) -> None:
    if server.running:
        server.stop()


def compare(load: Load, rounds: int) -> tuple[list[str], list[str], bool]:
    """Measure under one load. Returns the table, what disturbed, and whether all was right."""
    allow_files(load.people)
    with contenders(load) as them:

        async def one_round(way: str) -> Figures:
            say(f"{way}: a round of {load.duration_s:g} s")
            return them[way].one_round()

        # The objects of thousands of people would be searched in the midst of a round.
        gc.disable()
        try:
            found = trio.run(take_turns, rounds, {way: partial(one_round, way) for way in them})
        finally:
            gc.enable()
    lines = [HEAD.format(sessions=load.sessions, size=load.size), RULE]
    lines += [_line(way, best(found[way]), them[way].idle_bytes) for way in them]
    warnings = {
        text for each in them.values() for shares in each.shares for text in shares.warnings()
    }
    others = max(shares.others or 0 for each in them.values() for shares in each.shares)
    generator = max(shares.generator or 0 for each in them.values() for shares in each.shares)
    notes = [f"at most: generator {percent(generator)} of a core, others {percent(others)}"]
    return lines, [*notes, *sorted(warnings)], not any(each.wrong for each in them.values())


def _line(way: str, figures: Figures, idle_bytes: float | None) -> str:
    core, delivery, message, p50, p95 = figures
    idle = "?" if idle_bytes is None else f"{idle_bytes / 1024:.1f}"
    cells = (
        way, f"{core:.1%}", f"{delivery:.2f}", f"{message:.1f}", f"{p50:.0f} / {p95:.0f}", idle,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def say(text: str) -> None:
    """Progress, for people."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.receive", description="what it costs to receive, by four ways"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="100 sessions of 100 too")
    size.add_argument("--short", action="store_true", help="one small, short round: no figures")
    options = parser.parse_args(arguments)
    plan = [(SHORT, 1)] if options.short else [(GROUPS, ROUNDS)]
    if options.full:
        plan.append((FULL, 1))
    print(f"{circumstances()}; flush window {WINDOW_S * 1e3:.0f} ms", file=sys.stderr)
    all_right = True
    try:
        for load, rounds in plan:
            lines, notes, right = compare(load, rounds)
            print(*lines, "", sep="\n", flush=True)
            print(*notes, sep="\n", file=sys.stderr, flush=True)
            all_right = all_right and right
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    if not all_right:
        print("deliveries were lost or connections closed: these figures are void", file=sys.stderr)
    return 0 if all_right else 1


if __name__ == "__main__":
    sys.exit(main())
