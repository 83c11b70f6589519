"""A socket that takes exactly as many bytes as a test allows, and a reader of what it took."""

import struct
from collections.abc import Awaitable, Callable
from typing import cast
from uuid import UUID

import trio

from locshare.broadcast.native import WriteCounters
from locshare.broadcast.outbox import DEFAULT_LIMITS, Outbox, OutboxLimits
from locshare.connection.admission import Link
from locshare.connection.lifecycle import Action, Event, Lifecycle, State
from locshare.connection.subscription import Subscription
from locshare.model.reasons import CloseReason
from locshare.wire.plain import PLAIN

UNLIMITED = 1 << 40


class FakeWire:
    """Implements `locshare.broadcast.outbox.OutboxSocket`."""

    def __init__(self, room: int = UNLIMITED) -> None:
        self.room = room
        self.taken = bytearray()
        self.sends = 0
        self.ended = False
        self.broken = False
        self.fail_wait: Exception | None = None
        """What waiting for room raises, once room is given."""
        self._room_came = trio.Event()

    def give_room(self, size: int) -> None:
        self.room += size
        self._room_came.set()
        self._room_came = trio.Event()

    def send(self, data: bytes, /) -> int:
        self.sends += 1
        assert data, "an empty send is a wasted system call"
        assert not self.ended, "written after the end"
        if self.broken:
            raise BrokenPipeError
        if not self.room:
            raise BlockingIOError
        size = min(self.room, len(data))
        self.room -= size
        self.taken += data[:size]
        return size

    descriptor = -1

    async def wait_writable(self) -> None:
        while not self.room and not self.broken:
            await self._room_came.wait()
        if self.fail_wait is not None:
            raise self.fail_wait
        await trio.lowlevel.checkpoint()

    def shut_writing(self) -> None:
        assert not self.ended
        self.ended = True

    def frames(self) -> list[tuple[int, bytes]]:
        """All that was taken, as (first byte, payload); fails if it is not whole frames."""
        return parse(bytes(self.taken))


def parse(data: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while data:
        first, size = data[0], data[1]
        start = 2
        if size == 126:
            (size,) = struct.unpack("!H", data[2:4])
            start = 4
        elif size == 127:
            (size,) = struct.unpack("!Q", data[2:10])
            start = 10
        assert len(data) >= start + size, "broke off inside a frame"
        frames.append((first, data[start : start + size]))
        data = data[start + size :]
    return frames


class _NoLink: ...


def no_link() -> Link:
    """A link for a subscription whose session is never asked: what asks all the same fails."""
    return cast("Link", _NoLink())


class Rig:
    """A subscription and its outbox on a fake wire, which close as a connection's do. `closing`
    collects the deadlines that were set.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        room: int = UNLIMITED,
        limits: OutboxLimits = DEFAULT_LIMITS,
        user_id: str = "me",
    ) -> None:
        self.wire = FakeWire(room)
        self.lifecycle = Lifecycle(State.OPEN)
        self.closing: list[float] = []
        self.spawned = 0
        self.counters = WriteCounters()
        self._limits = limits
        self._nursery = nursery
        self.outbox = Outbox(
            self.wire, self, spawn=self._spawn, counters=self.counters, limits=limits
        )
        self.receiver = Subscription(UUID(int=1), user_id, PLAIN, self.outbox, self, no_link())

    @property
    def reason(self) -> CloseReason | None:
        return self.lifecycle.reason

    def _spawn(self, drain: Callable[[], Awaitable[None]]) -> None:
        self.spawned += 1
        self._nursery.start_soon(drain)

    def close_subscription(self, _subscription: Subscription, reason: CloseReason) -> None:
        self._advance(Event.CLOSE, reason)

    def peer_closed(self, reply: bytes) -> None:
        self._advance(Event.PEER_CLOSED, CloseReason.PEER_CLOSED, reply)

    def violated(self, reason: CloseReason, frame: bytes) -> None:
        self._advance(Event.CLOSE, reason, frame)

    def lost(self) -> None:
        self._advance(Event.PEER_GONE, CloseReason.PEER_GONE)

    def drained(self) -> None:
        self._advance(Event.DRAINED)

    def write_failed(self) -> None:
        self._advance(Event.WRITE_FAILED, CloseReason.PEER_GONE)

    def too_slow(self) -> None:
        self._advance(Event.CLOSE_SLOW, CloseReason.TOO_SLOW)

    def _advance(
        self, event: Event, reason: CloseReason | None = None, frame: bytes | None = None
    ) -> None:
        for action in self.lifecycle.feed(event, reason):
            match action:
                case Action.STOP:
                    self.receiver.end()
                case Action.START_LINGER:
                    self.closing.append(self._limits.linger)
                case Action.QUEUE_CLOSE | Action.QUEUE_CLOSE_ALONE:
                    assert reason is not None
                    short = b"\x88\x02" + struct.pack("!H", reason.code)
                    alone = action is Action.QUEUE_CLOSE_ALONE
                    self.outbox.queue_close(frame or short, alone=alone)
                case Action.SHUT_WRITING:
                    self.wire.shut_writing()
                case Action.END:
                    self.outbox.abandon()
                    self.closing.append(0.0)
