"""The access middleware: first for every request, last for every response.

It gives each request an id, adds the headers that every response has, answers CORS preflights,
refuses requests that the application must not see (:class:`AccessRules`), counts, and writes the
access log. An unexpected exception becomes a 500 that says nothing about it, and a log line with
the same request id.

The log line and the metrics name the *route*, never the path: the path of a stray request may hold
anything, a token included, and a session's id is all that is needed to join it. Queries, headers,
bodies and client addresses are not logged. Nothing is kept between requests.
"""

import secrets
from collections.abc import Collection
from typing import Final
from urllib.parse import quote, unquote

import structlog
import trio
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram

from locshare.http.origins import Hosts, Origins, header
from locshare.http.problems import CONTENT_TYPE, HttpProblem, ProblemCode
from locshare.http.types import (
    ALLOWED_METHODS,
    RESERVED,
    ROUTE,
    AsgiApp,
    Message,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    TooManyParameters,
    send_response,
)
from locshare.net.observer import NOBODY, PARAMETER, RequestObserver
from locshare.telemetry.metrics import LATENCY_BUCKETS
from locshare.telemetry.traces import OFF, Tracer
from locshare.telemetry.unexpected import log_unexpected

log = structlog.get_logger()

UNKNOWN_ROUTE: Final = "unknown"

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET_ROUTES: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Machines ask these every few seconds: logged at debug level, and answered in the connections that
are reserved for them."""
PREFLIGHT_MAX_AGE_S: Final = 600
_FAILURES: Final = (500, 503)
OTHER_PORT: Final = "WebSockets are on another port: see websocket_url"


class HttpMetrics:
    """Requests by method, route and status, and their duration."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "locshare_http_requests_total",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "locshare_http_request_seconds",
            "From request to end of answer.",
            ("route",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.received = Counter(
            "locshare_http_received_bytes_total",
            "Bodies of HTTP requests, in bytes.",
            registry=registry,
        )
        self.sent = Counter(
            "locshare_http_sent_bytes_total",
            "Bodies of HTTP answers, in bytes.",
            registry=registry,
        )
        self._begun: set[tuple[str, str]] = set()

    def answered(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """Count one request. ``status`` None: the client disconnected, or the server stops."""
        if (method, route) not in self._begun:
            # Prometheus sees a rise only from a value it has seen: a counter that begins at 1 with
            # the first failure would raise no alert.
            self._begun.add((method, route))
            for failure in _FAILURES:
                self.requests.labels(method, route, failure)
        self.requests.labels(method, route, status or "none").inc()
        self.seconds.labels(route).observe(seconds)


class AccessRules(Struct, frozen=True):
    """Which requests are refused before the application sees them. ``hosts`` None answers to every
    name.

    A path below ``prefix`` is one without it: a proxy that serves us in a folder may strip the
    folder's name or leave it. ``""`` for none; else it begins with a slash, ends with none, and has
    no percent-encoding.
    """

    origins: Origins
    hosts: Hosts | None = None
    prefix: str = ""
    no_websocket: str = OTHER_PORT
    """Why a WebSocket's path is not served."""

    def refusal(self, scope: Scope) -> HttpProblem | None:
        """The response to a request that is not served; None when it is."""
        path, headers = scope["path"], scope["headers"]
        if self.hosts is not None and not self.hosts.answers_to(headers):
            return HttpProblem(
                ProblemCode.WRONG_HOST,
                "this port answers to IP addresses, localhost, and the names in "
                "LOCSHARE_INTERNAL_HOSTS",
            )
        if _is_reserved(scope) and path not in QUIET_ROUTES:
            return HttpProblem(ProblemCode.UNAVAILABLE, "too many connections, come back later")
        if not _has_labels(header(headers, b"host") or ""):
            return HttpProblem(ProblemCode.BAD_REQUEST, "the Host header is no name or address")
        if not path.startswith("/"):
            return HttpProblem(ProblemCode.BAD_REQUEST, "the path begins with a slash")
        if self.origins.is_foreign(scope["method"], headers):
            return HttpProblem(ProblemCode.CROSS_SITE)
        if path in ("/ws", "/socket/websocket"):
            return HttpProblem(ProblemCode.NOT_FOUND, self.no_websocket)
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


class AccessMiddleware:
    """An ASGI application around ``app``."""

    def __init__(
        self,
        app: AsgiApp,
        metrics: HttpMetrics,
        rules: AccessRules,
        observer: RequestObserver = NOBODY,
        tracer: Tracer = OFF,
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._metrics = metrics
        self._rules = rules
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises nothing but cancellation."""
        if scope["type"] == "http":
            if self._observer.armed:
                _observe(self._observer, scope)
            if self._tracer.on:
                await self._traced(scope, receive, send)
            else:
                await self._http(scope, receive, send)

    async def _traced(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A span around the request, named by its route, in the trace of a proxy that sends one."""
        parent = header(scope["headers"], b"traceparent") or ""
        with self._tracer.span("HTTP", parent=parent) as span:
            status = await self._http(scope, receive, send)
            method = scope["method"] if scope["method"] in METHODS else "other"
            span.name(f"{method} {_route(scope)}")
            span.set({"http.request.method": method, "http.route": _route(scope)})
            if status is None:
                return
            span.set({"http.response.status_code": status})
            if status >= 500:
                span.fail(str(status))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> int | None:
        """The status that was sent; None when the client went away before."""
        began = trio.current_time()
        request_id = secrets.token_hex(8)
        rules, metrics = self._rules, self._metrics
        origin = rules.origins.granted(scope["headers"])
        rules.strip(scope)
        status: int | None = None
        finishing = False

        async def take() -> Message:
            # hypercorn sends a disconnect while it sends the last part of a response, in the task
            # that then closes the connection or starts its idle time. Quart cancels that very task
            # when it receives the disconnect, and the connection would stay open for ever.
            message: Message = await receive()
            metrics.received.inc(len(message.get("body", b"")))
            if finishing and message["type"] == "http.disconnect":
                await trio.sleep_forever()
            return message

        async def respond(message: Message) -> None:
            nonlocal status, finishing
            if message["type"] == "http.response.body":
                metrics.sent.inc(len(message.get("body", b"")))
                finishing = finishing or not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _headers(message["headers"], scope, request_id, origin)
            await send(message)

        try:
            if scope["path"] == "*" and scope["method"] == "OPTIONS":
                await send_response(_ABOUT_THE_SERVER, respond)
            elif (refusal := rules.refusal(scope)) is not None:
                await _refuse(respond, refusal)
            elif scope["path"] == rules.prefix:
                location = {"Location": f"{quote(rules.prefix)}/"}
                await send_response(Response(308, b"", headers=location), respond)
            elif origin is not None and _is_preflight(scope):
                await respond(_preflight())
                await respond({"type": "http.response.body", "body": b""})
            else:
                await self._app(scope, take, respond)
        except Exception as error:  # noqa: BLE001 - one request must not take the server down
            log_unexpected("request_failed", error, request_id=request_id, route=_route(scope))
            if status is None:
                await _refuse(respond, HttpProblem(ProblemCode.INTERNAL_ERROR))
        finally:
            self._record(scope, status, trio.current_time() - began, request_id)
        return status

    def _record(self, scope: Scope, status: int | None, seconds: float, request_id: str) -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.answered(method, route, status, seconds)
        write = log.debug if route in QUIET_ROUTES else log.info
        write(
            "http_request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=request_id,
        )


_ABOUT_THE_SERVER: Final = Response(200, b"", headers={"Allow": ALLOWED_METHODS.decode()})
"""RFC 9110 section 9.3.7: ``OPTIONS *`` is about the server, not a resource."""


def _observe(observer: RequestObserver, scope: Scope) -> None:
    request = Request(scope, _nothing)
    host, port = scope.get("client") or ("", None)
    try:
        names = request.query(PARAMETER)
    except TooManyParameters:  # the application will say so
        return
    for name in names[:1]:
        observer.note(
            "http", name, (host, port), lambda header: request.headers(header.encode("latin-1"))
        )


async def _nothing() -> bytes:
    return b""


def _route(scope: Scope) -> str:
    route: str = scope.get(ROUTE, UNKNOWN_ROUTE)
    return route


def _has_labels(host: str) -> bool:
    """Whether each label of a host name has 1 to 63 characters, as DNS has it. For others Quart's
    router raises. No host, and an IPv6 address in brackets, are none of its business.
    """
    name = host.partition(":")[0].removesuffix(".") if host != "." else "."
    return not name or all(0 < len(label) < 64 for label in name.split("."))


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
    """The headers of a response: the handler's, and ours where it has none of that name."""
    headers = [(name.lower(), value) for name, value in given]
    present = {name for name, _ in headers}
    ours: dict[bytes, bytes] = {
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"no-referrer",
        b"x-request-id": request_id.encode(),
    }
    if scope["path"].startswith(("/api", "/health", "/metrics")) or _is_problem(headers):
        # Data, never a page: a browser must not keep it, frame it or run it.
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


async def _refuse(send: Send, problem: HttpProblem) -> None:
    """Refuse a request whose body is not read."""
    problem.headers["Connection"] = "close"
    await send_response(problem.response(), send)
