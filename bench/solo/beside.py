"""This server beside others under the same load, in turns: what a delivery costs each.

    python -m bench.solo.beside
    python -m bench.solo.beside --cases 1000x8,1x50 --rounds 3
    python -m bench.solo.beside --servers c,locshare --duration 5  # a quick look
    python -m bench.solo.beside --cases 100x100 --window 250

A case is SESSIONSxPEOPLE; everyone sends a position every 2 s. In each round every server is
started anew, takes the load, and ends; the next round goes the other way round, so that a slow
change of the machine falls on all alike. ``c`` is ``bench/wsload/wsecho.c``: a broadcaster without
any rule, the least that the shape costs. The generator is ``bench/wsload/wsload.c``, which matches
every delivery to the update it came from; anything lost, stale, of another session or closed is a
failure, and the exit status 1.

With ``--window`` the updates of a session are joined for that long into one write per receiver, by
``c`` and ``picows`` always, by ours as its load demands: up to it. Without, only ours joins any.

A figure is the mean of the rounds. CPU is that of all processes of the server, its database
included, between the ends of the measured time, by what was delivered in it. Ratios hold for one
run on one machine; figures of different runs should not be compared.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from bench.errors import NotServing
from bench.guardian import entrust, stand_guard, temporary_folder
from bench.procfs import DISTURBED, TOO_BUSY, circumstances
from bench.rest import Rest
from bench.servers import HOST, Process, allow_connections, free_port, people, split_cores
from bench.solo.crowd import tickets_of
from bench.stats import percent
from bench.targets import STARTABLE, started
from bench.wsload import Programs, build

C: Final = "c"
SERVERS: Final = (C, *STARTABLE)
WITH_A_WINDOW: Final = (C, "picows", "locshare")
INTERVAL_S: Final = 2.0
_PER_SECOND: Final = 700
"""Connections made per second before the measurement."""
_LIMITS: Final = {
    "LOCSHARE_MAX_CONNECTIONS_PER_ADDRESS": "0",
    "LOCSHARE_MAX_HTTP_CONNECTIONS_PER_ADDRESS": "1000",
}
_MEMBER: Final = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
_POSITION: Final = '"lat":@LAT@,"lng":@LNG@,"accuracy":5,"timestamp":"@TS@"'
_UPDATE: Final = f'{{"type":"location_update","data":{{{_POSITION}}}}}'
_ECHOED: Final = f'{{"type":"location_update","data":{{"user_id":"{_MEMBER}",{_POSITION}}}}}'
"""For the broadcaster, which adds nothing: of the size that the others deliver."""


class Case(NamedTuple):
    sessions: int
    size: int

    @property
    def people(self) -> int:
        return self.sessions * self.size

    def __str__(self) -> str:
        return f"{self.sessions:,} x {self.size}"


class Run(Struct, frozen=True):
    """One server under one load. ``us`` is CPU per delivery in µs, ``cpu`` and ``others`` shares of
    a core, latencies are in ms, ``mib`` is the resident memory of its processes at the end.
    """

    us: float
    cpu: float
    p50: float
    p95: float
    p99: float
    mib: float
    others: float
    generator: float
    wrong: dict[str, int]


class Place(NamedTuple):
    """Where the load goes."""

    port: int
    pids: Sequence[int]
    plan: str
    ready: Sequence[str]


# --- the servers ------------------------------------------------------------------------------


@contextmanager
def serving(
    name: str, case: Case, programs: Programs, folder: Path, window_ms: int = 0
) -> Iterator[Place]:
    """``name`` with the sessions of ``case``, everyone joined. Raises NotServing."""
    if name == C:
        port = free_port()
        with split_cores(pin=True) as place:
            server = Process(
                [
                    *(str(programs.broadcaster), "--port", str(port)),
                    *(("--coalesce", str(window_ms)) if window_ms else ()),
                ],
                log=folder / "wsecho.log",
                ready=lambda: _listens(port),
                place=place,
            )
            try:
                server.start()
                yield Place(port, server.pids(), _plan(case, _echo_lines(case)), ())
            finally:
                server.stop()
        return
    seats = max(case.size, 50)
    limits = dict(_LIMITS)
    if window_ms:
        limits["LOCSHARE_FLUSH_WINDOW_MAX_S"] = str(window_ms / 1000)
    with started(
        name, environment=limits, max_participants=seats, faults=False, flush_window_ms=window_ms
    ) as target:
        with Rest(target.http_url) as rest:
            rooms = rest.fill([people(case.size)] * case.sessions)
        tokens = [each.token for each in tickets_of(rooms)]
        url = next(each.websocket_url for each in rooms[0].joined if each is not None)
        port = urlsplit(url).port or 0
        lines = [f"/ws?token={token}\tlocshare.v1\t-\t{_UPDATE}" for token in tokens]
        ready = ("--ready", '"session_state"')
        yield Place(port, target.pids(), _plan(case, lines), ready)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _echo_lines(case: Case) -> list[str]:
    return [
        f"/ws?s={number // case.size}&u={number}\t-\t-\t{_ECHOED}" for number in range(case.people)
    ]


def _plan(case: Case, lines: Sequence[str]) -> str:
    """The generator's plan: the first of every session connects, then the second of every one."""
    order = sorted(range(case.people), key=lambda number: number % case.size)
    return "".join(f"{number // case.size}\t{number}\t{lines[number]}\t-\n" for number in order)


