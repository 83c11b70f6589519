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

from locshare.api.direct import Direct
from locshare.api.edge import Edge, HttpMetrics
from locshare.api.errors import EXPECTED, problem_for
from locshare.api.exchange import ROUTE
from locshare.api.framework import response, sessions_blueprint
from locshare.api.health import Check, health_blueprint
from locshare.api.limits import DEFAULT_LIMITS, ApiLimits
from locshare.api.sessions import PublicUrls, SessionCalls, Sessions, Tokens
from locshare.metrics import Registry


class RestApplication(QuartTrio):
    """Quart behind the edge and the short way for the calls that come by the thousand, with a
    deadline for every handler, and the route noted where the edge can see it.
    """

    def __init__(
        self,
        calls: SessionCalls,
        limits: ApiLimits,
        metrics: HttpMetrics,
        origins: Collection[str],
    ) -> None:
        # No static folder: whatever is served is served by a blueprint that says so.
        super().__init__(__name__, static_folder=None, template_folder=None)
        self._answer_timeout_s = limits.answer_timeout_s
        often = {("GET", ""): calls.describe, ("POST", "/join"): calls.join}
        self._edge = Edge(Direct(often, limits, super().asgi_app), metrics, origins)
        self.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
        self.config["BODY_TIMEOUT"] = limits.body_timeout_s
        # What nobody expected goes up to the edge, which logs and answers it in one place.
        self.config["PROPAGATE_EXCEPTIONS"] = True
        self.url_map.merge_slashes = False  # an answer or a 404, never a redirect
        self.register_blueprint(sessions_blueprint(calls))
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
    limits: ApiLimits = DEFAULT_LIMITS,
    checks: Mapping[str, Check] | None = None,
    allowed_origins: Collection[str] = (),
    blueprints: Sequence[Blueprint] = (),
) -> RestApplication:
    """The application, to be served by :class:`locshare.api.server.ApiServer`.

    ``checks`` are what ``/health/ready`` asks; ``allowed_origins`` are those of other web pages
    that may use the API (our own are of the same origin); ``blueprints`` are further routes, such
    as the pages. Raises ValueError when a trusted proxy is not a network.
    """
    calls = SessionCalls(manager, tokens, limits, urls)
    app = RestApplication(calls, limits, HttpMetrics(registry), allowed_origins)
    app.register_blueprint(health_blueprint(registry, checks or {}))
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return app


async def _refuse(error: Exception) -> Response:
    problem = problem_for(error)
    if problem is None:  # a kind was registered that has no answer
        raise error
    return response(problem.answer())
