"""One WebSocket to a session: the snapshot, then typed messages, until it ends.

:func:`connect` is a context manager; it closes its connection when the block ends. A task must
iterate over the connection: unread messages back up, first here and then at the server, which
closes readers that are too slow. A background task answers protocol pings and the server's close.

trio-websocket leaves the socket open after the server has closed the WebSocket. So this module
opens, owns and closes the stream.
"""

import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast, final
from urllib.parse import urlencode, urlsplit

import msgspec
import trio
import trio_websocket

from locshare.client.codecs import CODECS, DIALECTS, PLAIN_DIALECT, Codec, PlainCodec
from locshare.client.errors import (
    ClientError,
    ConnectionRefused,
    End,
    NotConnected,
    Unreachable,
    problem_of,
)
from locshare.model.pace import MAX_INTERVAL_S
from locshare.model.participant import PresenceState
from locshare.model.position import Position
from locshare.model.session import Snapshot
from locshare.wire.messages import (
    ClientMessage,
    Leave,
    Ping,
    Presence,
    ServerMessage,
    SetPace,
)

CONNECT_TIMEOUT_S: Final = 10.0
"""From the first packet to the snapshot."""
CLOSE_TIMEOUT_S: Final = 0.5
"""The socket is closed when the server has not answered our close frame by then."""
_BEARER: Final = "locshare.bearer."
_QUEUE: Final = 64
_RECEIVE_BYTES: Final = 65_536
_ABNORMAL: Final = 1006
_PORTS: Final = {"ws": 80, "wss": 443}
_NO_URL: Final = "a WebSocket URL begins with ws:// or wss:// and names a host, perhaps with a port"


@final
class Connection:
    """A connected participant. Made by :func:`connect` only.

    Sending raises NotConnected once the connection has ended; iterating ends then.
    A send that is cancelled may have written a part of a frame, so it ends the connection, as if
    the network had: with 1006, after which a client reconnects.
    """

    def __init__(
        self,
        websocket: trio_websocket.WebSocketConnection,
        stream: trio.abc.AsyncResource,
        codec: Codec | None = None,
        dialect: str = PLAIN_DIALECT,
    ) -> None:
        self.dialect = dialect
        """The name of the dialect that the server chose."""
        self._websocket = websocket
        self._stream = stream
        self._codec = codec or PlainCodec()
        self._ready: deque[ServerMessage] = deque()
        """Messages of the last frame that were not taken yet."""
        self._end: End | None = None
        self.unreadable = 0
        """Messages outside this version of the contract. They are skipped: a newer server may have
        more types.
        """

    snapshot: Snapshot
    """The state of the session when this connection was accepted."""

    @property
    def end(self) -> End | None:
        """How the connection ended; None while it is open. 1000 after our own close."""
        if self._end is None and (closed := self._websocket.closed) is not None:
            self._end = End.of(int(closed.code))
        return self._end

    def __aiter__(self) -> "Connection":
        return self

    async def __anext__(self) -> ServerMessage:
        """The next message. The iteration ends with the connection (see :attr:`end`)."""
        if self._ready:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._ready:
            try:
                frame = await self._websocket.get_message()
            except trio_websocket.ConnectionClosed:
                raise StopAsyncIteration from None
            try:
                self._ready.extend(self._codec.decode(frame))
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self.unreadable += 1
            except NotConnected as ended:  # a dialect in which more can end than the WebSocket
                self._end = ended.end
                raise StopAsyncIteration from None
        return self._ready.popleft()

    async def send_position(self, position: Position) -> None:
        """Report a position. On return the kernel has it; delivery is not guaranteed."""
        await self._send(position)

    async def ping(self) -> None:
        """Ask for a ``pong``, which arrives as a message."""
        await self._send(Ping())

    async def set_pace(self, interval_s: float) -> None:
        """Ask for positions at most every ``interval_s`` seconds, from 0 (as they come) to 60.
        Raises ValueError.
        """
        await self._send(SetPace(valid_interval(interval_s)))

    async def set_presence(self, state: PresenceState) -> None:
        """Show the others what this participant is doing, until the connection ends."""
        await self._send(Presence(state))

    async def leave(self) -> None:
        """Leave the session for good. Keep iterating until the server closes with 1000."""
        await self._send(Leave())

    async def _send(self, message: ClientMessage) -> None:
        await self.send_frame(self._codec.encode(message))

    async def send_frame(self, frame: str | bytes) -> None:
        """Write one frame as it is, for a dialect that has messages of its own."""
        try:
            await self._websocket.send_message(frame)
        except trio.Cancelled:
            # Nothing can follow half a frame: the server would close with 1002, which is final.
            await trio.aclose_forcefully(self._stream)
            raise
        except trio_websocket.ConnectionClosed:
            # It raises at once: a caller that sends on would keep its own reader from noticing.
            await trio.lowlevel.checkpoint()
            raise NotConnected(self.end or End.of(_ABNORMAL)) from None