# --- the load ---------------------------------------------------------------------------------


def measure(
    name: str, case: Case, programs: Programs, folder: Path, duration_s: float, window_ms: int = 0
) -> Run:
    """Raises NotServing."""
    with serving(name, case, programs, folder, window_ms) as place:
        return _run_of(generate(place, case, programs, folder, duration_s))


def generate(
    place: Place, case: Case, programs: Programs, folder: Path, duration_s: float
) -> dict[str, Any]:
    """What the generator reports of the load. Raises NotServing."""
    plan = folder / "plan.tsv"
    plan.write_text(place.plan)
    ramp_s = max(0.2, case.people / _PER_SECOND)
    process = subprocess.Popen(
        [
            *(str(programs.generator), "--plan", str(plan), "--port", str(place.port)),
            *("--pid", ",".join(map(str, place.pids)), *place.ready),
            *("--ramp", f"{ramp_s:g}", "--settle", "0.5", "--warmup", f"{INTERVAL_S:g}"),
            *("--interval", f"{INTERVAL_S:g}", "--duration", f"{duration_s:g}"),
            *("--json", "--loss-detail"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, errors = entrust(process).communicate()
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        raise NotServing(f"the generator ended with {process.returncode}: {errors}") from None
    return found


def _run_of(found: dict[str, Any]) -> Run:
    kinds = (
        *("lost", "stale_pairs", "leaks", "unknown_senders", "malformed"),
        *("unexpected_closes", "connect_failed"),
    )
    return Run(
        us=found["server_cpu_us_per_delivery"],
        cpu=found["server_cpu_pct"] / 100,
        p50=found["latency_p50_ms"],
        p95=found["latency_p95_ms"],
        p99=found["latency_p99_ms"],
        mib=found["server_rss_window_end_kb"] / 1024,
        others=found["others_cpu_pct"] / 100,
        generator=found["tool_cpu_pct"] / 100,
        wrong={kind: found[kind] for kind in kinds if found[kind]},
    )


def all_runs(
    cases: Sequence[Case],
    servers: Sequence[str],
    rounds: int,
    duration_s: float,
    window_ms: int = 0,
) -> dict[Case, dict[str, list[Run]]]:
    """Every server under every load in turns, with a line of progress for each run."""
    found: dict[Case, dict[str, list[Run]]] = {
        case: {name: [] for name in servers} for case in cases
    }
    allow_connections(max(case.people for case in cases))
    number, began = 0, time.monotonic()
    with temporary_folder("locshare-beside-") as folder:
        programs = build(folder)
        for turn in range(rounds):
            for case in cases:
                for name in servers if turn % 2 == 0 else servers[::-1]:
                    number += 1
                    run = measure(name, case, programs, folder, duration_s, window_ms)
                    found[case][name].append(run)
                    print(
                        f"{number}/{rounds * len(cases) * len(servers)}"
                        f" {time.monotonic() - began:4.0f} s  {case!s:>9} {name:<9}"
                        f" {run.us:6.2f} µs  p95 {run.p95:7.2f} ms  {percent(run.cpu):>4} of a core"
                        + "".join(f"  {count} {kind}" for kind, count in run.wrong.items()),
                        file=sys.stderr,
                        flush=True,
                    )
    return found


# --- the report -------------------------------------------------------------------------------


def report(found: dict[Case, dict[str, list[Run]]]) -> str:
    servers = list(next(iter(found.values())))
    against = [each for each in (C, "picows") if each in servers]
    heads = [
        *("case", "server", "µs per delivery"),
        *(f"against {each}" for each in against),
        *("p50", "p95", "p99, ms", "of a core", "RSS, MiB"),
    ]
    lines = [circumstances(), "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for case, by_server in found.items():
        cost = {name: mean([run.us for run in runs]) for name, runs in by_server.items()}
        for name, runs in by_server.items():
            figures = [
                f"{cost[name]:.2f}",
                *(f"{cost[name] / cost[each]:.2f}" for each in against),
                *(f"{mean([getattr(run, q) for run in runs]):.2f}" for q in ("p50", "p95", "p99")),
                percent(mean([run.cpu for run in runs])),
                f"{mean([run.mib for run in runs]):.0f}",
            ]
            lines.append(f"| {case} | {name} | {' | '.join(figures)} |")
    return "\n".join([*lines, *remarks(found)])


def remarks(found: dict[Case, dict[str, list[Run]]]) -> list[str]:
    """What makes a run worthless or wrong, one line each."""
    lines = []
    for case, by_server in found.items():
        for name, runs in by_server.items():
            for number, run in enumerate(runs, 1):
                which = f"{case}, {name}, round {number}"
                if run.wrong:
                    what = ", ".join(f"{count} {kind}" for kind, count in run.wrong.items())
                    lines.append(f"WRONG: {which}: {what}")
                if run.others > DISTURBED:
                    lines.append(f"disturbed: {which}: others took {percent(run.others)} of a core")
                if run.generator > TOO_BUSY:
                    lines.append(
                        f"limited: {which}: the generator took {percent(run.generator)} of its core"
                    )
    return lines


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# --- the command ------------------------------------------------------------------------------


def case_of(text: str) -> Case:
    sessions, x, size = text.partition("x")
    if not (x and sessions.isdecimal() and size.isdecimal()) or int(sessions) < 1 or int(size) < 2:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not SESSIONSxPEOPLE with two people or more, such as 1000x8"
        )
    return Case(int(sessions), int(size))


def server_of(text: str) -> str:
    if text not in SERVERS:
        raise argparse.ArgumentTypeError(f"no server {text!r}; there are {', '.join(SERVERS)}")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.beside", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--cases", type=lambda text: [case_of(each) for each in text.split(",")],
        default=[Case(1, 50), Case(1000, 8), Case(10, 100), Case(100, 100)], metavar="SxP,…",
        help="sessions and people of each (default 1x50,1000x8,10x100,100x100)",
    )  # fmt: skip
    parser.add_argument(
        "--servers", type=lambda text: [server_of(each) for each in text.split(",")],
        default=[C, "picows", "locshare"], metavar="NAME,…",
        help=f"of {', '.join(SERVERS)} (default c,picows,locshare)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=2, choices=range(1, 21), metavar="1 to 20")
    parser.add_argument("--duration", type=float, default=10, metavar="S", help="measured seconds")
    parser.add_argument(
        "--window", type=int, default=0, choices=range(2001), metavar="MS",
        help=f"the flush window, which {', '.join(WITH_A_WINDOW)} can have (default: none)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    without = [each for each in options.servers if each not in WITH_A_WINDOW]
    if options.window and without:
        parser.error(f"--window: {', '.join(without)} writes each update at once")
    stand_guard()
    try:
        found = all_runs(
            options.cases, options.servers, options.rounds, options.duration, options.window
        )
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        plain = {str(case): by_server for case, by_server in found.items()}
        print(msgspec.json.encode(plain).decode())
    else:
        print(report(found))
    wrong = any(run.wrong for each in found.values() for runs in each.values() for run in runs)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
