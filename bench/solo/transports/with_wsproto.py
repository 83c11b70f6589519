"""Every byte goes through wsproto, driven as the server's transport drives its library."""

import socket

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping, TextMessage

from locshare.broadcast.backlog import Control
from locshare.broadcast.outbox import Outbox
from locshare.connection.transport import NO_MESSAGE, TooLarge, Transport, TransportLimits
from locshare.model.reasons import CloseReason


class WsprotoTransport(Transport):
    """The handshake is the server's own; from then on wsproto reads."""

    __slots__ = ("_connection", "_parts")

    def __init__(self, sock: socket.socket, limits: TransportLimits) -> None:
        super().__init__(sock, limits)
        self._connection: Connection | None = None
        self._parts: list[str] = []

    def bind(self, outbox: Outbox) -> None:
        """See :meth:`Transport.bind`."""
        super().bind(outbox)
        self._connection = Connection(ConnectionType.SERVER)

    def close_frame(self, reason: CloseReason) -> bytes:
        """See :meth:`Transport.close_frame`."""
        connection = self._connection
        if connection is None or connection.state is not ConnectionState.OPEN:
            return b""
        return connection.send(CloseConnection(reason.code, reason.text))

    def _digest(self, data: bytes) -> None:
        connection = self._connection
        if connection is None or connection.state is ConnectionState.CLOSED:
            return
        connection.receive_data(data)
        for event in connection.events():
            if isinstance(event, TextMessage):
                self._take_text(event)
            else:
                self._take_other(event, connection)

    def _take_text(self, event: TextMessage) -> None:
        text = event.data
        if self._parts or not event.message_finished:
            self._parts.append(text)
            if not event.message_finished:
                return
            text = "".join(self._parts)
            self._parts.clear()
        if len(text) > self._limits.max_message_bytes:
            self._messages.append(TooLarge(len(text)))
        elif self._outbox is not None and self._outbox.reason is None:
            self._messages.append(text)

    def _take_other(self, event: Event, connection: Connection) -> None:
        if self._outbox is None:
            return
        if isinstance(event, CloseConnection):
            if connection.state is not ConnectionState.CLOSED:
                self._outbox.finish(CloseReason.PEER_CLOSED, connection.send(event.response()))
            self._end(CloseReason.PEER_CLOSED)
        elif isinstance(event, Message):
            self._messages.append(bytes(event.data))
        else:
            if isinstance(event, Ping):
                self._outbox.send_control(Control.PONG, connection.send(event.response()))
            self._messages.append(NO_MESSAGE)
