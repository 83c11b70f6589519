"""A group of people on a impaired target, small enough for one Trio loop: each sends a position
every so often, comes back when the connection is lost, and notes what comes of the others'.
"""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import trio

from bench.network.proxied import ProxiedTarget
from bench.network.proxy import text_of
from locshare.client import Client, ClientError, Live, Watcher
from locshare.model.position import ParticipantPosition, Position
from locshare.model.session import Snapshot
from locshare.wire.messages import ServerMessage
from tests.running import LAST_RESORT_S

CONNECT_PATIENCE_S = LAST_RESORT_S
"""A third of all handshakes over a bad link take a second or more, and some are given up."""
SETTLE_S = LAST_RESORT_S
"""Whose last packet is lost several times waits so much longer each time."""
_DEGREES = 1e-3

dice = random.Random(1)


@dataclass
class Outcome:
    """What came of it; times in seconds."""

    connect_s: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)
    settled_s: float = 0.0
    """How long after the last send everybody had everybody's last position."""
    sent: int = 0
    disconnects: list[str] = field(default_factory=list)
    stale_pairs: int = 0
    connected: int = 0
    """At the end."""


class _Person(Watcher):
    def __init__(self, group: "Group", user_id: str, url: str, token: str) -> None:
        self.user_id = user_id
        self.live = Live(url, token, watcher=self)
        self.sent_at: list[float] = []
        self._group = group
        self._began = time.monotonic()
        self.unsure = False
        """Connected anew since the last send: what was sent before may be lost."""

    def connected(self, snapshot: Snapshot) -> None:
        self._group.outcome.connect_s.append(time.monotonic() - self._began)
        self.unsure = True

    def disconnected(self, cause: ClientError, retry_in: float | None) -> None:
        self._group.outcome.disconnects.append(str(cause))
        self._began = time.monotonic()

    def received(self, message: ServerMessage) -> None:
        if isinstance(message, ParticipantPosition):
            sender = self._group.people[message.user_id]
            step = round(message.lat / _DEGREES)
            self._group.outcome.latency_s.append(time.monotonic() - sender.sent_at[step])

    async def move(self) -> None:
        position = Position(len(self.sent_at) * _DEGREES, 13.4, 5, datetime.now(UTC))
        self.sent_at.append(time.monotonic())
        if await self.live.send_position(position):
            self._group.outcome.sent += 1
            self.unsure = False

    def knows_last_of(self, other: "_Person") -> bool:
        replica = self.live.replica
        position = None if replica is None else replica.positions.get(other.user_id)
        last = len(other.sent_at) - 1
        return position is not None and round(position.lat / _DEGREES) == last


class Group:
    """Everybody of one session."""

    def __init__(self, size: int, *, interval_s: float, duration_s: float) -> None:
        self.outcome = Outcome()
        self.people: dict[str, _Person] = {}
        self._size = size
        self._interval_s = interval_s
        self._duration_s = duration_s

    async def run(self, target: ProxiedTarget) -> Outcome:
        """Join, connect, send for the duration, wait for what is on its way, look."""
        async with Client(target.http_url) as client, trio.open_nursery() as nursery:
            session = await client.create_session("group")
            for number in range(self._size):
                joined = await client.join(session.session_id, f"person {number}")
                url = _led(joined.websocket_url, target)
                person = _Person(self, joined.user_id, url, joined.websocket_token)
                self.people[person.user_id] = person
            for person in self.people.values():
                nursery.start_soon(person.live.run)
            with trio.fail_after(CONNECT_PATIENCE_S):
                for person in self.people.values():
                    await person.live.has_connected.wait()
            async with trio.open_nursery() as senders:
                for person in self.people.values():
                    senders.start_soon(self._send, person)
            ended = time.monotonic()
            while self._stale() and time.monotonic() < ended + SETTLE_S:
                for person in self.people.values():
                    if person.unsure and person.live.connected:
                        await person.move()
                await trio.sleep(0.02)
            self.outcome.settled_s = time.monotonic() - ended
            self.outcome.stale_pairs = self._stale()
            self.outcome.connected = sum(each.live.connected for each in self.people.values())
            nursery.cancel_scope.cancel()
        return self.outcome

    async def _send(self, person: _Person) -> None:
        await trio.sleep(dice.uniform(0, self._interval_s))
        for _ in range(round(self._duration_s / self._interval_s)):
            await person.move()
            await trio.sleep(self._interval_s)

    def _stale(self) -> int:
        people = self.people.values()
        return sum(
            not receiver.knows_last_of(sender)
            for receiver in people
            for sender in people
            if sender is not receiver
        )


def _led(url: str, through: ProxiedTarget) -> str:
    return urlsplit(url)._replace(netloc=text_of(through.via)).geturl()
