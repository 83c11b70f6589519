"""Accounts for each delivery of a simulation, and its latency. Pure.

An update is due to every participant that is connected when it is sent, except its sender. Each
such *delivery* ends in one of four ways:

received   it arrived; the time from sending to receipt is a latency
skipped    a newer update of the same sender arrived instead: the latest position wins
waived     the connection of its sender or receiver ended first: the next snapshot repairs that
lost       none of these, which must not happen

Sender and timestamp identify an update, so the timestamps of a sender must differ.
"""

from collections import deque
from datetime import datetime
from typing import Final, final

from msgspec import Struct

LATENCIES_KEPT: Final = 200_000
"""The newest; percentiles are of these."""


class Latency(Struct, frozen=True):
    """Milliseconds from sending to receipt; None when nothing was received."""

    p50: float | None
    p95: float | None
    p99: float | None
    worst: float | None


@final
class Ledger:
    """The ledger of one session. Times are in seconds, all of one clock."""

    def __init__(self, latencies: deque[float] | None = None) -> None:
        """``latencies`` (seconds) may be shared by several."""
        self.sent = 0
        self.received = 0
        self.skipped = 0
        self.waived = 0
        self.lost = 0
        """Right after :meth:`close`; 0 before."""
        self.foreign = 0
        """Updates of participants that are not simulated."""
        self.latencies = deque(maxlen=LATENCIES_KEPT) if latencies is None else latencies
        self._ours: set[str] = set()
        self._online: set[str] = set()
        self._due: dict[tuple[str, str], deque[tuple[datetime, float]]] = {}
        """By receiver and sender: outstanding deliveries, oldest first."""

    def add(self, user_id: str) -> None:
        """A simulated participant, not connected yet."""
        self._ours.add(user_id)

    def connected(self, user_id: str) -> None:
        """Updates are due to ``user_id`` from now on."""
        self._online.add(user_id)

    def disconnected(self, user_id: str) -> None:
        """Waive all deliveries to and from ``user_id``."""
        self._online.discard(user_id)
        for pair, due in self._due.items():
            if user_id in pair:
                self.waived += len(due)
                due.clear()

    def sending(self, sender: str, timestamp: datetime, now: float) -> None:
        """``sender`` is about to send an update."""
        self.sent += 1
        for receiver in self._online:
            if receiver != sender:
                due = self._due.get((receiver, sender))
                if due is None:
                    due = self._due[receiver, sender] = deque()
                due.append((timestamp, now))

    def receiving(self, receiver: str, sender: str, timestamp: datetime, now: float) -> None:
        """``receiver`` received an update."""
        if sender not in self._ours:
            self.foreign += 1
            return
        due = self._due.get((receiver, sender))
        while due and due[0][0] <= timestamp:
            dated, sent_at = due.popleft()
            if dated == timestamp:
                self.received += 1
                self.latencies.append(now - sent_at)
            else:
                self.skipped += 1

    def close(self) -> None:
        """Count all outstanding deliveries as lost."""
        self.lost += self.outstanding
        self._due.clear()

    @property
    def expected(self) -> int:
        """Deliveries that are due or done, without those waived."""
        return self.received + self.skipped + self.lost + self.outstanding

    @property
    def outstanding(self) -> int:
        """Deliveries that are still due."""
        return sum(map(len, self._due.values()))


def latency(values: list[float]) -> Latency:
    """The percentiles of ``values`` (seconds, in any order), by the nearest rank."""
    if not values:
        return Latency(None, None, None, None)
    values = sorted(values)

    def at(percent: int) -> float:
        rank = -(-percent * len(values) // 100)  # rounded up
        return round(values[max(rank, 1) - 1] * 1000, 3)

    return Latency(at(50), at(95), at(99), at(100))
