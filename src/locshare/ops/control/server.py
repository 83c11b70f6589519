"""The server's end of the control socket, as a supervised child.

A connection is one task that answers one request after the other, and a second one that reads
ahead, so that a long answer ends when its client is gone. A failing operation is reported to its
client and affects nothing else.

The socket appears whole: it is bound under another name, closed to everybody but us, and then
moved to its place. A file that a dead server left there is replaced; that of a living one is not.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

import structlog
import trio

from locshare.actors import ActorDown, CallTimeout
from locshare.config.fields import MAX_SOCKET_PATH_BYTES
from locshare.ops.control.lines import LineReader, LineTooLong
from locshare.ops.control.protocol import (
    MAX_REQUEST_BYTES,
    ControlError,
    Operation,
    Requests,
    done,
    failed,
    item,
)
from locshare.telemetry.unexpected import log_unexpected

log = structlog.get_logger()

_CONNECTIONS: Final = 32
_READ_AHEAD: Final = 8
_TURN_AWAY_S: Final = 0.5
_SEND_S: Final = 10.0
"""A client that reads nothing for this long is disconnected."""
_AFTER_THE_LAST_REQUEST_S: Final = 5.0
"""A client that closed its sending side (``echo … | nc -U …``) still gets its answer, within this
time: whether it still reads cannot be seen."""


class _ClientGone(Exception):
    """The client is gone or does not read."""


@final
class ControlServer:
    """Serves ``operations`` at ``path``."""

    def __init__(self, path: Path, operations: Iterable[Operation]) -> None:
        self.path = path
        self._requests = Requests(operations)
        self._slots = trio.CapacityLimiter(_CONNECTIONS)

    async def serve(self, *, task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; the file is gone then. Raises OSError when it cannot listen."""
        listening = _listen(self.path)
        ours = self.path.stat()
        try:
            log.info("control_listening", path=str(self.path))
            await trio.serve_listeners(
                self._serve_one,
                [trio.SocketListener(trio.socket.from_stdlib_socket(listening))],
                task_status=_As(task_status, self.path),
            )
        finally:
            with suppress(OSError):
                if os.path.samestat(self.path.stat(), ours):
                    self.path.unlink()
            listening.close()

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        try:
            self._slots.acquire_on_behalf_of_nowait(stream)
        except trio.WouldBlock:
            await _turn_away(stream)
            return
        try:
            async with stream, trio.open_nursery() as nursery:
                send, receive = trio.open_memory_channel[bytes | None](_READ_AHEAD)
                nursery.start_soon(self._read, stream, send, nursery.cancel_scope)
                async for line in receive:
                    await self._answer(line, stream)
                nursery.cancel_scope.cancel()
        except* _ClientGone:
            pass
        except* Exception as group:  # noqa: BLE001 - one client must not end the others
            log_unexpected("control_connection_crashed", group)
        finally:
            self._slots.release_on_behalf_of(stream)

    async def _read(
        self,
        stream: trio.SocketStream,
        lines: trio.MemorySendChannel[bytes | None],
        all_: trio.CancelScope,
    ) -> None:
        """Read ahead; None stands for a line that is too long. End the connection when the client
        is gone, or some seconds after it closed its sending side.
        """
        reader = LineReader(stream, MAX_REQUEST_BYTES)
        try:
            async with lines:
                try:
                    while (line := await reader.read()) is not None:
                        await lines.send(line)
                except LineTooLong:
                    await lines.send(None)
        except trio.BrokenResourceError:
            raise _ClientGone from None
        await trio.sleep(_AFTER_THE_LAST_REQUEST_S)
        all_.cancel()

    async def _answer(self, line: bytes | None, stream: trio.SocketStream) -> None:
        async def send(value: object) -> None:
            await _send(stream, item(value))

        if line is None:
            await _send(stream, failed("bad_request", f"longer than {MAX_REQUEST_BYTES} bytes"))
            return
        try:
            operation, request = self._requests.read(line)
            last = done(await operation.answer(request, send))
        except ControlError as error:
            last = failed(error.code, error.message)
        except ActorDown as error:
            last = failed("gone", str(error))
        except CallTimeout as error:
            last = failed("busy", f"{error}: it is in the middle of a message")
        except _ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - one client must not end the others
            log_unexpected("control_operation_crashed", error)
            last = failed("internal_error", f"{type(error).__name__}; the server's log says more")
        await _send(stream, last)


@final
class _As(trio.TaskStatus[list[trio.SocketListener]]):
    """Reports ``value`` in the place of the listeners."""

    def __init__(self, status: trio.TaskStatus[Path], value: Path) -> None:
        self._status = status
        self._value = value

    def started(self, value: list[trio.SocketListener] | None = None) -> None:
        del value
        self._status.started(self._value)


async def _send(stream: trio.SocketStream, line: bytes) -> None:
    try:
        with trio.fail_after(_SEND_S):
            await stream.send_all(line)
    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
        raise _ClientGone from None


async def _turn_away(stream: trio.SocketStream) -> None:
    """Send the reason, then drain for a moment: closing a socket with unread data resets it, and
    the client would not see the reason.
    """
    with suppress(_ClientGone, trio.BrokenResourceError), trio.move_on_after(_TURN_AWAY_S):
        async with stream:
            await _send(stream, failed("busy", f"there are {_CONNECTIONS} connections already"))
            await stream.send_eof()
            while await stream.receive_some():
                pass


def _listen(path: Path) -> socket.socket:
    """A listening socket at ``path``. Raises OSError, which names the path and what to do."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise OSError(
            errno.ENAMETOOLONG,
            f"the control socket's path {str(path)!r} has more than {MAX_SOCKET_PATH_BYTES} "
            "bytes; choose a shorter one with --control-socket",
        )
    if _is_served(path):
        raise OSError(
            errno.EADDRINUSE,
            f"another server has its control socket at {str(path)!r}; stop it, or choose "
            "another data_dir or --control-socket",
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Shorter than any name that passed above, and next to it: a rename is within one file system.
    made = path.with_name(f".{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            made.unlink()
        sock.bind(str(made))
        made.chmod(stat.S_IRUSR | stat.S_IWUSR)
        sock.listen()
        made.rename(path)
    except OSError as error:
        sock.close()
        with suppress(OSError):
            made.unlink()
        raise OSError(
            error.errno, f"cannot make the control socket {str(path)!r}: {error.strerror}"
        ) from error
    sock.setblocking(False)
    return sock


def _is_served(path: Path) -> bool:
    if not path.is_socket():
        if path.exists():
            raise OSError(errno.EEXIST, f"{str(path)!r} is there and is not a socket; remove it")
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # its queue is full
        except OSError:
            return False
    return True
