"""The send loop of a flush in Python: the twin of ``_native.c``, and what its interface promises.

It is used where the compiled module could not be built, and is what the compiled one is held to:
the tests of this room run against both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar, final

R = TypeVar("R")


@final
class WriteCounters:
    """What all outboxes that share it have written.

    Shared, because three numbers per outbox would be three places in memory that every flush has to
    fetch for every receiver.
    """

    __slots__ = ("size", "stalls", "writes")

    def __init__(self) -> None:
        self.writes = 0
        """How many times bytes were handed to the kernel."""
        self.size = 0
        """Bytes that it took."""
        self.stalls = 0
        """How many times a socket did not take all that was offered while it was free."""


@final
class Exit:
    """The way out of one socket, for the fans that write to it without its outbox.

    ``descriptor`` is the socket's file descriptor, or -1 where there is none (then only the twin in
    Python can write to it); ``send`` its method. Whoever closes the socket sets ``open`` to False
    before: the descriptor may then be another connection's.
    """

    __slots__ = ("counters", "open", "send")

    def __init__(
        self, _descriptor: int, send: Callable[[bytes], int], counters: WriteCounters, /
    ) -> None:
        self.send = send
        self.counters = counters
        self.open = True
        """Nothing waits, and more may be written."""


@final
class Fan(Generic[R]):
    """The receivers of a flush, side by side, in the order in which they were added."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[R, Exit | None]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, receiver: R, way_out: Exit | None, /) -> None:
        """Write to ``receiver`` too, which is not in the fan yet. Without an exit it is never
        written to, and always among those that :meth:`send` returns.
        """
        self._entries.append((receiver, way_out))

    def remove(self, receiver: R, /) -> None:
        """Write to ``receiver`` no more. Idempotent."""
        self._entries = [entry for entry in self._entries if entry[0] is not receiver]

    def clear(self) -> None:
        """Write to nobody, and hold nobody."""
        self._entries = []

    def send(self, data: bytes, without: Mapping[R, tuple[int, int]], /) -> Sequence[tuple[R, int]]:
        """Offer ``data`` to every receiver's socket once; to those in ``without`` the rest that
        their span (start and end, of whole frames) leaves, if any.

        Returns each receiver whose socket did not take all of it, with how many bytes it took: 0
        when its exit was not open, or the socket full or gone. Neither waits nor raises.
        """
        late: list[tuple[R, int]] = []
        size = len(data)
        for receiver, way_out in self._entries:
            piece, due = data, size
            if without:
                span = without.get(receiver)
                if span is not None:
                    start, end = span
                    piece = data[:start] + data[end:]
                    due = len(piece)
                    if not due:
                        continue
            if way_out is None or not way_out.open:
                late.append((receiver, 0))
                continue
            try:
                sent = way_out.send(piece)
            except OSError:
                late.append((receiver, 0))
                continue
            counters = way_out.counters
            counters.writes += 1
            counters.size += sent
            if sent != due:
                late.append((receiver, sent))
        return late
