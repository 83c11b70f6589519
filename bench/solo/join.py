"""How long joining takes when two hundred people a second do it.

    python -m bench.solo.join --rate 200 --seconds 10

Open loop: request k is due at k/rate, whether or not the ones before were answered, and its latency
counts from when it was *due*. So a server that stands still for a second is seen by all whom it
kept waiting, not by one. Keep-alive connections, opened as they are needed; everyone joins one of
the sessions created before, none of which gets full. Each join is a row in PostgreSQL, on disk
before it is answered.

The exit status is 1 when a join failed.
"""

import argparse
import json
import selectors
import socket
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bench.figures import Clocks, Shares, circumstances, summary, table
from bench.serving import HOST, BenchSession, NotServing, running_server

SESSION_SIZE = 50
MOST_CONNECTIONS = 500
PATIENCE_S = 10.0
WARM_UP = 100
"""Joins before the first that counts: the pool of the database fills, code is run once."""
CREATED = 201


class BadAnswer(Exception):
    """Not an HTTP answer of a known length."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP answer comes to here."""

    status: int
    keep: bool
    """Whether the connection may be used again."""


class AnswerReader:
    """Finds the end of each answer of one keep-alive connection. One request at a time."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """The answer, when it is all there. Raises BadAnswer."""
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.split(b"\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        try:
            status = int(first.split()[1])
            length = int(headers[b"content-length"])
        except (IndexError, KeyError, ValueError):
            raise BadAnswer(repr(first)) from None
        if len(body) < length:
            return None
        if len(body) > length:
            raise BadAnswer("more than one answer")
        self._data = b""
        return Answer(status, headers.get(b"connection", b"").lower() != b"close")


class Line:
    """One keep-alive connection; ``due`` is when its request should have begun, None when idle."""

    __slots__ = ("due", "reader", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = AnswerReader()
        self.due: float | None = None


class Joiners:
    """Sends each request when it is due, and takes the answers."""

    def __init__(self, port: int) -> None:
        self.latencies: array[float] = array("d")
        self.lags: array[float] = array("d")
        """How late each request was sent."""
        self.results: Counter[str] = Counter()
        self.opened = 0
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._idle: list[Line] = []
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._busy = 0

    def run(self, requests: Sequence[bytes], rate: float) -> None:
        """All of them, and their answers; those that do not come in time are failures."""
        self.latencies, self.lags, self.results = array("d"), array("d"), Counter()
        began = time.monotonic()
        for number, request in enumerate(requests):
            due = began + number / rate
            while (now := time.monotonic()) < due:
                self._turn(due - now)
            self._waiting.append((due, request))
            self._send_waiting()
        deadline = time.monotonic() + PATIENCE_S
        while self._busy or self._waiting:
            if time.monotonic() > deadline:
                self.results["no answer"] += self._busy + len(self._waiting)
                break
            self._turn(0.05)

    def close(self) -> None:
        """Give the sockets back."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def _send_waiting(self) -> None:
        while self._waiting and (self._idle or self._busy < MOST_CONNECTIONS):
            due, request = self._waiting.popleft()
            line = self._idle.pop() if self._idle else self._open()
            line.due = due
            self._busy += 1
            self.lags.append(time.monotonic() - due)
            line.socket.send(request)

    def _open(self) -> Line:
        line = Line(self._port)
        self.opened += 1
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        return line

    def _turn(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            self._receive(key.data)
        self._send_waiting()

    def _receive(self, line: Line) -> None:
        try:
            data = line.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.monotonic()
        try:
            answer = line.reader.feed(data) if data else Answer(0, keep=False)
        except BadAnswer:
            answer = Answer(0, keep=False)
        if answer is None:
            return
        if line.due is not None:
            self._busy -= 1
            self.latencies.append(now - line.due)
            self.results[str(answer.status or "broken")] += 1
        elif line in self._idle:
            self._idle.remove(line)  # the server closes what was idle for long
        line.due = None
        if answer.keep:
            self._idle.append(line)
        else:
            self._selector.unregister(line.socket)
            line.socket.close()


@dataclass
class Joins:
    """The figures."""

    rate: float
    joins: int
    failed: int
    results: dict[str, int]
    latency_ms: dict[str, float]
    send_lag_ms: dict[str, float]
    connections: int
    shares: Shares


def join_request(session: BenchSession, name: str) -> bytes:
    """The whole request."""
    body = json.dumps({"display_name": name}).encode()
    return (
        f"POST /api/sessions/{session.session_id}/join HTTP/1.1\r\nHost: {HOST}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def run(rate: float, seconds: float, say: Callable[[str], None]) -> Joins:
    """Start a server, measure, end it. Raises NotServing."""
    count = max(round(rate * seconds), 1)
    with running_server(pin=True) as server:
        say(f"{count} joins at {rate:g} a second")
        sessions = [server.create() for _ in range(-(-(count + WARM_UP) // SESSION_SIZE))]
        server.hang_up()
        requests = [
            join_request(sessions[number % len(sessions)], f"person {number}")
            for number in range(count + WARM_UP)
        ]
        joiners = Joiners(server.http_port)
        try:
            joiners.run(requests[:WARM_UP], rate)
            clocks = Clocks(server.pid)
            joiners.run(requests[WARM_UP:], rate)
            shares = clocks.shares()
        finally:
            joiners.close()
    return Joins(
        rate=round(count / shares.wall, 1),
        joins=count,
        failed=count - joiners.results[str(CREATED)],
        results=dict(joiners.results),
        latency_ms=summary(joiners.latencies),
        send_lag_ms=summary(joiners.lags),
        connections=joiners.opened,
        shares=shares,
    )


def report(joins: Joins) -> str:
    """For people."""
    answers = ", ".join(f"{number} of status {status}" for status, number in joins.results.items())
    return "\n".join(
        [
            f"{joins.joins} joins, {joins.rate:g} a second, over {joins.connections} connections",
            circumstances(),
            "",
            *table({"due to answer": joins.latency_ms, "send lag": joins.send_lag_ms}),
            "",
            f"answers: {answers}; {joins.failed} failed",
            f"cores: {joins.shares} (the database is one of them)",
            *joins.shares.warnings(),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.solo.join", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rate", type=float, default=200, help="joins a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args(arguments)
    try:
        joins = run(
            options.rate,
            options.seconds,
            lambda text: print(f"... {text}", file=sys.stderr, flush=True),
        )
    except NotServing as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(joins)) if options.json else report(joins))
    return 1 if joins.failed else 0


if __name__ == "__main__":
    sys.exit(main())
