"""Reads the sockets of all connections that wait for a message, in one task.

A task that waits for its own socket is woken for each message, which costs more than to take the
message. So the connections' sockets are in one epoll set, level-triggered, and the task that waits
for that set reads them (:meth:`Readable.read_ready`). It is a supervised child: when it ends,
every connection goes back to waiting for its own socket, and returns to the reader once there is
one again. Nothing is lost with it: what was not read is still in the sockets.

Where the system has no epoll there is no reader, and each connection waits for itself.
"""

import select
from typing import Final, Protocol, final

import trio

SOCKETS_PER_TURN: Final = 4_096
"""Then the other tasks get a turn of the loop: some 60 ms. Fewer would cost more than they save.
Under overload, positions that were read in one turn are joined into one write per receiver, and a
step of 64 sockets joined next to none of a thousand small groups."""


class Readable(Protocol):
    """A connection's socket (:class:`locshare.connection.transport.Transport`)."""

    def read_ready(self) -> bool:
        """There are bytes, or the end. False when the socket is not the reader's to read now: its
        task is at work. Raises nothing.
        """
        ...

    def reader_ended(self) -> None:
        """The reader has ended, and the socket is not in its set any more."""
        ...


@final
class Reader:
    """The set, and the task that reads what is in it."""

    __slots__ = ("_epoll", "_readable")

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._readable: dict[int, Readable] = {}  # by descriptor, what is in the set

    def __len__(self) -> int:
        return len(self._readable)

    @property
    def serving(self) -> bool:
        """Whether :meth:`add` may be called."""
        return self._epoll is not None

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read until cancelled."""
        if not hasattr(select, "epoll"):
            task_status.started()
            await trio.sleep_forever()
        with select.epoll() as epoll:
            self._epoll = epoll
            try:
                task_status.started()
                while True:
                    await trio.lowlevel.wait_readable(epoll.fileno())
                    self._step(epoll)
            finally:
                self._epoll = None
                readable, self._readable = self._readable, {}
                for each in readable.values():
                    each.reader_ended()

    def _step(self, epoll: select.epoll) -> None:
        """In a function of its own: what is local to the task would keep the last connection."""
        readable = self._readable
        for descriptor, _ in epoll.poll(0, min(len(readable), SOCKETS_PER_TURN) or 1):
            # One of those before it in this step may have closed it.
            each = readable.get(descriptor)
            if each is not None and not each.read_ready():
                self.remove(descriptor)

    def add(self, descriptor: int, readable: Readable) -> None:
        """Read ``readable`` whenever there is something, until :meth:`remove`. Raises OSError."""
        if self._epoll is None:
            raise RuntimeError("nobody reads")
        self._epoll.register(descriptor, select.EPOLLIN)
        self._readable[descriptor] = readable

    def remove(self, descriptor: int) -> None:
        """Before the socket is closed: the kernel keeps what was closed in the set for as long as a
        copy of the descriptor is open. Idempotent.
        """
        if self._readable.pop(descriptor, None) is not None and self._epoll is not None:
            self._epoll.unregister(descriptor)
