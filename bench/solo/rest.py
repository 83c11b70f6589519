"""How long REST calls take while many people make them, and what they cost.

    python -m bench.solo.rest --joins 1000 --reads 500 --seconds 10    # so many a second
    python -m bench.solo.rest --capacity joins --size 1000 --in-turn   # as many as are answered

With a rate, calls are sent when they are due and count from then, whether or not the server keeps
up; ``--capacity`` sends the next call on a connection as soon as the one before is answered. All go
over as many keep-alive connections as a reverse proxy would hold.

A join is ``POST /api/sessions/{id}/join``: a row in PostgreSQL, on disk before it is answered. The
sessions have room for ``--size`` people each and are joined one after the other (``--in-turn``) or
all at the same time, until they are full. A read is ``GET /api/sessions/{id}`` of one of a hundred
sessions that somebody has joined (``--asleep``: nobody, so that each read asks the database).
``--crowd`` lets a session of fifty send positions over WebSockets meanwhile: what REST costs them.

The server has the first core, its database and this generator the others (``--database beside``:
the database shares the server's). At the end the sessions are asked how many people they have: as
many as were told that they joined, or the exit status is 1, as when any call failed.
"""

import argparse
import heapq
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle
from multiprocessing import get_context

from bench.figures import Clocks, Shares, circumstances, summary, table
from bench.serving import HOST, BenchSession, NotServing, Server, running_server
from bench.solo.callers import Call, Callers, Outcome
from bench.solo.crowd import Crowd, Load

