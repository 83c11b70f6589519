"""The HTTP side of a WebSocket: the request to upgrade, and its refusal."""

import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from locshare.http.problems import CONTENT_TYPE, phrase_of, problem_body
from locshare.model.errors import LocshareError

BAD_HANDSHAKE: Final = "BAD_HANDSHAKE"
"""The code of the problem in the response to a request that is not a WebSocket handshake."""

_DISCARD_BYTES: Final = 16 * 1024

HANDSHAKE_STATUSES: Final = frozenset({400, 405, 414, 426, 431, 505})
"""The statuses that such a request gets, from us or from ``websockets``."""


_WAY_OUT: Final = (
    "; a proxy on the way has to pass the upgrade on. nginx: proxy_http_version 1.1; "
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
)


def lost_on_the_way(version: str, headers: Iterable[tuple[str, str]]) -> str | None:
    """What a proxy took from a request to upgrade; None when it did not. Pure.

    A proxy that is not set up for WebSockets sends HTTP/1.0, which has no upgrades (RFC 9110
    section 7.8), or drops the headers that are for one hop only. ``Sec-WebSocket-Key`` stays and
    tells what the request was.
    """
    given = {name.lower(): value.lower() for name, value in headers}
    if "upgrade" not in given and "sec-websocket-key" not in given:
        return None
    if version != "HTTP/1.1":
        return f"the request for a WebSocket came as {version}{_WAY_OUT}"
    if "upgrade" not in given:
        return f"the request for a WebSocket came without Upgrade{_WAY_OUT}"
    if "upgrade" not in given.get("connection", ""):
        return f"the request for a WebSocket came without Connection: Upgrade{_WAY_OUT}"
    return None


class ConnectionLost(LocshareError):
    """The peer closed or vanished during the handshake."""


class NotAnUpgrade(LocshareError):
    """The request was no WebSocket upgrade. The response with ``status`` has been sent."""

    def __init__(self, status: int) -> None:
        super().__init__(f"not a WebSocket upgrade (answered {status})")
        self.status = status


class UpgradeResponder(Protocol):
    """What a request needs of its transport."""

    async def accept(self, subprotocol: str | None) -> None:
        """Answer 101. Raises ConnectionLost."""
        ...


class Upgrade:
    """A valid request to upgrade, not yet answered. Raises ValueError when the query has too many
    fields.
    """

    def __init__(
        self,
        responder: UpgradeResponder,
        target: str,
        headers: Sequence[tuple[str, str]],
        subprotocols: Sequence[str],
    ) -> None:
        self._responder = responder
        self._headers = headers
        self.subprotocols = subprotocols
        """Those offered, in order."""
        url = urlsplit(target)
        self.path: str = url.path
        self.query: Mapping[str, str] = dict(parse_qsl(url.query, max_num_fields=32))
        self.origin: str | None = next(iter(self.values("Origin")), None)
        """Set by browsers only: their scripts cannot see an HTTP status."""

    def values(self, name: str) -> list[str]:
        """The values of all headers called ``name``, in order."""
        name = name.lower()
        return [value for each, value in self._headers if each.lower() == name]

    async def accept(self, subprotocol: str | None = None) -> None:
        """Answer 101. Raises ConnectionLost."""
        await self._responder.accept(subprotocol)


def problem_response(
    status: int, code: str, detail: str = "", retry_after: int | None = None
) -> bytes:
    """A whole HTTP response with a problem as its body, after which the connection is closed."""
    body = problem_body(status, code, detail or phrase_of(status))
    head = [
        f"HTTP/1.1 {status} {phrase_of(status)}",
        f"Content-Type: {CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status == 405:
        head.append("Allow: GET")
    if status == 426:
        head.append("Upgrade: websocket")
    if retry_after is not None:
        head.append(f"Retry-After: {retry_after}")
    return "\r\n".join([*head, "", ""]).encode() + body


def status_of(answer: bytes) -> int | None:
    """The status of a response that the library wrote unasked; None when there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def respond_and_close(sock: socket.socket, response: bytes) -> None:
    """Refuse a connection of which nothing was read, where no task could wait for its end. Never
    raises.
    """
    with contextlib.suppress(OSError):  # the peer was faster
        sock.send(response)
        sock.shutdown(socket.SHUT_WR)
    empty_input(sock, _DISCARD_BYTES)
    sock.close()


def empty_input(sock: socket.socket, limit: int) -> None:
    """Read at most ``limit`` bytes that have come already. Closing a socket with input unread
    resets it, which may destroy the last bytes we wrote.
    """
    with contextlib.suppress(OSError):  # no more there, or the peer was faster
        while limit > 0 and (came := sock.recv(min(limit, _DISCARD_BYTES))):
            limit -= len(came)
