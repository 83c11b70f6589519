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
from typing import Any, NamedTuple

from bench.errors import NotServing
from bench.rest import Room
from bench.results import Dialect
from bench.servers import HOST
from bench.solo.codecs import CODECS, Codec
from bench.solo.frames import (
    CLOSE,
    MOST_SENDERS,
    PING,
    PONG,
    SPAN_US,
    BadFrame,
    Frame,
    FrameReader,
    client_frame,
    clock_us,
    payloads,
    server_frame,
    since_s,
    upgrade_request,
)

TIMEOUT_S = 10.0
"""Time limit for the last connection, the last delivery and the last close."""

_CHUNK = 262_144

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
    dialect: Dialect = "plain"
    details: bool = False
    """Positions have altitude, speed, heading and battery too."""

    @property
    def people(self) -> int:
        return self.sessions * self.size


class Ticket(NamedTuple):
    """What a person needs to connect."""

    session_id: str
    token: str


def tickets_of(rooms: Sequence[Room]) -> list[Ticket]:
    """The tickets of all. Raises NotServing when a join failed."""
    joined = [(room.session.session_id, each) for room in rooms for each in room.joined]
    missing = sum(each is None for _, each in joined)
    if missing:
        raise NotServing(f"{missing} of {len(joined)} people could not join")
    return [Ticket(session, each.websocket_token) for session, each in joined if each is not None]


@dataclass
class Counters:
    """Counted over several connections."""

    delivered: int = 0
    received_bytes: int = 0
    """Of frames with data after the snapshot, headers included."""
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
        "_codec",
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

    def __init__(
        self, number: int, size: int, sample: int, counters: Counters, codec: Codec
    ) -> None:
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
        self._codec = codec
        self._reader = FrameReader(codec.opcode)
        self._seen = b""
        self._key = dice.randbytes(4)

    def connect(self, port: int, token: str) -> None:
        """Connect and request the upgrade; :meth:`receive` reads the response."""
        self._began = time.monotonic()
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(upgrade_request(HOST, port, *self._codec.request(token)))
        self.socket.setblocking(False)

    def send(self, at: datetime) -> None:
        """One position, dated ``at``. A full socket buffer is an error: no server is that slow."""
        payload = self._codec.position(clock_us(time.monotonic()), at)
        self.socket.send(client_frame(self._codec.opcode, payload, self._key))

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
            whole, frames, others = self._reader.feed(data)
        except BadFrame:
            self.counters.unreadable += 1
            self.open = False
            return False
        if frames and not self.open:
            whole, frames = self._open(whole, now)
        if frames:
            self.counters.received_bytes += len(whole)
            found, errors = self._codec.read(whole, frames)
            if found:
                self._count(found, clock_us(now))
            self.counters.errors += errors
            if self._codec.over:
                self.open = False
                return False
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
        if (hello := self._codec.hello()) is not None:
            self.socket.send(client_frame(self._codec.opcode, hello, self._key))
        return rest

    def _open(self, whole: bytes, now: float) -> tuple[bytes, int]:
        """Consume what comes up to the snapshot, whose positions are not deliveries. Returns the
        frames after it, and their number.
        """
        frames = payloads(whole, self._codec.opcode)
        for number, payload in enumerate(frames, 1):
            is_snapshot = self._codec.is_snapshot(payload)
            if is_snapshot:
                self.open = True
                self.connect_s = now - self._began
                later = frames[number:]
                opcode = self._codec.opcode
                return b"".join(server_frame(opcode, each) for each in later), len(later)
            if is_snapshot is not None:
                raise NotServing("the first message was no snapshot")
        return b"", 0

    def _count(self, found: Sequence[Any], now_us: int) -> None:
        counters = self.counters
        counters.delivered += len(found)
        if self._sample > 1:
            found = found[dice.randrange(self._sample) :: self._sample]
        since = counters.counted_from_us
        source = self._codec.source
        for each in found:
            sender, sent_us = source(each)
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
        self, load: Load, port: int, tickets: Sequence[Ticket], *, first: Counters | None = None
    ) -> None:
        self.counters = Counters()
        """Of all sessions but the one counted in ``first``."""
        self.first = self.counters if first is None else first
        self.sent = 0
        self._load = load
        self._port = port
        self._tickets = tickets
        self._selector = selectors.DefaultSelector()
        self._people = [
            Person(
                number,
                load.size,
                load.sample,
                self.first if number < load.size else self.counters,
                CODECS[load.dialect](number, ticket.session_id, load.details),
            )
            for number, ticket in enumerate(tickets)
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
        for person, ticket in zip(self._people, self._tickets, strict=True):
            self._run_until(due)
            due = max(due + gap, time.monotonic())
            person.connect(self._port, ticket.token)
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
                person.send(datetime.now(UTC))
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
