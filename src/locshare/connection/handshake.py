"""The request to upgrade, from its first byte to the answer 101. No socket: bytes in, an
:class:`~locshare.connection.upgrade.Upgrade` out.

``websockets``' Sans-I/O ``ServerProtocol`` says what a handshake is; what is wrong about one is
explained here.
"""

from typing import Final, final

from websockets.datastructures import MultipleValuesError
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from locshare.connection.parser import SILENT
from locshare.connection.upgrade import Upgrade, UpgradeResponder, lost_on_the_way, status_of
from locshare.model.errors import LocshareError

_LISTS: Final = (
    "Connection", "Upgrade", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
)  # fmt: skip
_LISTED: Final = 64
"""Values in these headers together. A head has room for thousands, which take milliseconds to read,
and no client needs ten."""


class BadHandshake(LocshareError):
    """To be answered with ``status``; an empty ``detail`` is that of the status."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(detail or str(status))
        self.status = status
        self.detail = detail


@final
class Handshake:
    """One request of at most ``max_bytes``."""

    __slots__ = ("_answer", "_left", "_protocol")

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._protocol = ServerProtocol(logger=SILENT)
        self._answer: Response | None = None  # 101, once the request is there

    def receive(self, data: bytes, responder: UpgradeResponder) -> Upgrade | None:
        """Take a part of the request, which ``responder`` will answer. None while more is needed.
        Raises BadHandshake.
        """
        protocol = self._protocol
        self._left -= len(data)
        protocol.receive_data(data)
        events = protocol.events_received()
        if len(events) > 1 or (events and protocol.reader.buffer):
            # RFC 6455 section 4.1: nothing is sent before the answer came.
            raise BadHandshake(400, "frames before the handshake was answered")
        if events and isinstance(events[0], Request):
            return self._check(events[0], responder)
        if protocol.eof_sent:
            status = status_of(b"".join(protocol.data_to_send()))
            raise BadHandshake(status or 400, "not a WebSocket handshake")
        if self._left < 0:
            raise BadHandshake(431, "the request's head is too large")
        return None

    def _check(self, request: Request, responder: UpgradeResponder) -> Upgrade:
        headers = request.headers
        if sum(value.count(",") for name in _LISTS for value in headers.get_all(name)) >= _LISTED:
            raise BadHandshake(400, f"the headers list more than {_LISTED} values")
        response = self._protocol.accept(request)
        if response.status_code != 101:
            if response.status_code in (426, 505):
                lost = lost_on_the_way(request.protocol, request.headers.raw_items())
                if lost is not None:
                    raise BadHandshake(426, lost)
            raise BadHandshake(response.status_code)
        try:
            offered = headers.get_all("Sec-WebSocket-Protocol")
            subprotocols = [name for value in offered for name in parse_subprotocol(value)]
            upgrade = Upgrade(responder, request.path, list(headers.raw_items()), subprotocols)
        except (ValueError, InvalidHeader, MultipleValuesError):
            raise BadHandshake(400, "malformed query or subprotocol") from None
        self._answer = response
        return upgrade

    def accepted(self, subprotocol: str | None) -> bytes:
        """The answer 101. Call it once, after :meth:`receive` has returned the request."""
        answer = self._answer
        if answer is None:
            raise RuntimeError("there is no request that could be accepted")
        if subprotocol is not None:
            answer.headers["Sec-WebSocket-Protocol"] = subprotocol
        return answer.serialize()
