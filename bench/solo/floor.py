"""The real program beside servers of its shape that only hand on (:mod:`bench.solo.bare`).

    python -m bench.solo.floor
    python -m bench.solo.floor --sessions 1000 --size 8 --rounds 3

What a connection's task, a session's task and a way between them cost on Trio, without anything
that makes it a product, is what no work on the real program can go below. The three take turns,
each with a process of its own; a row is the cheapest of its rounds. A flush window would compare
two things at once: run it with a load at which the real program has none.
"""

import argparse
import gc
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.figures import Clocks, Shares, circumstances, summary
from bench.guardian import entrust
from bench.serving import HOST, NotServing, free_port, own_cores, running_server
from bench.solo.bare import SHAPES
from bench.solo.crowd import PATIENCE_S, Crowd, Load
from bench.solo.frames import clock_us
from bench.solo.load import allow_files

REAL = "locshare"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one server in one round."""

    latency_ms: dict[str, float]
    us_per_delivery: float | None
    shares: Shares
    lost: int


@contextmanager
def real(load: Load) -> Iterator[tuple[int, int, list[str]]]:
    """The real program: its process, its port, a token for everyone."""
    environment = {"LOCSHARE_MAX_PARTICIPANTS": str(max(load.size, 2))}
    with running_server(environment, pin=True) as server:
        filled = server.fill(load.sessions, load.size)
        server.hang_up()
        yield server.pid, server.ws_port, [token for _, tokens in filled for token in tokens]


@contextmanager
def bare(load: Load, shape: str) -> Iterator[tuple[int, int, list[str]]]:
    """The same of a bare server. Raises NotServing."""
    port = free_port()
    command = [sys.executable, "-m", "bench.solo.bare", str(port), "--shape", shape]
    with own_cores(pin=True) as apart:
        process = entrust(subprocess.Popen(command))
        try:
            apart(())
            _wait_for(port, process)
            tokens = [f"s{n}.{m}" for n in range(load.sessions) for m in range(load.size)]
            yield process.pid, port, tokens
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotServing("the bare server did not start") from None
            time.sleep(0.05)
        else:
            return


def measure(load: Load, pid: int, port: int, tokens: Sequence[str]) -> Figures:
    """Connect everyone, let them send for an interval, and then for as long as is counted."""
    crowd = Crowd(load, port, tokens)
    gc.collect()
    gc.disable()
    try:
        crowd.connect()
        crowd.send_for(load.interval_s)
        crowd.tally.counted_from_us = clock_us(time.monotonic())
        delivered = crowd.delivered
        clocks = Clocks(pid)
        crowd.send_for(load.duration_s)
        shares = clocks.shares()
        delivered = crowd.delivered - delivered
        crowd.drain()
    finally:
        gc.enable()
        crowd.close()
    cost = None
    if shares.server is not None and delivered:
        cost = round(shares.server * shares.wall / delivered * 1e6, 2)
    lost = crowd.expected - crowd.delivered
    return Figures(summary(crowd.tally.latencies), cost, shares, lost)


def run(load: Load, rounds: int, say: Callable[[str], None]) -> dict[str, list[Figures]]:
    """By server, one for each round. Raises NotServing."""
    allow_files(load.people)
    found: dict[str, list[Figures]] = {name: [] for name in (REAL, *SHAPES)}
    for number in range(1, rounds + 1):
        for name, figures in found.items():
            say(f"round {number} of {rounds}: {name}")
            with real(load) if name == REAL else bare(load, name) as (pid, port, tokens):
                figures.append(measure(load, pid, port, tokens))
    return found


def report(load: Load, found: dict[str, list[Figures]]) -> str:
    """For people."""
    what = f"{load.sessions} sessions of {load.size}, an update each every {load.interval_s:g} s"
    lines = [
        f"{what}, for {load.duration_s:g} s",
        circumstances(),
        "",
        f"{'':<12}{'µs per delivery':>17}{'core':>8}{'p50 ms':>9}{'p95 ms':>9}{'lost':>7}",
    ]
    warnings: list[str] = []
    for name, rounds in found.items():
        best = min(rounds, key=lambda each: each.us_per_delivery or float("inf"))
        core = best.shares.server
        lines.append(
            f"{name:<12}{best.us_per_delivery or 0:>17.2f}{0 if core is None else core:>8.1%}"
            f"{best.latency_ms['p50']:>9.2f}{best.latency_ms['p95']:>9.2f}"
            f"{sum(each.lost for each in rounds):>7}"
        )
        warnings += [warning for each in rounds for warning in each.shares.warnings()]
    return "\n".join([*lines, *warnings])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status: 1 when something was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.floor", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--size", type=int, default=8, help="people in a session")
    parser.add_argument("--interval", type=float, default=2.0, metavar="S")
    parser.add_argument("--duration", type=float, default=15.0, metavar="S")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args(arguments)
    load = Load(options.sessions, options.size, options.interval, options.duration)
    try:
        found = run(load, options.rounds, lambda text: print(f"... {text}", file=sys.stderr))
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    print(report(load, found))
    return 1 if any(each.lost for rounds in found.values() for each in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
