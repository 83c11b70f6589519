"""Many clients in one loop, at a fraction of their cost for the server.

No task and no object per message; everything is synchronous and blocks in ``select`` only.
:mod:`bench.solo.load` explains the figures.
"""

import random
import selectors
import socket
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.errors import NotServing
from bench.rest import Room
from bench.servers import HOST
from bench.solo.frames import (
    CLOSE,
    MOST_SENDERS,
    PING,
    PONG,
    POSITION,
    SPAN_US,
    TEXT,
    BadFrame,
    Frame,
    FrameReader,
    client_frame,
    clock_us,
    payloads,
    read_position,
    since_s,
    upgrade_request,
    write_position,
)

TIMEOUT_S = 10.0
"""Time limit for the last connection, the last delivery and the last close."""

_CHUNK = 262_144
_SNAPSHOT = b'{"type":"session_state"'
_ERROR = b'{"type":"error"'

dice = random.Random()  # noqa: S311 - spreads a load, keeps no secret


@dataclass(frozen=True, slots=True)
class Load:
    """Times in seconds."""

    sessions: int
    size: int
    interval_s: float = 2.0
    duration_s: float = 20.0
    waves: int = 1
    sample: int = 1
    connect_per_s: float = 400.0
    """Each connection costs a snapshot, and an event to everyone in its session."""

    @property
    def people(self) -> int:
        return self.sessions * self.size


def tokens_of(rooms: Sequence[Room]) -> list[str]:
    """The tokens of all. Raises NotServing when a join failed."""
    joined = [each for room in rooms for each in room.joined]
    if None in joined:
        raise NotServing(f"{joined.count(None)} of {len(joined)} people could not join")
    return [each.websocket_token for each in joined if each is not None]


@dataclass
class Counters:
    """Counted over several connections."""

    delivered: int = 0
    repeated: int = 0
    foreign: int = 0
    unreadable: int = 0
    errors: int = 0
    closed: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    sweeps: "array[float]" = field(default_factory=lambda: array("d"))
    counted_from_us: int | None = None
    """Updates sent before this moment are not in ``latencies``."""


class Person:
    """One connection, which never blocks."""

    __slots__ = (
        "_began",
        "_first",
        "_key",
        "_last",
        "_reader",
        "_sample",
        "_seen",
        "connect_s",
        "counters",
        "number",
        "open",
        "socket",
        "upgraded",
    )  # fmt: skip

    def __init__(self, number: int, size: int, sample: int, counters: Counters) -> None:
        self.number = number
        self.open = False
        """True from the snapshot to the end of the connection."""
        self.upgraded = False
        self.connect_s = 0.0
        self._began = time.monotonic()
        self._first = number - number % size
        self._last = [-1] * size
        self._sample = sample
        self.counters = counters
        self._reader = FrameReader()
        self._seen = b""
        self._key = dice.randbytes(4)

    def connect(self, port: int, token: str) -> None:
        """Connect and request the upgrade; :meth:`receive` reads the response."""
        self._began = time.monotonic()
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(upgrade_request(HOST, port, token))
        self.socket.setblocking(False)

    def send(self, timestamp: str) -> None:
        """One position. A full socket buffer is an error: the server is never that slow."""
        lat, lng = write_position(self.number, clock_us(time.monotonic()))
        text = (
            f'{{"type":"location_update","data":{{"lat":{lat},"lng":{lng},'
            f'"accuracy":5,"timestamp":"{timestamp}"}}}}'
        )
        self.socket.send(client_frame(TEXT, text.encode(), self._key))

    def receive(self) -> bool:
        """Read and count. False when the connection has ended. Raises NotServing when it was
        refused.
        """
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        now = time.monotonic()
        self.open = self.open and bool(data)
        if data and not self.upgraded:
            data = self._upgrade(data)
            if not data:
                return True
        return bool(data) and self._take(data, now)

    def _take(self, data: bytes, now: float) -> bool:
        try:
            whole, texts, others = self._reader.feed(data)
        except BadFrame:
            self.counters.unreadable += 1
            self.open = False
            return False
        if texts and not self.open:
            whole, texts = self._open(whole, now)
        found = POSITION.findall(whole)
        if found:
            self._count(found, clock_us(now))
        if len(found) != texts:
            self.counters.errors += whole.count(_ERROR)
        return not others or self._answer(others)

    def _answer(self, others: Sequence[Frame]) -> bool:
        """A ping may come before the snapshot. False when the server closes."""
        for frame in others:
            if frame.opcode == PING:
                self.socket.send(client_frame(PONG, frame.payload, self._key))
            elif frame.opcode == CLOSE:
                self.open = False
                return False
        return True

    def _upgrade(self, data: bytes) -> bytes:
        """Consume the response to the upgrade. Returns the data after it."""
        self._seen += data
        head, end, rest = self._seen.partition(b"\r\n\r\n")
        if not end:
            return b""
        if not head.startswith(b"HTTP/1.1 101 "):
            status, _, _ = head.partition(b"\r\n")
            raise NotServing(f"the upgrade was answered with {status!r}")
        self.upgraded = True
        self._seen = b""
        return rest

    def _open(self, whole: bytes, now: float) -> tuple[bytes, int]:
        """Consume the snapshot, whose positions are not deliveries."""
        first, *later = payloads(whole)
        if not first.startswith(_SNAPSHOT):
            raise NotServing("the first message was no snapshot")
        self.open = True
        self.connect_s = now - self._began
        return b"".join(later), len(later)

    def _count(self, found: list[tuple[bytes, bytes]], now_us: int) -> None:
        counters = self.counters
        counters.delivered += len(found)
        if self._sample > 1:
            found = found[dice.randrange(self._sample) :: self._sample]
        since = counters.counted_from_us
        for lat, lng in found:
            sender, sent_us = read_position(lat, lng)
            place = sender - self._first
            if not 0 <= sender < MOST_SENDERS or not 0 <= sent_us < SPAN_US:
                counters.unreadable += 1
                continue
            if not 0 <= place < len(self._last):
                counters.foreign += 1
                continue
            last = self._last[place]
            if last >= 0 and not 0 < (sent_us - last) % SPAN_US < SPAN_US // 2:
                counters.repeated += 1
            self._last[place] = sent_us
            if since is not None and (sent_us - since) % SPAN_US < SPAN_US // 2:
                counters.latencies.append(since_s(sent_us, now_us))