@asynccontextmanager
async def connect(
    url: str,
    token: str,
    *,
    timeout: float = CONNECT_TIMEOUT_S,
    dialects: Sequence[str] = DIALECTS,
    resume: str | None = None,
    pace: float | None = None,
    presence: PresenceState = "active",
) -> AsyncIterator[Connection]:
    """Connect to ``url`` (``ws://host:port/ws``) with a participant's ``token``.

    ``dialects`` are offered to the server, the preferred one first; it chooses one of them, and
    naming one alone forces it. ``resume``, ``EPOCH.SEQ`` of the last event known, asks for what was
    missed since (:attr:`Snapshot.missed`); ``pace`` is as in :meth:`Connection.set_pace`, and
    ``presence`` as in :meth:`Connection.set_presence`: the others hear of no other state between.

    The block begins with the snapshot received. Raises ConnectionRefused when the server does not
    accept, NotConnected when it closes before its snapshot, Unreachable when it does not answer
    within ``timeout`` seconds. Exceptions of the block are raised unchanged. Cancellation closes
    the connection, within :data:`CLOSE_TIMEOUT_S`. Raises ValueError for a dialect that the client
    does not speak, and for a pace out of range.
    """
    wishes = _wishes(dialects, resume, pace, presence)
    protocols = [*dialects, _BEARER + token]
    async with open_websocket(url, wishes, protocols, _codec, _first, timeout) as connection:
        yield connection


def _codec(dialect: str | None) -> tuple[str, Codec]:
    """A server that names none knows the plain dialect only."""
    name = dialect or PLAIN_DIALECT
    return name, CODECS[name]()


async def _first(connection: Connection) -> Snapshot:
    async for message in connection:
        if isinstance(message, Snapshot):
            return message
        raise Unreachable("the first message was not the snapshot")
    raise NotConnected(connection.end or End.of(_ABNORMAL))


@asynccontextmanager
async def open_websocket(
    url: str,
    query: str,
    protocols: Sequence[str],
    codec: Callable[[str | None], tuple[str, Codec]],
    begin: Callable[[Connection], Awaitable[Snapshot]],
    timeout: float,
) -> AsyncIterator[Connection]:
    """What :func:`connect` does, for any dialect: ``codec`` makes the one for the subprotocol that
    the server has chosen, and ``begin`` says what comes first and returns the snapshot. Both within
    ``timeout``. Raises as :func:`connect`.
    """
    refusal: ClientError | None = None  # before the block
    failure: Exception | None = None  # of the block
    deadline = trio.current_time() + timeout
    stream, host, resource = await _open_stream(url, query, deadline)
    try:
        try:
            async with trio.open_nursery() as nursery:
                try:
                    with trio.CancelScope(deadline=deadline) as opening:
                        connection = await _handshake(
                            nursery, stream, host, resource, protocols, codec
                        )
                        connection.snapshot = await begin(connection)
                    if opening.cancelled_caught:
                        raise Unreachable(f"no answer from {host} in time")
                except ClientError as error:
                    refusal = error
                else:
                    try:
                        yield connection
                    except Exception as error:  # noqa: BLE001 - raised again outside the nursery
                        failure = error
                    finally:
                        await _close(connection)
                nursery.cancel_scope.cancel()
        except* trio_websocket.ConnectionRejected as group:
            refusal = _refusal(group)
    finally:
        await trio.aclose_forcefully(stream)
    if refusal is not None:
        raise refusal
    if failure is not None:
        raise failure


Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


