"""The REST application: puts the parts of ``api`` together. Its only state is the rate limits and
the metrics.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import trio
from prometheus_client import CollectorRegistry
from quart import Blueprint, Response, request
from quart.ctx import RequestContext
from quart.typing import ResponseReturnValue
from quart_trio import QuartTrio

from locshare.api.errors import EXPECTED, problem_for
from locshare.api.health import Check, health_blueprint
from locshare.api.ingest import IngestCalls, ReportPort
from locshare.api.limits import DEFAULT_LIMITS, ApiLimits
from locshare.api.quart_adapter import api_blueprint, quart_response
from locshare.api.sessions import PublicUrls, SessionCalls, SessionPort, TokenPort
from locshare.http.access import OTHER_PORT, AccessMiddleware, AccessRules, HttpMetrics
from locshare.http.fast_router import FastRouter, HandlerLimits
from locshare.http.origins import Hosts, Origins
from locshare.http.types import ROUTE, Handler
from locshare.net.observer import NOBODY, RequestObserver
from locshare.session.moment import utc_now
from locshare.telemetry.traces import OFF, Tracer


class RestApplication(QuartTrio):
    """Quart behind the access middleware and the fast router, with a deadline for every handler,
    the route in the scope for the middleware, and none of Quart's own defaults.

    ``fast_routes`` are called past Quart (:mod:`locshare.http.fast_router`).
    """

    def __init__(
        self,
        limits: ApiLimits,
        metrics: HttpMetrics,
        rules: AccessRules,
        blueprints: Sequence[Blueprint],
        fast_routes: Mapping[tuple[str, str], Handler] = {},
        observer: RequestObserver = NOBODY,
        tracer: Tracer = OFF,
    ) -> None:
        # No static folder: each file is served by a blueprint that names it.
        super().__init__(__name__, static_folder=None, template_folder=None)
        self.debug = False  # not asked of the environment (QUART_DEBUG)
        self._answer_timeout_s = limits.answer_timeout_s
        handling = HandlerLimits(limits.body_bytes, limits.body_timeout_s, limits.answer_timeout_s)
        router = FastRouter(fast_routes, handling, problem_for, super().asgi_app)
        self._access = AccessMiddleware(router, metrics, rules, observer, tracer)
        self.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
        self.config["BODY_TIMEOUT"] = limits.body_timeout_s
        # An unexpected error reaches the middleware, which logs it and responds.
        self.config["PROPAGATE_EXCEPTIONS"] = True
        self.url_map.merge_slashes = False  # an answer or a 404, never a redirect
        for blueprint in blueprints:
            self.register_blueprint(blueprint)
        for kind in EXPECTED:
            self.register_error_handler(kind, _refuse)

    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        """The entry of ASGI, through the middleware."""
        await self._access(scope, receive, send)

    async def dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseReturnValue:
        """Run the handler of the current request. Raises trio.TooSlowError."""
        if request.url_rule is not None:
            request.scope[ROUTE] = request.url_rule.rule  # type: ignore[typeddict-unknown-key]  # ours
        with trio.fail_after(self._answer_timeout_s):
            return await super().dispatch_request(request_context)


class AllSessions(SessionPort, ReportPort, Protocol):
    """What the API uses of the session manager."""


def create_app(
    manager: AllSessions,
    tokens: TokenPort,
    *,
    urls: Callable[[], PublicUrls],
    registry: CollectorRegistry,
    metrics: HttpMetrics | None = None,
    limits: ApiLimits = DEFAULT_LIMITS,
    checks: Mapping[str, Check] | None = None,
    expose_metrics: bool = True,
    prefix: str = "",
    one_port: bool = False,
    now: Callable[[], datetime] = utc_now,
    allowed_origins: Collection[str] = (),
    blueprints: Sequence[Blueprint] = (),
    observer: RequestObserver = NOBODY,
    tracer: Tracer = OFF,
) -> RestApplication:
    """The public application, to be served by :class:`locshare.http.server.HttpServer`.

    ``/health/ready`` runs ``checks``; ``/metrics`` exists when ``expose_metrics``. ``prefix`` is
    the path of the public URL. With ``one_port`` WebSockets come by the same port, and get here
    only by a client's mistake. ``allowed_origins`` are the origins of other web pages that may use
    the API; our own pages have the same origin. ``now`` is the wall clock, in UTC.
    ``blueprints`` are further routes, such as the pages. Raises ValueError when a trusted
    proxy is not a network.
    """
    calls = SessionCalls(manager, tokens, limits, urls)
    ingest = IngestCalls(manager, tokens, limits, calls.limit_address, now, lambda: urls().http)
    return RestApplication(
        limits,
        metrics or HttpMetrics(registry),
        AccessRules(
            Origins(allowed_origins, lambda: urls().http),
            prefix=prefix,
            no_websocket=_TOO_EARLY if one_port else OTHER_PORT,
        ),
        [
            api_blueprint(calls, ingest),
            health_blueprint(registry if expose_metrics else None, checks or {}),
            *blueprints,
        ],
        {
            ("GET", "/api/sessions/<session>"): calls.describe,
            ("POST", "/api/sessions/<session>/join"): calls.join,
            ("POST", "/api/sessions/<session>/positions"): ingest.positions,
        },
        observer,
        tracer,
    )


def create_internal_app(
    metrics: HttpMetrics, blueprints: Sequence[Blueprint], names: Collection[str] = ()
) -> RestApplication:
    """The application of an internal port, which has no authentication. It serves ``blueprints`` to
    requests whose ``Host`` is an IP address, ``localhost`` or one of ``names``.
    """
    rules = AccessRules(Origins((), lambda: ""), Hosts(names))
    return RestApplication(DEFAULT_LIMITS, metrics, rules, blueprints)


_TOO_EARLY: Final = (
    "a request for a WebSocket may follow another one on its connection only after the answer to it"
)


async def _refuse(error: Exception) -> Response:
    problem = problem_for(error)
    if problem is None:  # EXPECTED has a type without a response
        raise error
    return quart_response(problem.response())
