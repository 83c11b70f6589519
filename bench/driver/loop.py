"""One thread's loop: timers, and sockets that can be read or written.

All readable sockets are read, and the time is noted, before any of the data is processed. The
receivers of one broadcast become readable together; processing the first would otherwise count as
latency of the last.
"""

import selectors
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

_READ = selectors.EVENT_READ
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


class Peer(Protocol):
    """Whose socket it is."""

    def write(self) -> None:
        """The socket can be written."""

    def read(self) -> bytes | None:
        """The data that is there; None: none, or the connection is over."""

    def take(self, data: bytes, now: float) -> None:
        """Process what was read at ``now``."""


class Loop:
    """Runs in the thread that calls it. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, due: float, action: Callable[[], None]) -> None:
        """Call ``action`` then. It cannot be taken back."""
        heappush(self._timers, (due, next(self._numbers), action))

    def add(self, fileno: int, peer: Peer) -> None:
        """A new socket, that is not connected yet."""
        self._selector.register(fileno, _BOTH, peer)

    def want_writes(self, fileno: int, peer: Peer, wanted: bool) -> None:
        """Whether :meth:`Peer.write` is to be called."""
        self._selector.modify(fileno, _BOTH if wanted else _READ, peer)

    def remove(self, fileno: int) -> None:
        """Forget a socket, before it is closed."""
        self._selector.unregister(fileno)

    def run_until(self, due: float, unless: Callable[[], bool] = bool) -> bool:
        """Run until ``due``, or until ``unless`` is true. Returns whether it became true."""
        while not unless():
            now = time.monotonic()
            self._fire(now)
            next_due = min(self._timers[0][0], due) if self._timers else due
            self._turn(max(next_due - time.monotonic(), 0.0))
            if time.monotonic() >= due:
                return unless()
        return True

    def close(self) -> None:
        """Close the selector. The sockets belong to their owners."""
        self._selector.close()

    def _fire(self, now: float) -> None:
        timers = self._timers
        while timers and timers[0][0] <= now:
            heappop(timers)[2]()

    def _turn(self, timeout: float) -> None:
        read: list[tuple[Peer, bytes, float]] = []
        for key, events in self._selector.select(timeout):
            peer: Peer = key.data
            if events & selectors.EVENT_WRITE:
                peer.write()
            if events & _READ:
                data = peer.read()
                if data is not None:
                    read.append((peer, data, time.monotonic()))
        for peer, data, now in read:
            peer.take(data, now)