class Crowd:
    """All clients of one wave, in one loop. Deliveries to the first session are counted in
    ``first``, if that is given.
    """

    def __init__(
        self, load: Load, port: int, tokens: Sequence[str], *, first: Counters | None = None
    ) -> None:
        self.counters = Counters()
        """Of all sessions but the one counted in ``first``."""
        self.first = self.counters if first is None else first
        self.sent = 0
        self._load = load
        self._port = port
        self._tokens = tokens
        self._selector = selectors.DefaultSelector()
        self._people = [
            Person(
                number, load.size, load.sample, self.first if number < load.size else self.counters
            )
            for number in range(load.people)
        ]
        # One order for the whole wave. In a new one the last could soon be first, and of two
        # updates that close together the server rightly broadcasts only the newer.
        self._order = dice.sample(self._people, len(self._people))
        self._leaving = False

    @property
    def here(self) -> int:
        """How many have their snapshot and are connected."""
        return sum(person.open for person in self._people)

    @property
    def connect_s(self) -> list[float]:
        """Of each, from before the connecting to after the snapshot."""
        return [person.connect_s for person in self._people]

    @property
    def expected(self) -> int:
        """Each update to each other person of its session."""
        return self.sent * (self._load.size - 1)

    @property
    def delivered(self) -> int:
        """All that came."""
        apart = 0 if self.first is self.counters else self.first.delivered
        return self.counters.delivered + apart

    def connect(self) -> None:
        """Everyone, evenly over time. Raises NotServing."""
        gap = 1 / self._load.connect_per_s
        due = time.monotonic()
        for person, token in zip(self._people, self._tokens, strict=True):
            self._run_until(due)
            due = max(due + gap, time.monotonic())
            person.connect(self._port, token)
            self._selector.register(person.socket, selectors.EVENT_READ, person)
        if not self._run_while(lambda: self.here < len(self._people)):
            raise NotServing(
                f"{self.here} of {len(self._people)} people are connected; "
                f"{sum(not person.upgraded for person in self._people)} got no answer to the "
                f"upgrade, {self.counters.closed} were closed, "
                f"{self.counters.unreadable} of them for what they were sent"
            )

    def send_for(self, seconds: float) -> None:
        """Each once per interval, at a random moment of their own slot, in an order that mixes the
        sessions.
        """
        order = self._order
        slot = self._load.interval_s / len(order)
        began = time.monotonic()
        for turn in range(round(seconds / slot)):
            self._run_until(began + (turn + dice.random()) * slot)
            person = order[turn % len(order)]
            if person.open:
                person.send(datetime.now(UTC).isoformat(timespec="milliseconds"))
                self.sent += 1

    def drain(self) -> None:
        """Until all deliveries have arrived, or the time is over."""
        self._run_while(lambda: self.delivered < self.expected)
        self._run_until(time.monotonic() + 0.2)  # to see duplicates

    def leave(self) -> None:
        """Until the server has closed every connection. Raises NotServing."""
        self._leaving = True
        if not self._run_while(lambda: self.here > 0):
            raise NotServing("connections outlived their session")

    def close(self) -> None:
        """Close the sockets."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def _run_until(self, due: float) -> None:
        while True:
            self._turn(max(due - time.monotonic(), 0))
            if time.monotonic() >= due:
                return

    def _run_while(self, unfinished: Callable[[], bool]) -> bool:
        """False when it is still unfinished at the time limit."""
        deadline = time.monotonic() + TIMEOUT_S
        while unfinished():
            if time.monotonic() > deadline:
                return False
            self._turn(0.02)
        return True

    def _turn(self, timeout: float) -> None:
        ready = self._selector.select(timeout)
        if not ready:
            return
        began = time.monotonic()
        for key, _ in ready:
            if not key.data.receive():
                self._selector.unregister(key.fileobj)
                key.data.socket.close()
                key.data.counters.closed += not self._leaving
        self.counters.sweeps.append(time.monotonic() - began)
