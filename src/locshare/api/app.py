"""The REST application: puts the rooms of ``api`` together. Holds no state but the rate limits and
the metrics.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import trio
from quart import Blueprint, Response, request
from quart.ctx import RequestContext
from quart.typing import ResponseReturnValue
from quart_trio import QuartTrio

from locshare.api.errors import EXPECTED, problem_for
from locshare.api.fast_router import Direct
from locshare.api.framework import response, sessions_blueprint
from locshare.api.health import Check, health_blueprint
from locshare.api.limits import DEFAULT_LIMITS, ApiLimits
from locshare.api.sessions import PublicUrls, SessionCalls, Sessions, Tokens
from locshare.http.access import Edge, EdgeRules, HttpMetrics
from locshare.http.origins import Hosts, Origins
from locshare.http.types import ROUTE, Handler
from locshare.telemetry.metrics import Registry


class RestApplication(QuartTrio):
    """Quart behind the edge, with a deadline for every handler, the route noted where the edge can
    see it, and everything off that a framework switches on by itself.

    ``often`` are handlers that are called past the framework (:mod:`locshare.api.fast_router`).
    """

    def __init__(
        self,
        limits: ApiLimits,
        metrics: HttpMetrics,
        rules: EdgeRules,
        blueprints: Sequence[Blueprint],
        often: Mapping[tuple[str, str], Handler] = {},
    ) -> None:
        # No static folder: whatever is served is served by a blueprint that says so.
        super().__init__(__name__, static_folder=None, template_folder=None)
        self.debug = False  # not asked of the environment (QUART_DEBUG)
        self._answer_timeout_s = limits.answer_timeout_s
        self._edge = Edge(Direct(often, limits, super().asgi_app), metrics, rules)
        self.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
        self.config["BODY_TIMEOUT"] = limits.body_timeout_s
        # What nobody expected goes up to the edge, which logs and answers it in one place.
        self.config["PROPAGATE_EXCEPTIONS"] = True
        self.url_map.merge_slashes = False  # an answer or a 404, never a redirect
        for blueprint in blueprints:
            self.register_blueprint(blueprint)
        for kind in EXPECTED:
            self.register_error_handler(kind, _refuse)

    async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI's entry, by way of the edge."""
        await self._edge(scope, receive, send)

    async def dispatch_request(
        self, request_context: RequestContext | None = None
    ) -> ResponseReturnValue:
        """Run the handler of the current request. Raises trio.TooSlowError."""
        if request.url_rule is not None:
            request.scope[ROUTE] = request.url_rule.rule  # type: ignore[typeddict-unknown-key]  # ours
        with trio.fail_after(self._answer_timeout_s):
            return await super().dispatch_request(request_context)


def create_app(
    manager: Sessions,
    tokens: Tokens,
    *,
    urls: Callable[[], PublicUrls],
    registry: Registry,
    metrics: HttpMetrics | None = None,
    limits: ApiLimits = DEFAULT_LIMITS,
    checks: Mapping[str, Check] | None = None,
    expose_metrics: bool = True,
    prefix: str = "",
    allowed_origins: Collection[str] = (),
    blueprints: Sequence[Blueprint] = (),
) -> RestApplication:
    """The public application, to be served by :class:`locshare.http.server.ApiServer`.

    ``checks`` are what ``/health/ready`` asks; ``/metrics`` is there when ``expose_metrics``.
    ``prefix`` is the path of the public URL; ``allowed_origins`` are those of other web pages that
    may use the API (our own are of the same origin); ``blueprints`` are further routes, such as
    the pages. Raises ValueError when a trusted proxy is not a network.
    """
    calls = SessionCalls(manager, tokens, limits, urls)
    return RestApplication(
        limits,
        metrics or HttpMetrics(registry),
        EdgeRules(Origins(allowed_origins, lambda: urls().http), prefix=prefix),
        [
            sessions_blueprint(calls),
            health_blueprint(registry if expose_metrics else None, checks or {}),
            *blueprints,
        ],
        {("GET", ""): calls.describe, ("POST", "/join"): calls.join},
    )


def create_internal_app(
    metrics: HttpMetrics, blueprints: Sequence[Blueprint], names: Collection[str] = ()
) -> RestApplication:
    """The application of an internal port, where nobody has to log in: ``blueprints`` are served to
    whoever reaches it by an IP address, as ``localhost`` or by one of ``names``.
    """
    rules = EdgeRules(Origins((), lambda: ""), Hosts(names))
    return RestApplication(DEFAULT_LIMITS, metrics, rules, blueprints)


async def _refuse(error: Exception) -> Response:
    problem = problem_for(error)
    if problem is None:  # a kind was registered that has no answer
        raise error
    return response(problem.answer())
