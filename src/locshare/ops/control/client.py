"""The client's end of the control socket."""

import errno
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, final, overload

import msgspec
import trio
from msgspec import Struct

from locshare.ops.control.lines import LineReader, LineTooLong
from locshare.ops.control.protocol import MAX_ANSWER_BYTES, Answer, ControlError

T = TypeVar("T")

ANSWER_S: Final = 10.0
"""A loop that turns answers in milliseconds, on a full core in less than a second."""
_UCRED: Final = struct.Struct("3i")
"""unix(7): process, user, group."""
_ANSWERS = msgspec.json.Decoder(Answer)


@final
class ControlClient:
    """One connection. One task at a time: an answer belongs to the last request.

    Both methods raise ControlError: the server's own, or ``disconnected`` when it has gone. After
    that, and after a cancellation, the connection cannot be used further.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._lines = LineReader(stream, MAX_ANSWER_BYTES)

    @property
    def server_pid(self) -> int | None:
        """The process that listens at the other end, as the kernel knows it (SO_PEERCRED), whether
        it answers or not. None where the kernel does not say, or it is out of sight: a process of
        another container.
        """
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None:
            return None
        credentials = self._stream.socket.getsockopt(socket.SOL_SOCKET, option, _UCRED.size)
        pid: int = _UCRED.unpack(credentials)[0]
        return pid or None

    @contextmanager
    def answering(self) -> Iterator[trio.CancelScope]:
        """For a block whose first answer comes at once. Whoever has it sets the scope's deadline to
        ``inf``. Raises ControlError ``silent`` when none comes in :data:`ANSWER_S`.
        """
        with trio.move_on_after(ANSWER_S) as scope:
            yield scope
        if scope.cancelled_caught:
            process = "" if self.server_pid is None else f" (process {self.server_pid})"
            raise ControlError(
                "silent",
                f"the server{process} does not answer: its loop hangs, or the machine gives it no"
                " time. End it with SIGTERM, after 28 s with SIGKILL; only positions are lost",
            )

    @overload
    async def ask(self, request: Struct) -> object: ...
    @overload
    async def ask(self, request: Struct, answer: type[T]) -> T: ...
    async def ask(self, request: Struct, answer: Any = Any) -> Any:
        """Ask, wait, and return the result as ``answer``."""
        await self.send(request)
        while True:
            line = await self.receive()
            if line.item is msgspec.UNSET:
                return msgspec.json.decode(line.done or b"null", type=answer)

    def stream(self, request: Struct, item: type[T]) -> "Items[T]":
        """Ask, and iterate over the items as ``item`` until the server has no more.

        Whoever stops before that closes the connection.
        """
        return Items(self, request, item)

    async def send(self, request: Struct) -> None:
        """Half of :meth:`ask`."""
        try:
            await self._stream.send_all(msgspec.json.encode(request) + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise _disconnected() from None

    async def receive(self) -> Answer:
        """The other half: one line. Raises ControlError for one that tells an error."""
        try:
            line = await self._lines.read()
        except (trio.BrokenResourceError, trio.ClosedResourceError, LineTooLong):
            line = None
        if line is None:
            raise _disconnected()
        answer = _ANSWERS.decode(line)
        if answer.error is not msgspec.UNSET:
            raise ControlError(answer.error.code, answer.error.message)
        return answer


@final
class Items(AsyncIterator[T]):
    """The items of one answer. Not a generator: it needs no closing."""

    def __init__(self, client: ControlClient, request: Struct, item: Any) -> None:
        self._client = client
        self._request: Struct | None = request
        self._item = item

    async def __anext__(self) -> T:
        if self._request is not None:
            await self._client.send(self._request)
            self._request = None
        line = await self._client.receive()
        if line.item is msgspec.UNSET:
            raise StopAsyncIteration
        value: T = msgspec.json.decode(line.item, type=self._item)
        return value


def _disconnected() -> ControlError:
    return ControlError("disconnected", "the server has closed the control socket")


@asynccontextmanager
async def open_control(path: Path) -> AsyncIterator[ControlClient]:
    """A connection to the server whose control socket is at ``path``.

    Raises ControlError ``unreachable`` when there is none, ``forbidden`` when it is not ours.
    """
    try:
        stream = await trio.open_unix_socket(str(path))
    except PermissionError:
        raise ControlError(
            "forbidden", f"{str(path)!r} belongs to another user: only who runs the server may ask"
        ) from None
    except (OSError, ValueError) as error:
        known = isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ECONNREFUSED)
        why = "no server runs there" if known else str(error)
        raise ControlError("unreachable", f"cannot open {str(path)!r}: {why}") from None
    async with stream:
        yield ControlClient(stream)
