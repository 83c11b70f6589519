"""What every request meets first and every answer last: the ASGI layer around the application.

It gives each request an id, adds the headers that all answers have, answers CORS preflights,
counts, writes the one access log line, and is the last net: an exception that nobody expected
becomes a 500 without a word about it, and a log line with the same request id.

The log line and the metrics name the *route*, never the path: the path of a stray request may
hold anything, a token included, and a session's id is all that is needed to join it. Queries,
headers, bodies and client addresses are not logged. Nothing is remembered between requests.
"""

import secrets
from collections.abc import Collection
from typing import Final

import structlog
import trio

from locshare.api.exchange import ROUTE, AsgiApp, Message, Receive, Scope, Send, send_answer
from locshare.api.problems import CONTENT_TYPE, Code, Problem
from locshare.metrics import Registry

log = structlog.get_logger()

UNKNOWN_ROUTE: Final = "unknown"

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET_ROUTES: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked every few seconds by machines: logged at debug level."""
PREFLIGHT_MAX_AGE_S: Final = 600


class HttpMetrics:
    """Requests by method, route and status, and how long they took."""

    def __init__(self, registry: Registry) -> None:
        self.requests = registry.counters(
            "locshare_http_requests_total", "HTTP requests answered.", "method", "route", "status"
        )
        self.seconds = registry.histograms(
            "locshare_http_request_seconds", "From request to end of answer.", "route"
        )


class Edge:
    """An ASGI application around ``app``. ``origins`` may use the API from other web pages;
    ``*`` among them means all, which is safe in so far as no cookies are used.
    """

    def __init__(self, app: AsgiApp, metrics: HttpMetrics, origins: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request. Raises nothing but cancellation."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await _refuse_websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = trio.current_time()
        request_id = secrets.token_hex(8)
        origin = self._origin(scope)
        status: int | None = None
        finishing = False

        async def take() -> Message:
            # hypercorn tells of a disconnect from inside the sending of an answer's last part, in
            # the task that goes on to close the connection or to start its idle time. Quart ends
            # that very task when it hears of it, and the connection would stay open for ever.
            message: Message = await receive()
            if finishing and message["type"] == "http.disconnect":
                await trio.sleep_forever()
            return message

        async def answer(message: Message) -> None:
            nonlocal status, finishing
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                finishing = True
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _headers(message["headers"], scope, request_id, origin)
            await send(message)

        try:
            if not scope["path"].startswith("/"):
                # "OPTIONS *", or a whole URL as a proxy gets it: legal HTTP, but not for us.
                await _answer(answer, Problem(Code.BAD_REQUEST, "the path begins with a slash"))
            elif origin is not None and _is_preflight(scope):
                await answer(_preflight())
                await answer({"type": "http.response.body", "body": b""})
            else:
                await self._app(scope, take, answer)
        except Exception:  # whatever it is, one request must not take the server down
            log.exception("request_failed", request_id=request_id, route=_route(scope))
            if status is None:
                await _answer(answer, Problem(Code.INTERNAL_ERROR))
        finally:
            self._note(scope, status, trio.current_time() - began, request_id)

    def _note(self, scope: Scope, status: int | None, seconds: float, request_id: str) -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        # No status: the client went away, or the server stops.
        self._metrics.requests.of(method, route, str(status or "none")).add()
        self._metrics.seconds.of(route).observe(seconds)
        write = log.debug if route in QUIET_ROUTES else log.info
        write(
            "http_request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=request_id,
        )

    def _origin(self, scope: Scope) -> str | None:
        """The Origin of the request, if it is an allowed one."""
        if not self._origins:
            return None
        origin = _header(scope, b"origin")
        return origin if origin in self._origins or (origin and "*" in self._origins) else None


def _route(scope: Scope) -> str:
    route: str = scope.get(ROUTE, UNKNOWN_ROUTE)
    return route


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key.lower() == name:
            text: str = value.decode("latin-1")
            return text
    return None


def _is_preflight(scope: Scope) -> bool:
    return (
        scope["method"] == "OPTIONS"
        and _header(scope, b"access-control-request-method") is not None
    )


def _preflight() -> Message:
    return {
        "type": "http.response.start",
        "status": 204,
        "headers": [
            (b"access-control-allow-methods", b"GET, POST, DELETE"),
            (b"access-control-allow-headers", b"Authorization, Content-Type"),
            (b"access-control-max-age", str(PREFLIGHT_MAX_AGE_S).encode()),
        ],
    }


def _headers(
    given: Collection[tuple[bytes, bytes]], scope: Scope, request_id: str, origin: str | None
) -> list[tuple[bytes, bytes]]:
    """The headers of an answer: what the handler gave, and ours where it gave none."""
    headers = [(name.lower(), value) for name, value in given]
    present = {name for name, _ in headers}
    ours: dict[bytes, bytes] = {
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"no-referrer",
        b"x-request-id": request_id.encode(),
    }
    if scope["path"].startswith(("/api", "/health", "/metrics")) or _is_problem(headers):
        # Data, never a page: it may not be kept, framed, or run if a browser is led to it.
        ours[b"cache-control"] = b"no-store"
        ours[b"content-security-policy"] = b"default-src 'none'; frame-ancestors 'none'"
    if origin is not None:
        ours[b"access-control-allow-origin"] = origin.encode("latin-1")
        ours[b"access-control-expose-headers"] = b"Retry-After, X-Request-Id"
        ours[b"vary"] = b"Origin"
    headers += [(name, value) for name, value in ours.items() if name not in present]
    return headers


def _is_problem(headers: list[tuple[bytes, bytes]]) -> bool:
    return (b"content-type", CONTENT_TYPE.encode()) in headers


async def _answer(send: Send, problem: Problem, prefix: str = "http") -> None:
    """Refuse a request of which nothing more is to be read."""
    problem.headers["Connection"] = "close"
    await send_answer(problem.answer(), send, prefix)


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer an upgrade request on the HTTP port, where no WebSocket is."""
    await receive()
    if "websocket.http.response" in (scope.get("extensions") or {}):
        problem = Problem(Code.NOT_FOUND, "WebSockets are on another port: see websocket_url")
        await _answer(send, problem, "websocket.http")
    else:
        await send({"type": "websocket.close"})
