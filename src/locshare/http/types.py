"""A request and its response as handlers see them, whichever router called the handler: Quart
(:mod:`locshare.api.quart_adapter`) or :mod:`locshare.http.fast_router`.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from locshare.model.errors import LocshareError

# ASGI, typed loosely on purpose: hypercorn's and Quart's types disagree in details.
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

ROUTE: Final = "locshare.route"
"""Key of the scope under which the router that found a request's route puts it."""

RESERVED: Final = "locshare.reserved"
"""Key of the scope's ``state``: true in a connection that is for health checks only."""

ALLOWED_METHODS: Final = b"GET, HEAD, POST, PATCH, DELETE, OPTIONS"
"""Of the server as a whole; each path allows some of them."""

JSON: Final = "application/json"
MAX_PARAMETERS: Final = 64
"""Of a query or a form. Each costs a microsecond or two, and a stranger's request has room for
thousands; the apps that report send about 15."""


class TooManyParameters(LocshareError):
    """A query or a form has more than :data:`MAX_PARAMETERS`."""


class Response(Struct, frozen=True):
    """A whole response, without the headers that every response gets."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = {}


class Request:
    """``read`` returns the whole body, once, within the limits of the router. Raises HttpProblem,
    or an error of Quart's.
    """

    __slots__ = ("_headers", "_query", "client", "method", "read")

    def __init__(self, scope: Scope, read: Callable[[], Awaitable[bytes]]) -> None:
        self.method: str = scope["method"]
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
        """Every value of the query's parameter ``name``. Raises TooManyParameters."""
        return [value for key, value in self.query_pairs() if key == name]

    def query_pairs(self) -> list[tuple[str, str]]:
        """The names and values of the query, in order. Raises TooManyParameters."""
        return parse_parameters(self._query)


def parse_parameters(text: bytes) -> list[tuple[str, str]]:
    """The names and values of a query or a form, in order. Raises TooManyParameters."""
    try:
        return parse_qsl(text.decode("latin-1"), True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise TooManyParameters from None


Handler = Callable[[Request, str], Awaitable[Response]]
"""Of a route with one parameter in its path, which is the second argument."""


def json_response(body: Struct, status: int = 200) -> Response:
    """``body`` as JSON."""
    return Response(status, msgspec.json.encode(body))


def encoded_headers(response: Response) -> list[tuple[bytes, bytes]]:
    """The headers of ``response``, its own and those of its body."""
    headers = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        **response.headers,
    }
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def send_response(response: Response, send: Send) -> None:
    """Send ``response`` as two messages of ASGI."""
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": encoded_headers(response),
        }
    )
    await send({"type": "http.response.body", "body": response.body})
