"""Encode once: a message becomes one finished WebSocket frame that serves every receiver.

A server's frames are not masked (RFC 6455 section 5.1), so all receivers can get the same bytes. A
flush joins the frames of all participants that moved into one byte string: still one message per
frame, but one write per receiver. A dialect may write a flush as one
message instead. Pure: no I/O, no clock.
"""

from collections.abc import Callable, Mapping
from typing import final

from locshare.model.position import HeldPosition
from locshare.wire.dialects import Dialect
from locshare.wire.messages import ServerMessage

_TEXT_FINAL = 0x81
_BINARY_FINAL = 0x82


def text_frame(payload: bytes, first: int = _TEXT_FINAL) -> bytes:
    """One final, unmasked text frame around ``payload`` (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return b"".join((bytes((first, 126)), size.to_bytes(2, "big"), payload))
    return b"".join((bytes((first, 127)), size.to_bytes(8, "big"), payload))


def binary_frame(payload: bytes) -> bytes:
    """As :func:`text_frame`, a binary one."""
    return text_frame(payload, _BINARY_FINAL)


def encode_frame(message: ServerMessage, dialect: Dialect) -> bytes:
    """``message`` as one finished frame in ``dialect``."""
    frame = binary_frame if dialect.binary else text_frame
    return frame(dialect.encode(message))


class Flush:
    """One broadcast of every position that changed since the last, in one dialect.

    ``frames`` maps each participant that moved to its finished frame, in the order they moved, and
    must not be changed afterwards; ``joined`` is all of them in one piece.
    """

    __slots__ = ("_spans", "frames", "joined")

    whole = False
    """Whether ``joined`` is a single frame of several positions, which must not be cut."""

    def __init__(self, frames: Mapping[str, bytes]) -> None:
        self.frames = frames
        self.joined = b"".join(frames.values())
        self._spans: dict[str, tuple[int, int]] | None = None

    @property
    def waiting(self) -> Mapping[str, bytes]:
        """The frame of each participant that moved, for a receiver that cannot take all."""
        return self.frames

    def without(self, user_id: str) -> bytes:
        """All frames except that of ``user_id``, in one piece. Empty when no other moved.

        Two slices of ``joined``, not a new join: when a hundred participants move, this is called a
        hundred times, and joining would take ten thousand steps for one flush.
        """
        if user_id not in self.frames:
            return self.joined
        if len(self.frames) == 1:
            return b""
        start, end = self.spans()[user_id]
        return self.joined[:start] + self.joined[end:]

    def spans(self) -> Mapping[str, tuple[int, int]]:
        """The start and end in ``joined`` of each participant's frame."""
        spans = self._spans
        if spans is None:
            spans = self._spans = {}
            start = 0
            for user_id, frame in self.frames.items():
                end = start + len(frame)
                spans[user_id] = (start, end)
                start = end
        return spans


Batch = Callable[[Mapping[str, HeldPosition], float], bytes]


@final
class BatchFlush(Flush):
    """All positions in one frame, the same for every receiver, whose own is among them.

    ``frames`` is empty, as no receiver leaves anything out. A receiver whose socket is full keeps
    one frame for each participant instead, so that the newest of each counts there too. They are
    encoded when the first such receiver is found.
    """

    __slots__ = ("_batch", "_clock", "_moved", "_waiting")

    whole = True

    def __init__(self, moved: Mapping[str, HeldPosition], clock: float, batch: Batch) -> None:
        super().__init__({})
        self.joined = binary_frame(batch(moved, clock))
        self._moved = moved
        self._clock = clock
        self._batch = batch
        self._waiting: dict[str, bytes] | None = None

    @property
    def waiting(self) -> Mapping[str, bytes]:
        """See :attr:`Flush.waiting`."""
        if self._waiting is None:
            self._waiting = _encode_each(self._moved, self._clock, self._batch)
        return self._waiting


def _encode_each(moved: Mapping[str, HeldPosition], clock: float, batch: Batch) -> dict[str, bytes]:
    return {user_id: binary_frame(batch({user_id: held}, clock)) for user_id, held in moved.items()}


def encode_flush(moved: Mapping[str, HeldPosition], clock: float, dialect: Dialect) -> Flush:
    """Encode each of ``moved`` once, with the age of its fix at ``clock``."""
    if (batch := dialect.encode_batch) is not None:
        if len(moved) > 1:
            return BatchFlush(moved, clock, batch)
        return Flush(_encode_each(moved, clock, batch))  # the sender does not get it back
    encode = dialect.encode_position
    frame = binary_frame if dialect.binary else text_frame
    frames = {}
    for user_id, held in moved.items():
        frames[user_id] = frame(encode(user_id, held.position, held.age_ms(clock)))
    return Flush(frames)
