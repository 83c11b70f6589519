"""Latency and cost of positions in one session, twenty, or a hundred.

    python -m bench.solo.load --scenario thousand
    python -m bench.solo.load --sessions 20 --size 50 --interval 2 --duration 60 --waves 2

Starts the real server, creates and joins sessions over REST, connects all participants, and lets
each send a position every interval, evenly spread. Then the hosts end the sessions, and the
server's memory is read again. ``--waves 2`` does that twice with one server: a leak of the first
wave would show in the second.

Latency is from just before the sender's ``send`` to just after the receiver's ``recv``, of every
delivery (with ``--sample K`` of every Kth) sent after the first interval. The generator's own work
is included: all receivers of a flush become readable at once and are read one after the other;
*sweep* is the time to read all ready sockets. Every update is expected once by each other person of
its session. *Repeated* arrived twice or after a newer one, *foreign* belongs to another session,
*unreadable* has no sender; all of these, and *lost*, must be 0, or the exit status is 1.

With two cores or more the server and its database have one, the generator another. A generator
above 85 % of its core measures itself; *others* is the CPU of all other processes, the database
included, and above 40 % disturbs. Both cause a warning.
"""

import argparse
import gc
import json
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bench.errors import NotServing
from bench.procfs import Clocks, Shares, circumstances
from bench.servers import Memory, Server, allow_connections, people, running_server
from bench.solo.codecs import CODECS
from bench.solo.crowd import TIMEOUT_S, Crowd, Load, tickets_of
from bench.solo.frames import clock_us
from bench.stats import summary, table

SETTLE_S = 1.0

SCENARIOS = {
    "session": Load(1, 50, duration_s=20),
    "thousand": Load(20, 50, duration_s=60),
    "full": Load(100, 100, duration_s=15, sample=20),
}


@dataclass
class Wave:
    """One wave's figures; None where the system does not tell."""

    join_s: float
    connect_ms: dict[str, float]
    latency_ms: dict[str, float]
    sent: int
    expected: int
    delivered: int
    lost: int
    repeated: int
    foreign: int
    unreadable: int
    errors: int
    closed: int
    deliveries_per_s: float
    bytes_per_delivery: float | None
    """To the receiver, with frame headers and everything else that came with positions."""
    server_us_per_delivery: float | None
    shares: Shares
    sweep_ms: dict[str, float]
    memory: dict[str, Memory]

    @property
    def complete(self) -> bool:
        """True when every update arrived once, at the right people."""
        wrong = self.lost, self.repeated, self.foreign, self.unreadable, self.errors, self.closed
        return not any(wrong)


def run_wave(server: Server, load: Load, say: Callable[[str], None]) -> Wave:
    """From the first join to the last close. Raises NotServing."""
    memory = {"start": server.memory()}
    say(f"{load.people} people join {load.sessions} sessions")
    began = time.monotonic()
    with server.rest() as rest:
        rooms = rest.fill([people(load.size)] * load.sessions)
    join_s = time.monotonic() - began
    crowd = Crowd(load, server.ws_port, tickets_of(rooms))
    counters = crowd.counters
    gc.collect()  # what the joins left; it would else stay, because the collector is disabled
    try:
        say("connecting")
        crowd.connect()
        memory["joined"] = server.memory()
        say(f"each sends every {load.interval_s:g} s for {load.duration_s:g} s")
        crowd.send_for(load.interval_s)
        counters.counted_from_us = clock_us(time.monotonic())
        counters.sweeps = array("d")
        delivered, received = counters.delivered, counters.received_bytes
        clocks = Clocks(server.pid)
        crowd.send_for(load.duration_s)
        shares = clocks.shares()
        delivered = counters.delivered - delivered
        received = counters.received_bytes - received
        sweeps = summary(counters.sweeps)
        crowd.drain()
        memory["loaded"] = server.memory()
        say("ending the sessions")
        with server.rest() as rest:
            rest.each(rest.end, [room.session for room in rooms])
        crowd.leave()
    finally:
        crowd.close()
    _wait_until_empty(server)
    memory["left"] = server.memory()
    return Wave(
        join_s=round(join_s, 3),
        connect_ms=summary(crowd.connect_s),
        latency_ms=summary(counters.latencies),
        sent=crowd.sent,
        expected=crowd.expected,
        delivered=counters.delivered,
        lost=crowd.expected - counters.delivered,
        repeated=counters.repeated,
        foreign=counters.foreign,
        unreadable=counters.unreadable,
        errors=counters.errors,
        closed=counters.closed,
        deliveries_per_s=round(delivered / shares.wall, 1),
        bytes_per_delivery=round(received / delivered, 1) if delivered else None,
        server_us_per_delivery=(
            None
            if shares.server is None or not delivered
            else round(shares.server * shares.wall / delivered * 1e6, 2)
        ),
        shares=shares,
        sweep_ms=sweeps,
        memory=memory,
    )


