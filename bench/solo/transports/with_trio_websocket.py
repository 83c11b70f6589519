"""trio-websocket's own server connection: its handshake, its reader task, its queue of messages."""

import socket
from collections.abc import Callable

import trio
import trio_websocket
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection

from locshare.connection.transport import (
    Closed,
    Received,
    Transport,
    TransportLimits,
)
from locshare.connection.upgrade import ConnectionLost, Upgrade
from locshare.model.reasons import CloseReason


class TrioWebsocketTransport(Transport):
    """The connection's task takes messages out of a queue that a second task fills. That task does
    not tell of control frames, so only messages count as signs of life.
    """

    __slots__ = ("websocket",)

    def __init__(self, sock: socket.socket, limits: TransportLimits) -> None:
        super().__init__(sock, limits)
        self.websocket: trio_websocket.WebSocketConnection | None = None
        """From the moment the upgrade was accepted."""

    async def accept_handshake(
        self,
        progress: Callable[[], None] = lambda: None,  # noqa: ARG002 - the library does not tell
    ) -> Upgrade:
        """See :meth:`Transport.accept_handshake`."""
        nursery = trio.lowlevel.current_task().parent_nursery
        assert nursery is not None
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._sock))
        request = await trio_websocket.wrap_server_stream(
            nursery, stream, max_message_size=self._limits.hard_message_bytes
        )
        return _Upgrade(self, request)

    async def discard(self) -> None:
        """See :meth:`Transport.discard`. The second task reads and forgets already."""
        while not isinstance(await self.receive(), Closed):
            pass

    async def receive(self) -> Received:
        """See :meth:`Transport.receive`."""
        assert self.websocket is not None
        try:
            message: str | bytes = await self.websocket.get_message()
        except trio_websocket.ConnectionClosed as error:
            gone = error.reason is None or error.reason.code == CloseReason.PEER_GONE.code
            return Closed(CloseReason.PEER_GONE if gone else CloseReason.PEER_CLOSED)
        self.heard = True
        self.bytes_in += len(message)
        return message

    def close_frame(self, reason: CloseReason) -> bytes:
        """See :meth:`Transport.close_frame`."""
        assert self.websocket is not None
        protocol = self.websocket._wsproto  # the connection itself would write it, and wait
        if protocol.state is not ConnectionState.OPEN:
            return b""
        return protocol.send(CloseConnection(reason.code, reason.text))


class _Upgrade(Upgrade):
    def __init__(
        self, transport: TrioWebsocketTransport, request: trio_websocket.WebSocketRequest
    ) -> None:
        headers = [(name.decode(), value.decode()) for name, value in request.headers]
        super().__init__(transport, request.path, headers, request.proposed_subprotocols)
        self._request = request
        self._owner = transport

    async def accept(self, subprotocol: str | None = None) -> None:
        """See :meth:`Upgrade.accept`."""
        try:
            self._owner.websocket = await self._request.accept(subprotocol=subprotocol)
        except trio_websocket.ConnectionClosed:
            raise ConnectionLost("the peer closed during the handshake") from None
