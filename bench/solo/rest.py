"""Latency and cost of REST calls under load.

    python -m bench.solo.rest --joins 1000 --reads 500 --seconds 10    # a second
    python -m bench.solo.rest --capacity joins --size 1000             # as many as are answered

With a rate, calls are sent when they are due and latency counts from then, whether or not the
server keeps up; ``--capacity`` sends the next call on a connection when the one before is answered.
All go over as many keep-alive connections as a reverse proxy would hold.

A join is ``POST /api/sessions/{id}/join``: a row in PostgreSQL, on disk before it is answered. The
sessions hold ``--size`` people each and are all joined at the same time. A read is
``GET /api/sessions/{id}`` of one of a hundred sessions with one participant each.

The server has the first core, its database and this generator the others. At the end the sessions
are asked for their number of participants. The exit status is 1 when that is not the number of
successful joins, or when a call failed.
"""

import argparse
import heapq
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import cycle

from bench.errors import NotServing
from bench.procfs import Clocks, Shares, circumstances
from bench.rest import CreatedSession, Profile, Rest
from bench.servers import HOST, Server, running_server
from bench.solo.http_load import Call, HttpLoad, Outcome
from bench.stats import summary, table

GOOD = {"join": 201, "read": 200}
READ_SESSIONS = 100
WARM_UP_S = 1.0
"""Not counted: the database's connections are opened, code runs for the first time."""
CALLS_PER_S_MAX = 4000
"""Calls a second that there is room for when the server sets the pace."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Rates are per second, 0 for none."""

    joins: float
    reads: float
    capacity: str | None
    """``joins`` or ``reads``, as many as are answered; None when the rates count."""
    seconds: float
    connections: int
    size: int

    @property
    def joins_max(self) -> int:
        seconds = self.seconds + WARM_UP_S
        if self.capacity is not None:
            return round(CALLS_PER_S_MAX * seconds) * (self.capacity == "joins")
        return round(self.joins * seconds) + 1


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
    """Joins that were answered with 201, those of the warm-up too."""
    counted: int
    """Participants that the sessions count at the end."""
    joins_per_statement: float | None
    shares: Shares

    @property
    def good(self) -> bool:
        return self.joined == self.counted and not any(each.failed for each in self.kinds.values())


