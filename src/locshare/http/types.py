"""A request and its answer as the handlers see them, whoever serves them: the framework
(:mod:`locshare.api.app`) or the short way past it (:mod:`locshare.api.fast_router`). Imports
nothing of the room.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

# ASGI, typed loosely on purpose: hypercorn's and Quart's types disagree in details.
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

ROUTE: Final = "locshare.route"
"""Key of the scope under which whoever finds a request's route leaves it."""

RESERVED: Final = "locshare.reserved"
"""Key of the scope's ``state``: true in a connection that is for health checks only."""

ALLOWED_METHODS: Final = b"GET, HEAD, POST, PATCH, DELETE, OPTIONS"
"""Of the server as a whole; each path allows some of them."""

JSON: Final = "application/json"


class Answer(Struct, frozen=True):
    """Everything but the headers that all answers have."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = {}


class Request:
    """``read`` gives the whole body, once, within the limits of the API; it raises Problem, or
    what else :func:`locshare.api.errors.problem_for` knows.
    """

    __slots__ = ("_headers", "_query", "client", "read")

    def __init__(self, scope: Scope, read: Callable[[], Awaitable[bytes]]) -> None:
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._query: bytes = scope.get("query_string", b"")
        client = scope.get("client")
        self.client: str | None = client[0] if client else None
        """The peer's address; None for a Unix socket."""
        self.read = read

    def headers(self, name: bytes) -> list[str]:
        """Every value of the header ``name``, which is in lower case."""
        return [value.decode("latin-1") for key, value in self._headers if key == name]

    def header(self, name: bytes, default: str = "") -> str:
        """The first value of the header ``name``."""
        for key, value in self._headers:
            if key == name:
                return value.decode("latin-1")
        return default

    def query(self, name: str) -> list[str]:
        """Every value of the query's parameter ``name``."""
        return [
            value for key, value in parse_qsl(self._query.decode("latin-1"), True) if key == name
        ]


Handler = Callable[[Request, str], Awaitable[Answer]]
"""Of a call about one session, whose id is in the path."""


def reply(body: Struct, status: int = 200) -> Answer:
    """``body`` as a JSON answer."""
    return Answer(status, msgspec.json.encode(body))


async def send_answer(answer: Answer, send: Send) -> None:
    """``answer`` in the messages of ASGI."""
    headers = {
        "content-type": answer.content_type,
        "content-length": str(len(answer.body)),
        **answer.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})
