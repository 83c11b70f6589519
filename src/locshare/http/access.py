"""What every request meets first and every answer last: the ASGI layer around the application.

It gives each request an id, adds the headers that all answers have, answers CORS preflights,
turns away what may not come in at all (:class:`EdgeRules`), counts, writes the one access log line,
and is the last net: an exception that nobody expected becomes a 500 without a word about it, and a
log line with the same request id.

The log line and the metrics name the *route*, never the path: the path of a stray request may
hold anything, a token included, and a session's id is all that is needed to join it. Queries,
headers, bodies and client addresses are not logged. Nothing is remembered between requests.
"""

import secrets
from collections.abc import Collection
from typing import Final
from urllib.parse import quote, unquote

import structlog
import trio
from msgspec import Struct

from locshare.http.origins import Hosts, Origins, header
from locshare.http.problems import CONTENT_TYPE, Code, Problem
from locshare.http.types import (
    ALLOWED_METHODS,
    RESERVED,
    ROUTE,
    Answer,
    AsgiApp,
    Message,
    Receive,
    Scope,
    Send,
    send_answer,
)
from locshare.telemetry.metrics import Registry
from locshare.telemetry.unexpected import log_unexpected

log = structlog.get_logger()

UNKNOWN_ROUTE: Final = "unknown"

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET_ROUTES: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked every few seconds by machines: logged at debug level, and answered in the connections that
are reserved for them."""
PREFLIGHT_MAX_AGE_S: Final = 600
_RETRY_AFTER_S: Final = 5


class HttpMetrics:
    """Requests by method, route and status, and how long they took."""

    def __init__(self, registry: Registry) -> None:
        self.requests = registry.counters(
            "locshare_http_requests_total", "HTTP requests answered.", "method", "route", "status"
        )
        self.seconds = registry.histograms(
            "locshare_http_request_seconds", "From request to end of answer.", "route"
        )


class EdgeRules(Struct, frozen=True):
    """What is turned away before the application sees it. ``hosts`` None answers to every name.

    A path below ``prefix`` is one without it: a proxy that serves us in a folder may strip the
    folder's name or leave it. ``""`` for none; else it begins with a slash, ends with none, and has
    no percent-encoding.
    """

    origins: Origins
    hosts: Hosts | None = None
    prefix: str = ""

    def refusal(self, scope: Scope) -> Problem | None:
        """Why the request of ``scope`` is not to be served; None when it is."""
        path, headers = scope["path"], scope["headers"]
        if self.hosts is not None and not self.hosts.answers_to(headers):
            return Problem(
                Code.WRONG_HOST,
                "this port answers to IP addresses, localhost, and the names in "
                "LOCSHARE_INTERNAL_HOSTS",
            )
        if _is_reserved(scope) and path not in QUIET_ROUTES:
            return Problem(
                Code.UNAVAILABLE,
                "too many connections, come back later",
                retry_after=_RETRY_AFTER_S,
            )
        if not path.startswith("/"):
            return Problem(Code.BAD_REQUEST, "the path begins with a slash")
        if scope["method"] != scope["method"].upper():  # RFC 9110 section 9.1: methods have a case
            allow = {"Allow": ALLOWED_METHODS.decode()}
            return Problem(Code.METHOD_NOT_ALLOWED, "methods are in capitals", headers=allow)
        if self.origins.is_foreign(scope["method"], headers):
            return Problem(Code.CROSS_SITE)
        if path == "/ws":
            return Problem(Code.NOT_FOUND, "WebSockets are on another port: see websocket_url")
        return None

    def strip(self, scope: Scope) -> None:
        """Take the prefix off the path of ``scope``, if it is there as whole segments."""
        if not self.prefix or not scope["path"].startswith(f"{self.prefix}/"):
            return
        segments = scope["raw_path"].split(b"/")
        end = self.prefix.count("/") + 1
        if unquote(b"/".join(segments[:end]).decode("latin-1")) == self.prefix:
            scope["raw_path"] = b"/" + b"/".join(segments[end:])
            scope["path"] = scope["path"][len(self.prefix) :]


class Edge:
    """An ASGI application around ``app``."""

    def __init__(self, app: AsgiApp, metrics: HttpMetrics, rules: EdgeRules) -> None:
        self._app = app
        self._metrics = metrics
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request. Raises nothing but cancellation."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = trio.current_time()
        request_id = secrets.token_hex(8)
        rules = self._rules
        origin = rules.origins.granted(scope["headers"])
        rules.strip(scope)
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
            if scope["path"] == "*" and scope["method"] == "OPTIONS":
                await send_answer(_ABOUT_THE_SERVER, answer)
            elif (refusal := rules.refusal(scope)) is not None:
                await _answer(answer, refusal)
            elif scope["path"] == rules.prefix:
                await send_answer(
                    Answer(308, b"", headers={"Location": f"{quote(rules.prefix)}/"}), answer
                )
            elif origin is not None and _is_preflight(scope):
                await answer(_preflight())
                await answer({"type": "http.response.body", "body": b""})
            else:
                await self._app(scope, take, answer)
        except Exception as error:  # noqa: BLE001 - one request must not take the server down
            log_unexpected("request_failed", error, request_id=request_id, route=_route(scope))
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


_ABOUT_THE_SERVER: Final = Answer(200, b"", headers={"Allow": ALLOWED_METHODS.decode()})
"""RFC 9110 section 9.3.7: ``OPTIONS *`` asks about the server and no resource."""


def _route(scope: Scope) -> str:
    route: str = scope.get(ROUTE, UNKNOWN_ROUTE)
    return route


def _is_reserved(scope: Scope) -> bool:
    return bool((scope.get("state") or {}).get(RESERVED))


def _is_preflight(scope: Scope) -> bool:
    return (
        scope["method"] == "OPTIONS"
        and header(scope["headers"], b"access-control-request-method") is not None
    )


def _preflight() -> Message:
    return {
        "type": "http.response.start",
        "status": 204,
        "headers": [
            (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
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
    if _is_reserved(scope):
        ours[b"connection"] = b"close"
    if origin is not None:
        ours[b"access-control-allow-origin"] = origin.encode("latin-1")
        ours[b"access-control-expose-headers"] = b"Retry-After, X-Request-Id"
        ours[b"vary"] = b"Origin"
    headers += [(name, value) for name, value in ours.items() if name not in present]
    return headers


def _is_problem(headers: list[tuple[bytes, bytes]]) -> bool:
    return (b"content-type", CONTENT_TYPE.encode()) in headers


async def _answer(send: Send, problem: Problem) -> None:
    """Refuse a request of which nothing more is to be read."""
    problem.headers["Connection"] = "close"
    await send_answer(problem.answer(), send)