def join_request(session: CreatedSession, name: str) -> bytes:
    body = json.dumps({"display_name": name}).encode()
    return (
        f"POST /api/sessions/{session.session_id}/join HTTP/1.1\r\nHost: {HOST}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def read_request(session: CreatedSession) -> bytes:
    return f"GET /api/sessions/{session.session_id} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


class Requests:
    """Makes the calls of one run, in order."""

    def __init__(
        self, plan: Plan, joined: Sequence[CreatedSession], read: Sequence[CreatedSession]
    ) -> None:
        self._plan = plan
        places = (session for _ in range(plan.size) for session in joined)
        self._joins = (join_request(each, f"person {n}") for n, each in enumerate(places))
        self._reads = cycle([read_request(session) for session in read])

    def calls(self, seconds: float) -> Iterator[Call]:
        """Those of the next ``seconds``."""
        if self._plan.capacity == "joins":
            return self._unpaced("join", self._joins, seconds)
        if self._plan.capacity == "reads":
            return self._unpaced("read", self._reads, seconds)
        return heapq.merge(
            self._paced("join", self._joins, self._plan.joins, seconds),
            self._paced("read", self._reads, self._plan.reads, seconds),
            key=lambda call: call.due_s or 0.0,
        )

    def _paced(
        self, kind: str, requests: Iterator[bytes], rate: float, seconds: float
    ) -> Iterator[Call]:
        for number in range(round(rate * seconds)):
            yield Call(kind, next(requests), number / rate)

    def _unpaced(self, kind: str, requests: Iterator[bytes], seconds: float) -> Iterator[Call]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            request = next(requests, None)
            if request is None:
                raise NotServing(f"no more room: more than {CALLS_PER_S_MAX} calls a second")
            yield Call(kind, request)


def run(plan: Plan, say: Callable[[str], None]) -> Found:
    """Start a server, measure, end it. Raises NotServing."""
    environment = {"LOCSHARE_MAX_PARTICIPANTS": str(plan.size), "LOCSHARE_MAX_SESSIONS": "100000"}
    with running_server(environment, pin=True, database="apart") as server:
        say("creating sessions")
        with server.rest() as rest:
            joined = rest.each(lambda _: rest.create(), range(-(-plan.joins_max // plan.size)))
            rooms = rest.fill([[Profile("reader")]] * READ_SESSIONS)
        requests = Requests(plan, joined, [room.session for room in rooms])
        with closing(HttpLoad(server.http_port, plan.connections)) as callers:
            say("warming up")
            warm = callers.run(requests.calls(WARM_UP_S))
            statements = _statements(server)
            say(f"measuring for {plan.seconds:g} s")
            clocks = Clocks(server.pid)
            outcomes = callers.run(requests.calls(plan.seconds))
            shares = clocks.shares()
            statements = _statements(server) - statements
        say("counting participants")
        with server.rest() as rest:
            counted = sum(rest.each(lambda session: _participants(rest, session), joined))
    joins, warm_joins = (
        each["join"].statuses[GOOD["join"]] if "join" in each else 0 for each in (outcomes, warm)
    )
    return Found(
        plan=plan,
        kinds={kind: _kind(kind, outcome, shares.wall) for kind, outcome in outcomes.items()},
        connections=callers.opened,
        joined=joins + warm_joins,
        counted=counted,
        joins_per_statement=round(joins / statements, 1) if statements else None,
        shares=shares,
    )


def _statements(server: Server) -> float:
    return server.metrics()["locshare_store_join_batches_total"]


def _participants(rest: Rest, session: CreatedSession) -> int:
    described = json.loads(rest.request("GET", f"/api/sessions/{session.session_id}"))
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
    plan = found.plan
    how = "as many as are answered" if plan.capacity else "when they are due"
    rows, lines = {}, []
    for name, kind in found.kinds.items():
        rows[f"{name}: {'sent' if plan.capacity else 'due'} to answer"] = kind.latency_ms
        if not plan.capacity:
            rows[f"{name}: send lag"] = kind.send_lag_ms
        answers = ", ".join(f"{count} of {status}" for status, count in kind.statuses.items())
        lines.append(f"{name}: {kind.per_s:g} a second; answers: {answers}; {kind.failed} failed")
    if found.joins_per_statement is not None:
        lines.append(
            f"{found.joins_per_statement:g} joins per statement; sessions of {plan.size}; "
            f"{found.joined} joined, {found.counted} are there"
        )
    calls = sum(kind.calls for kind in found.kinds.values())
    if found.shares.server is not None and calls:
        cost = found.shares.server * found.shares.wall / calls * 1e6
        lines.append(f"{cost:.0f} µs of the server's core per call")
    head = f"calls {how}, over {found.connections} connections, for {plan.seconds:g} s"
    cores = f"cores: {found.shares} (the database is one of them)"
    warnings = found.shares.warnings()
    return "\n".join([head, circumstances(), "", *table(rows), "", *lines, cores, *warnings])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.rest", description=__doc__.partition("\n")[0]
    )
    add = parser.add_argument
    add("--joins", type=float, metavar="RATE", help="a second (200, if no --reads)")
    add("--reads", type=float, default=0, metavar="RATE", help="a second")
    add("--capacity", choices=("joins", "reads"), help="as many as are answered")
    add("--seconds", type=float, default=10)
    add("--connections", type=int, default=48)
    add("--size", type=int, default=50, help="people in a session, at most")
    add("--json", action="store_true", help="one JSON object instead of the table")
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
