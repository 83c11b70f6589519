"""Every byte goes through the library's protocol object, which a connection has from the start."""

from websockets.frames import Frame

from locshare.broadcast.outbox import Outbox
from locshare.connection.transport import Transport


class WebsocketsTransport(Transport):
    """The server's transport without the scanner in front of the protocol object."""

    __slots__ = ()

    def bind(self, outbox: Outbox) -> None:
        """See :meth:`Transport.bind`."""
        super().bind(outbox)
        self._current_protocol()

    def _digest(self, data: bytes) -> None:
        protocol = self._current_protocol()
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._write_replies(protocol)
