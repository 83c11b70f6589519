"""The frames that wait for one full socket, and what is written next. Pure: no I/O, no clock.

Two lanes share one queue, so that their relative order is a property of the data structure:

* **Events** are complete and in order.
* **Positions** are latest wins: a newer position of a participant replaces the one that waits, at
  its place in the queue, so that a receiver that takes only part of the queue at a time gets every
  participant in turn. But a position never moves ahead of an event: when an event waits, the newer
  position goes to the end.

So a position handed over before ``participant_left`` never comes after it, and a position handed
over after ``participant_joined`` never comes before it.

* **Control** frames (ping, pong) wait once per kind: RFC 6455 section 5.5.3 lets a pong answer
  only the newest ping.

Invariant after every method: what was sent and what :meth:`Backlog.chunk` will still give is a
sequence of whole frames, however the bytes were cut; ``cost`` is the sum over what waits.
"""

import enum
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping

ENTRY_COST = 128
"""Bytes of bookkeeping counted for each waiting frame, so that a flood of tiny frames is bounded
by the memory it really takes."""


class Control(enum.Enum):
    """The kinds of control frame that wait at most once."""

    PING = "ping"
    PONG = "pong"


Topic = Hashable
"""The subscription that a position belongs to, among those that share a socket. None for the only
one of a plain socket, which keeps its keys short."""

Key = str | int | Control | tuple[Topic, str]
"""A participant's position, the number of an event, or a kind of control frame."""


class Backlog:
    """The frames that one socket has not taken yet."""

    __slots__ = ("_events", "_next_event", "_started", "_waiting", "cost")

    def __init__(self) -> None:
        self._started = b""  # the rest of a frame whose first bytes are on their way
        self._waiting: OrderedDict[Key, bytes] = OrderedDict()
        self._events = 0  # how many events are in _waiting
        self._next_event = 0
        self.cost = 0
        """Bytes that wait, plus :data:`ENTRY_COST` for each whole frame."""

    def __bool__(self) -> bool:
        return bool(self._started or self._waiting)

    @property
    def started(self) -> int:
        """Bytes left of a frame already begun."""
        return len(self._started)

    def add_positions(self, frames: Mapping[str, bytes], own: str, topic: Topic = None) -> None:
        """Keep the newest of each participant in ``frames``, except ``own``."""
        waiting = self._waiting
        for user_id, frame in frames.items():
            if user_id == own:
                continue
            key = user_id if topic is None else (topic, user_id)
            old = waiting.get(key)
            if old is not None:
                self.cost -= len(old) + ENTRY_COST
                if self._events:
                    del waiting[key]
            waiting[key] = frame
            self.cost += len(frame) + ENTRY_COST

    def add_event(self, frame: bytes) -> None:
        """Keep ``frame`` in order."""
        self._waiting[self._next_event] = frame
        self._next_event += 1
        self._events += 1
        self.cost += len(frame) + ENTRY_COST

    def add_control(self, kind: Control, frame: bytes) -> None:
        """Keep ``frame`` instead of one of its kind that waits."""
        old = self._waiting.get(kind)
        if old is not None:
            self.cost -= len(old) + ENTRY_COST
        self._waiting[kind] = frame
        self.cost += len(frame) + ENTRY_COST

    def add_rest(
        self, frames: Mapping[str, bytes], own: str, sent: int, topic: Topic = None
    ) -> None:
        """Keep what a partial write of ``frames`` (except ``own``, in their order) left.

        ``sent`` bytes of them went out; nothing else may be waiting.
        """
        left = {}
        for user_id, frame in frames.items():
            if user_id == own:
                continue
            if sent >= len(frame):
                sent -= len(frame)
            elif sent:
                self._start(frame[sent:])
                sent = 0
            else:
                left[user_id] = frame
        self.add_positions(left, own, topic)

    def add_rest_of_event(self, frame: bytes, sent: int) -> None:
        """Keep what a partial write of one event or control frame left; nothing else may wait."""
        if sent:
            self._start(frame[sent:])
        else:
            self.add_event(frame)

    def chunk(self, limit: int) -> bytes:
        """The bytes to write next: whole frames until ``limit`` is reached or passed."""
        parts = [self._started] if self._started else []
        size = len(self._started)
        for frame in self._waiting.values():
            if size >= limit:
                break
            parts.append(frame)
            size += len(frame)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def advance(self, sent: int) -> None:
        """The socket took the first ``sent`` bytes of the last :meth:`chunk`."""
        if self._started:
            taken = min(sent, len(self._started))
            self._started = self._started[taken:]
            self.cost -= taken
            sent -= taken
        while sent:
            key, frame = self._waiting.popitem(last=False)
            self._forget(key, frame)
            if sent < len(frame):
                self._start(frame[sent:])
                return
            sent -= len(frame)

    def drop_positions(self) -> None:
        """Drop positions and control frames: the connection is about to close."""
        self._keep_only(key for key in self._waiting if isinstance(key, int))

    def drop_waiting(self) -> None:
        """Drop everything but the rest of a frame already begun."""
        self._keep_only(())

    def _keep_only(self, keys: Iterable[Key]) -> None:
        kept = set(keys)
        for key in [key for key in self._waiting if key not in kept]:
            self._forget(key, self._waiting.pop(key))

    def _start(self, rest: bytes) -> None:
        self._started = rest
        self.cost += len(rest)

    def _forget(self, key: Key, frame: bytes) -> None:
        self.cost -= len(frame) + ENTRY_COST
        if isinstance(key, int):
            self._events -= 1
