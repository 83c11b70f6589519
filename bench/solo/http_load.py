"""HTTP requests over a fixed number of keep-alive connections, as a reverse proxy sends them.

Open loop: a call with a due time is sent then, or as soon as a connection is free, and its latency
counts from when it was *due*, so that a server that stalls for a second delays every call of that
second. Closed loop: a call without a due time is sent as soon as a connection is free, and counts
from then.

One loop and raw sockets, without a library and a task per request: a call costs about 20 µs, a
fraction of what it costs the server.
"""

import re
import selectors
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.servers import HOST

TIMEOUT_S = 10.0
"""Time limit for the last answers."""
_HEAD = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)


class BadAnswer(Exception):
    """Not an HTTP answer of a known length."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The relevant parts of an HTTP response."""

    status: int
    keep: bool
    """Whether the connection may be used again."""


_BROKEN = Answer(0, keep=False)


class AnswerReader:
    """Finds the end of each answer of one keep-alive connection. One request at a time."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """The answer, once it is complete. Raises BadAnswer."""
        if self._data:
            data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._data = data
            return None
        status = _HEAD.match(data)
        length = _LENGTH.search(data, 0, end + 2)
        if status is None or length is None:
            raise BadAnswer(repr(data[:40]))
        missing = end + 4 + int(length[1]) - len(data)
        if missing > 0:
            self._data = data
            return None
        if missing < 0:
            raise BadAnswer("more than one answer")
        self._data = b""
        return Answer(int(status[1]), _CLOSE.search(data, 0, end + 2) is None)


@dataclass(frozen=True, slots=True)
class Call:
    """One complete request. ``due_s`` is from the beginning of the run; None: as soon as a
    connection is free.
    """

    kind: str
    request: bytes
    due_s: float | None = None


@dataclass(slots=True)
class Outcome:
    """The answers to one kind of call. Seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    """0 counts connections that broke, and calls that got no answer."""
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    lags: "array[float]" = field(default_factory=lambda: array("d"))
    """How late each request was sent."""


class _Line:
    """One keep-alive connection; ``call`` is in flight, None when idle."""

    __slots__ = ("call", "due", "reader", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = AnswerReader()
        self.call: Call | None = None
        self.due = 0.0


class HttpLoad:
    """``connections`` to a port of this machine, opened as they are needed."""

    def __init__(self, port: int, connections: int) -> None:
        self.opened = 0
        self._port = port
        self._connections = connections
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Line] = []
        self._waiting: deque[tuple[float, Call]] = deque()
        self._busy = 0
        self._outcomes: dict[str, Outcome] = {}

    def run(self, calls: Iterable[Call]) -> dict[str, Outcome]:
        """Send ``calls``, which are in order of their due time, and wait for the answers. Returns
        the outcome of each kind.
        """
        self._outcomes = {}
        began = time.monotonic()
        for call in calls:
            if call.due_s is None:
                while self._busy >= self._connections:
                    self._turn(TIMEOUT_S)
                due = time.monotonic()
            else:
                due = began + call.due_s
                while (now := time.monotonic()) < due:
                    self._turn(due - now)
            self._waiting.append((due, call))
            self._send_waiting()
        self._wait_for_the_last()
        return self._outcomes

    def close(self) -> None:
        """Close the sockets."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def _outcome(self, call: Call) -> Outcome:
        outcome = self._outcomes.get(call.kind)
        if outcome is None:
            outcome = self._outcomes[call.kind] = Outcome()
        return outcome

    def _wait_for_the_last(self) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while (self._busy or self._waiting) and time.monotonic() < deadline:
            self._turn(0.05)
        for key in list(self._selector.get_map().values()):
            line: _Line = key.data
            if line.call is not None:
                self._outcome(line.call).statuses[0] += 1
                self._busy -= 1
                self._drop(line)
        for _, call in self._waiting:
            self._outcome(call).statuses[0] += 1
        self._waiting.clear()

    def _send_waiting(self) -> None:
        while self._waiting and (self._idle or self._busy < self._connections):
            due, call = self._waiting.popleft()
            line = self._idle.pop() if self._idle else self._open()
            line.call, line.due = call, due
            self._busy += 1
            self._outcome(call).lags.append(time.monotonic() - due)
            try:
                line.socket.send(call.request)
            except OSError:  # just closed by the server: read in the next turn
                continue

    def _open(self) -> _Line:
        line = _Line(self._port)
        self.opened += 1
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        return line

    def _drop(self, line: _Line) -> None:
        self._selector.unregister(line.socket)
        line.socket.close()

    def _turn(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            self._receive(key.data)
        self._send_waiting()

    def _receive(self, line: _Line) -> None:
        try:
            data = line.socket.recv(65536)
            answer = line.reader.feed(data) if data else _BROKEN
        except BlockingIOError:
            return
        except (OSError, BadAnswer):
            answer = _BROKEN
        if answer is None:
            return
        if line.call is None:
            self._idle.remove(line)  # the server closed an idle connection
        else:
            outcome = self._outcome(line.call)
            outcome.latencies.append(time.monotonic() - line.due)
            outcome.statuses[answer.status] += 1
            line.call = None
            self._busy -= 1
        if answer.keep:
            self._idle.append(line)
        else:
            self._drop(line)
