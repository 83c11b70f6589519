"""A socket that takes exactly as many bytes as a test allows, and a reader of what it took."""

import struct
from collections.abc import Awaitable, Callable

import trio

from locshare.broadcast.outbox import DEFAULT_LIMITS, Outbox, OutboxLimits, Written
from locshare.model.reasons import CloseReason
from locshare.wire.dialects import PLAIN

UNLIMITED = 1 << 40


class FakeWire:
    """Implements `locshare.broadcast.outbox.Wire`."""

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

    async def wait_writable(self) -> None:
        while not self.room and not self.broken:
            await self._room_came.wait()
        if self.fail_wait is not None:
            raise self.fail_wait
        await trio.lowlevel.checkpoint()

    def close_frame(self, reason: CloseReason) -> bytes:
        return b"\x88\x02" + struct.pack("!H", reason.code)

    def end_of_writing(self) -> None:
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


class Rig:
    """An outbox on a fake wire. `closing` collects the deadlines that it announced."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        room: int = UNLIMITED,
        limits: OutboxLimits = DEFAULT_LIMITS,
        user_id: str = "me",
    ) -> None:
        self.wire = FakeWire(room)
        self.closing: list[float] = []
        self.spawned = 0
        self.written = Written()
        self._nursery = nursery
        self.outbox = Outbox(
            user_id,
            PLAIN,
            self.wire,
            spawn=self._spawn,
            on_closing=self.closing.append,
            written=self.written,
            limits=limits,
        )

    def _spawn(self, drain: Callable[[], Awaitable[None]]) -> None:
        self.spawned += 1
        self._nursery.start_soon(drain)