def _wait_until_empty(server: Server) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        samples = server.metrics()
        connections, sessions = samples["locshare_connections"], samples["locshare_sessions"]
        if not connections and not sessions:
            break
        if time.monotonic() > deadline:
            raise NotServing(f"{connections:g} connections and {sessions:g} sessions did not end")
        time.sleep(0.05)
    time.sleep(SETTLE_S)


def run(load: Load, say: Callable[[str], None]) -> list[Wave]:
    """All waves with one server. Raises NotServing."""
    allow_connections(load.people)
    environment = {"LOCSHARE_MAX_PARTICIPANTS": str(max(load.size, 2))}
    waves = []
    with running_server(environment, pin=True) as server:
        for number in range(load.waves):
            if load.waves > 1:
                say(f"wave {number + 1} of {load.waves}")
            gc.collect()
            gc.disable()  # a collection among thousands of objects would look like latency
            try:
                waves.append(run_wave(server, load, say))
            finally:
                gc.enable()
    return waves


def report(load: Load, waves: Sequence[Wave]) -> str:
    what = f"{load.sessions} sessions of {load.size}, an update each every {load.interval_s:g} s"
    rows = {}
    for number, wave in enumerate(waves, 1):
        of = f" ({number})" if len(waves) > 1 else ""
        rows["send to receipt" + of] = wave.latency_ms
        rows["connect to snapshot" + of] = wave.connect_ms
        rows["generator's sweep" + of] = wave.sweep_ms
    lines = [f"{what}, for {load.duration_s:g} s", circumstances(), "", *table(rows)]
    for number, wave in enumerate(waves, 1):
        lines += ["", *_wave_lines(load, wave, f" ({number})" if len(waves) > 1 else "")]
    return "\n".join(lines)


def _wave_lines(load: Load, wave: Wave, of: str) -> list[str]:
    cost = f"{wave.server_us_per_delivery or 0:.2f} µs per delivery"
    size = f"{wave.bytes_per_delivery or 0:.1f} bytes per delivery"
    lines = [
        (
            f"deliveries{of}: {wave.expected} expected, {wave.delivered} came, {wave.lost} lost, "
            f"{wave.repeated} repeated, {wave.foreign} foreign, {wave.unreadable} unreadable; "
            f"{wave.errors} errors, {wave.closed} connections lost"
        ),
        (
            f"rate{of}: {wave.deliveries_per_s:,.0f} deliveries/s, {size}; "
            f"joined in {wave.join_s:.1f} s"
        ),
        f"cores{of}: {wave.shares} ({cost})",
    ]
    start = wave.memory["start"]
    for name, memory in wave.memory.items():
        line = f"memory{of} {name:<7} RSS {memory.rss / 2**20:7.1f} MiB"
        if memory.blocks is not None:
            line += f"  blocks {memory.blocks:>9,}"
        if name in ("joined", "loaded"):
            line += f"  {(memory.rss - start.rss) / load.people / 1024:6.1f} KiB per connection"
        lines.append(line)
    return [*lines, *wave.shares.warnings()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.load", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--scenario", choices=SCENARIOS, help="what the other options change")
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--size", type=int, help="people in a session")
    parser.add_argument("--interval", type=float, dest="interval_s", metavar="S")
    parser.add_argument("--duration", type=float, dest="duration_s", metavar="S")
    parser.add_argument("--waves", type=int)
    parser.add_argument("--sample", type=int, metavar="K", help="look at every Kth delivery")
    parser.add_argument(
        "--connect-rate", type=float, dest="connect_per_s", metavar="N", help="connects a second"
    )
    parser.add_argument("--dialect", choices=CODECS, help="that all speak (default: plain)")
    parser.add_argument(
        "--details", action="store_true", default=None, help="altitude, speed, heading, battery"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = vars(parser.parse_args(arguments))
    as_json = options.pop("json")
    load = SCENARIOS[options.pop("scenario") or "session"]
    load = Load(**{**asdict(load), **{k: v for k, v in options.items() if v is not None}})
    try:
        waves = run(load, lambda text: print(f"... {text}", file=sys.stderr, flush=True))
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps({"load": asdict(load), "waves": [asdict(wave) for wave in waves]}))
    else:
        print(report(load, waves))
    return 0 if all(wave.complete for wave in waves) else 1


if __name__ == "__main__":
    sys.exit(main())