def valid_interval(interval_s: float) -> float:
    """``interval_s`` as a pace. Raises ValueError when it is out of range."""
    if not 0 <= interval_s <= MAX_INTERVAL_S:
        raise ValueError(f"a pace of {interval_s} s; allowed are 0 to {MAX_INTERVAL_S:g} s")
    return float(interval_s)


def _wishes(
    dialects: Sequence[str], resume: str | None, pace: float | None, presence: PresenceState
) -> str:
    """What the request asks for in its query. Raises ValueError."""
    unknown = [name for name in dialects if name not in CODECS]
    if unknown or not dialects:
        what = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"dialect: {what} is not spoken; allowed are {', '.join(CODECS)}")
    found: dict[str, str] = {}
    if resume is not None:
        found["resume"] = resume
    if pace is not None:
        found["pace"] = f"{valid_interval(pace):g}"
    if presence != "active":
        found["presence"] = presence
    return urlencode(found)


async def _open_stream(url: str, wishes: str, deadline: float) -> tuple[Stream, str, str]:
    """A stream to the host of ``url``, and the host and resource of the request."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise Unreachable(_NO_URL) from None
    if not host:
        raise Unreachable(_NO_URL)
    query = "&".join(filter(None, (parts.query, wishes)))
    resource = (parts.path or "/") + (f"?{query}" if query else "")
    with trio.CancelScope(deadline=deadline):
        try:
            plain = await trio.open_tcp_stream(host, port)
            secret = parts.scheme == "wss"
            stream: Stream = await _encrypt(plain, host) if secret else plain
        except (OSError, UnicodeError, trio.BrokenResourceError) as error:  # no name of a host
            raise Unreachable(f"cannot connect to {host}:{port}") from error
        return stream, parts.netloc.rpartition("@")[2], resource
    raise Unreachable(f"cannot connect to {host}:{port} in time")


async def _encrypt(stream: trio.SocketStream, host: str) -> trio.SSLStream[trio.SocketStream]:
    encrypted = trio.SSLStream(
        stream, ssl.create_default_context(), server_hostname=host, https_compatible=True
    )
    try:
        # Now, where it can fail with a reason, and not with the first byte.
        await encrypted.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return encrypted


async def _handshake(
    nursery: trio.Nursery,
    stream: Stream,
    host: str,
    resource: str,
    protocols: Sequence[str],
    codec: Callable[[str | None], tuple[str, Codec]],
) -> Connection:
    with trio.CancelScope() as answered:
        websocket = await trio_websocket.wrap_client_stream(
            cast("trio.Nursery", _HandshakeNursery(nursery, answered)),
            stream,
            host,
            resource,
            subprotocols=protocols or None,
            message_queue_size=_QUEUE,
            receive_buffer_size=_RECEIVE_BYTES,
        )
    if answered.cancelled_caught:
        raise Unreachable(f"{host} hung up before it answered")
    dialect, found = codec(websocket.subprotocol)
    return Connection(websocket, stream, found, dialect)


@final
class _HandshakeNursery:
    """The part of a nursery that trio-websocket uses, with its faults repaired. When its reader
    ends, ``waiting`` is cancelled: trio-websocket would wait for the handshake forever after the
    server hangs up. And an error of its reader ends the reader and nothing else: it answers a ping
    after the close frame, which must be the last one (RFC 6455 section 5.5.1), and it rejects, as a
    server would, an upgrade that a server has answered wrongly.
    """

    def __init__(self, nursery: trio.Nursery, waiting: trio.CancelScope) -> None:
        self._nursery = nursery
        self._waiting = waiting

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        """As of a nursery."""
        self._nursery.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except trio_websocket.ConnectionRejected:
            raise
        except Exception:  # noqa: BLE001, S110 - as if the server had hung up
            pass
        self._waiting.cancel()


async def _close(connection: Connection) -> None:
    """Close the WebSocket, also when cancelled."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_TIMEOUT_S):
        await connection._websocket.aclose()


def _refusal(group: BaseExceptionGroup[trio_websocket.ConnectionRejected]) -> ConnectionRefused:
    rejected = group.exceptions[0]
    while isinstance(rejected, BaseExceptionGroup):
        rejected = rejected.exceptions[0]
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in rejected.headers
    }
    return problem_of(rejected.status_code, headers, rejected.body or b"", ConnectionRefused)
