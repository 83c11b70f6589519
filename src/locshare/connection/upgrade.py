"""The request to upgrade, and how it is refused: what is HTTP about a WebSocket."""

import contextlib
import http
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from locshare.model.errors import LocshareError

BAD_HANDSHAKE: Final = "BAD_HANDSHAKE"
"""The code of the problem in the answer to a request that is no WebSocket handshake."""

_DISCARD_BYTES: Final = 16 * 1024

TITLES: Final = {
    400: "Bad Request",
    405: "Method Not Allowed",
    414: "URI Too Long",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}
"""Of the statuses that such a request gets."""


class ConnectionLost(LocshareError):
    """The peer went away, or fell silent, during the handshake."""


class NotAnUpgrade(LocshareError):
    """The request was no WebSocket upgrade; the answer with ``status`` has been sent."""

    def __init__(self, status: int) -> None:
        super().__init__(f"not a WebSocket upgrade (answered {status})")
        self.status = status


class UpgradeResponder(Protocol):
    """What a request needs of its transport. Both raise ConnectionLost."""

    async def accept(self, subprotocol: str | None) -> None:
        """Answer 101."""
        ...

    async def reject(
        self, status: int, problem: Mapping[str, object], retry_after: int | None
    ) -> None:
        """Answer ``status`` with ``problem``; nothing follows."""
        ...


class Upgrade:
    """A valid request to upgrade, not yet answered: call ``accept`` or ``reject`` once. Raises
    ValueError when the query has too many fields.
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
        """Those that are offered, in order."""
        url = urlsplit(target)
        self.path: str = url.path
        self.query: Mapping[str, str] = dict(parse_qsl(url.query, max_num_fields=32))
        self.origin: str | None = next(iter(self.values("Origin")), None)
        """Set by browsers only: their scripts cannot see an HTTP status."""

    def values(self, name: str) -> list[str]:
        """Of all headers of that name, in order."""
        name = name.lower()
        return [value for each, value in self._headers if each.lower() == name]

    async def accept(self, subprotocol: str | None = None) -> None:
        """Answer 101. Raises ConnectionLost."""
        await self._responder.accept(subprotocol)

    async def reject(
        self, status: int, problem: Mapping[str, object], retry_after: int | None = None
    ) -> None:
        """Answer ``status`` with ``problem`` as application/problem+json. Raises ConnectionLost."""
        await self._responder.reject(status, problem, retry_after)


def title_of(status: int) -> str:
    """What the status of a refusal is called."""
    return TITLES.get(status, "Bad Request")


def handshake_problem(status: int, detail: str) -> dict[str, object]:
    """The body of a refusal of what is no WebSocket handshake (RFC 9457)."""
    return {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "code": BAD_HANDSHAKE,
        "detail": detail,
    }


def problem_answer(status: int, problem: Mapping[str, object], retry_after: int | None) -> bytes:
    """A whole HTTP answer with ``problem`` as its body, after which the connection is closed."""
    body = json.dumps(problem).encode()
    head = [
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        "Content-Type: application/problem+json",
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
    """The status of an answer that the library wrote without being asked, if it did."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def answer_and_close(
    sock: socket.socket, status: int, problem: Mapping[str, object], retry_after: int | None
) -> None:
    """Refuse a connection of which nothing was read, where there is no task that could wait for its
    end. Never raises.
    """
    with contextlib.suppress(OSError):  # the peer was faster
        sock.send(problem_answer(status, problem, retry_after))
        sock.shutdown(socket.SHUT_WR)
    empty_input(sock, _DISCARD_BYTES)
    sock.close()


def empty_input(sock: socket.socket, limit: int) -> None:
    """Take what has come already, within bounds: closing with input unread is a reset, which may
    destroy what we said last.
    """
    with contextlib.suppress(OSError):  # no more there, or the peer was faster
        while limit > 0 and (came := sock.recv(min(limit, _DISCARD_BYTES))):
            limit -= len(came)