GOOD = {"join": 201, "read": 200}
READ_SESSIONS = 100
WARM_UP_S = 1.0
"""Not counted: the database's connections are opened, code is run once."""
MOST_PER_S = 4000
"""For how many calls a second there is room when only the server sets the pace."""
CROWD = Load(sessions=1, size=50)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. Rates are per second, 0 for none."""

    joins: float
    reads: float
    capacity: str | None
    """``joins`` or ``reads``, as many as are answered; None when the rates count."""
    seconds: float
    connections: int
    size: int
    in_turn: bool
    asleep: bool
    crowd: bool
    database: str

    @property
    def most_joins(self) -> int:
        """For how many there must be room."""
        if self.capacity is not None:
            return round(MOST_PER_S * (self.seconds + WARM_UP_S)) * (self.capacity == "joins")
        return round(self.joins * (self.seconds + WARM_UP_S)) + 1


@dataclass
class Kind:
    """The figures of one kind of call."""

    calls: int
    failed: int
    per_s: float
    statuses: dict[str, int]
    latency_ms: dict[str, float]
    send_lag_ms: dict[str, float]


@dataclass
class Found:
    """The figures of one run."""

    plan: Plan
    kinds: dict[str, Kind]
    connections: int
    joined: int
    """People whom a join was answered with 201, those of the warm-up too."""
    counted: int
    """People whom the sessions count at the end."""
    joins_per_statement: float | None
    crowd_ms: dict[str, float] | None
    crowd_lost: int
    shares: Shares

    @property
    def good(self) -> bool:
        """True when no call failed and nobody was lost."""
        failed = sum(kind.failed for kind in self.kinds.values())
        return not failed and self.joined == self.counted and not self.crowd_lost


def join_request(session: BenchSession, name: str) -> bytes:
    """The whole request."""
    body = json.dumps({"display_name": name}).encode()
    return (
        f"POST /api/sessions/{session.session_id}/join HTTP/1.1\r\nHost: {HOST}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def read_request(session: BenchSession) -> bytes:
    """The whole request."""
    return f"GET /api/sessions/{session.session_id} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def places(sessions: Sequence[BenchSession], size: int, in_turn: bool) -> Iterator[BenchSession]:
    """A session for each who joins, each ``size`` times."""
    if in_turn:
        return (each for each in sessions for _ in range(size))
    return (each for _ in range(size) for each in sessions)


class Requests:
    """Makes the calls of one run, in order."""

    def __init__(self, plan: Plan, joined: Sequence[BenchSession], read: Sequence[BenchSession]):
        self._plan = plan
        self._joins = (
            join_request(session, f"person {number}")
            for number, session in enumerate(places(joined, plan.size, plan.in_turn))
        )
        self._reads = cycle([read_request(session) for session in read])

    def calls(self, seconds: float) -> Iterator[Call]:
        """Those of the next ``seconds``."""
        if self._plan.capacity is None:
            return heapq.merge(
                self._due("join", self._joins, self._plan.joins, seconds),
                self._due("read", self._reads, self._plan.reads, seconds),
                key=lambda call: call.due_s or 0.0,
            )
        if self._plan.capacity == "joins":
            return self._free("join", self._joins, seconds)
        return self._free("read", self._reads, seconds)

    def _due(
        self, kind: str, requests: Iterator[bytes], rate: float, seconds: float
    ) -> Iterator[Call]:
        for number in range(round(rate * seconds)):
            yield Call(kind, next(requests), number / rate)

    def _free(self, kind: str, requests: Iterator[bytes], seconds: float) -> Iterator[Call]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            request = next(requests, None)
            if request is None:
                raise NotServing(f"more than {MOST_PER_S} calls a second; there is no more room")
            yield Call(kind, request)


def watch_crowd(port: int, tokens: Sequence[str], seconds: float) -> tuple[dict[str, float], int]:
    """A session of people who send positions over WebSockets, in a process of its own. Returns
    their latencies in milliseconds, and how many deliveries were lost.
    """
    crowd = Crowd(CROWD, port, tokens)
    crowd.tally.counted_from_us = 0
    try:
        crowd.connect()
        crowd.send_for(seconds)
        crowd.drain()
        return summary(crowd.tally.latencies), crowd.expected - crowd.tally.delivered
    finally:
        crowd.close()


def run(plan: Plan, say: Callable[[str], None]) -> Found:
    """Start a server, measure, end it. Raises NotServing."""
    environment = {"LOCSHARE_MAX_PARTICIPANTS": str(plan.size), "LOCSHARE_MAX_SESSIONS": "100000"}
    with ExitStack() as stack:
        server = stack.enter_context(
            running_server(
                environment, pin=True, database="apart" if plan.database == "apart" else "beside"
            )
        )
        say("sessions are made")
        joined = [server.create() for _ in range(-(-plan.most_joins // plan.size))]
        read = [server.create() for _ in range(READ_SESSIONS)]
        if not plan.asleep:
            for each in read:
                server.join(each, "reader")
        crowd = _start_crowd(plan, server, stack)
        callers = Callers(server.http_port, plan.connections)
        stack.callback(callers.close)
        requests = Requests(plan, joined, read)
        say("warming up")
        warm = callers.run(requests.calls(WARM_UP_S))
        statements = _statements(server)
        say(f"measuring for {plan.seconds:g} s")
        clocks = Clocks(server.pid)
        outcomes = callers.run(requests.calls(plan.seconds))
        shares = clocks.shares()
        statements = _statements(server) - statements
        crowd_ms, crowd_lost = (None, 0) if crowd is None else crowd.result()
        say("people are counted")
        counted = sum(_people(server, each) for each in joined)
    joins = outcomes["join"].statuses[GOOD["join"]] if "join" in outcomes else 0
    warm_joins = warm["join"].statuses[GOOD["join"]] if "join" in warm else 0
    return Found(
        plan=plan,
        kinds={kind: _kind(kind, outcome, shares.wall) for kind, outcome in outcomes.items()},
        connections=callers.opened,
        joined=joins + warm_joins,
        counted=counted,
        joins_per_statement=round(joins / statements, 1) if statements else None,
        crowd_ms=crowd_ms,
        crowd_lost=crowd_lost,
        shares=shares,
    )


def _start_crowd(
    plan: Plan, server: Server, stack: ExitStack
) -> "Future[tuple[dict[str, float], int]] | None":
    if not plan.crowd:
        return None
    session = server.create()
    tokens = [server.join(session, f"walker {number}") for number in range(CROWD.size)]
    server.hang_up()
    pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
    future = pool.submit(watch_crowd, server.ws_port, tokens, plan.seconds + 2 * WARM_UP_S)
    time.sleep(WARM_UP_S)  # they connect
    return future


def _statements(server: Server) -> float:
    return server.metrics()["locshare_store_join_batches_total"]


def _people(server: Server, session: BenchSession) -> int:
    described = json.loads(server.request("GET", f"/api/sessions/{session.session_id}"))
    count: int = described["participant_count"]
    return count


def _kind(kind: str, outcome: Outcome, wall: float) -> Kind:
    calls = sum(outcome.statuses.values())
    good = outcome.statuses[GOOD[kind]]
    return Kind(
        calls=calls,
        failed=calls - good,
        per_s=round(good / wall, 1),
        statuses={str(status or "broken"): count for status, count in outcome.statuses.items()},
        latency_ms=summary(outcome.latencies),
        send_lag_ms=summary(outcome.lags),
    )


def report(found: Found) -> str:
    """For people."""
    plan = found.plan
    how = "as many as are answered" if plan.capacity else "when they are due"
    rows, lines = {}, []
    for name, kind in found.kinds.items():
        rows[f"{name}: {'sent' if plan.capacity else 'due'} to answer"] = kind.latency_ms
        if not plan.capacity:
            rows[f"{name}: send lag"] = kind.send_lag_ms
        answers = ", ".join(f"{count} of {status}" for status, count in kind.statuses.items())
        lines.append(f"{name}: {kind.per_s:g} a second; answers: {answers}; {kind.failed} failed")
    if found.crowd_ms is not None:
        rows["positions meanwhile"] = found.crowd_ms
        lines.append(f"positions: {found.crowd_lost} deliveries lost")
    if found.joins_per_statement is not None:
        lines.append(
            f"{found.joins_per_statement:g} joins per statement; sessions of {plan.size}, joined "
            f"{'one after the other' if plan.in_turn else 'all at once'}; "
            f"{found.joined} joined, {found.counted} are there"
        )
    calls = sum(kind.calls for kind in found.kinds.values())
    if found.shares.server is not None and calls:
        cost = found.shares.server * found.shares.wall / calls * 1e6
        lines.append(f"{cost:.0f} µs of the server's core per call")
    return "\n".join(
        [
            f"calls {how}, over {found.connections} connections, for {plan.seconds:g} s",
            circumstances(),
            "",
            *table(rows),
            "",
            *lines,
            f"cores: {found.shares} (the database is one of them)",
            *found.shares.warnings(),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.rest", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--joins", type=float, metavar="RATE", help="a second (200, if no --reads)")
    parser.add_argument("--reads", type=float, default=0, metavar="RATE", help="a second")
    parser.add_argument("--capacity", choices=("joins", "reads"), help="as many as are answered")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=48)
    parser.add_argument("--size", type=int, default=50, help="people in a session, at most")
    parser.add_argument("--in-turn", action="store_true", help="one session is joined at a time")
    parser.add_argument("--asleep", action="store_true", help="nobody has joined what is read")
    parser.add_argument("--crowd", action="store_true", help="fifty people send positions")
    parser.add_argument("--database", choices=("apart", "beside"), default="apart")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = vars(parser.parse_args(arguments))
    as_json = options.pop("json")
    if options["joins"] is None:
        options["joins"] = 0 if options["reads"] else 200
    try:
        found = run(Plan(**options), lambda text: print(f"... {text}", file=sys.stderr, flush=True))
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(found)) if as_json else report(found))
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
