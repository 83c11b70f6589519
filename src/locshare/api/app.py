"""The REST application: puts the rooms of ``api`` together, and turns what they raise into
problems. Holds no state but the rate limits and the metrics.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import trio
from quart import Blueprint, Response, request
from quart.ctx import RequestContext
from quart.typing import ResponseReturnValue
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from locshare.api.edge import ROUTE, Edge, HttpMetrics
from locshare.api.health import Check, health_blueprint
from locshare.api.limits import DEFAULT_LIMITS, ApiLimits
from locshare.api.problems import CONTENT_TYPE, Code, Problem, code_for_status
from locshare.api.sessions import PublicUrls, SessionCalls, Sessions, Tokens
from locshare.auth import TokenExpired, TokenInvalid
from locshare.metrics import Registry
from locshare.session.errors import (
    ParticipantNotFound,
    SessionFull,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.store.port import StoreUnavailable

_OVERLOAD_RETRY_AFTER_S = 5


class RestApplication(QuartTrio):
    """Quart with a deadline for every handler, and the route noted where the edge can see it."""

    def __init__(self, limits: ApiLimits, metrics: HttpMetrics, origins: Collection[str]) -> None:
        # No static folder: whatever is served is served by a blueprint that says so.
        super().__init__(__name__, static_folder=None, template_folder=None)
        self._answer_timeout_s = limits.answer_timeout_s
        self._edge = Edge(super().asgi_app, metrics, origins)
        self.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
        self.config["BODY_TIMEOUT"] = limits.body_timeout_s
        # What nobody expected goes up to the edge, which logs and answers it in one place.
        self.config["PROPAGATE_EXCEPTIONS"] = True
        self.url_map.merge_slashes = False  # an answer or a 404, never a redirect

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
    app = RestApplication(limits, HttpMetrics(registry), allowed_origins)
    app.register_blueprint(SessionCalls(manager, tokens, limits, urls).blueprint())
    app.register_blueprint(health_blueprint(registry, checks or {}))
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    _answer_errors(app)
    return app


def problem_for(error: Exception) -> Problem:
    """The answer to an error that a handler may raise; anything unknown is an internal error."""
    match error:
        case Problem():
            return error
        case SessionNotFound():
            return Problem(Code.SESSION_NOT_FOUND)
        case ParticipantNotFound():
            return Problem(Code.PARTICIPANT_NOT_FOUND)
        case SessionFull():
            return Problem(
                Code.SESSION_FULL, f"the session is full: {error.limit} participants at most"
            )
        case SessionOver() | TokenExpired():  # a token lives exactly as long as its session
            return Problem(Code.SESSION_ENDED)
        case TokenInvalid():
            return Problem(Code.TOKEN_INVALID)
        case StoreUnavailable() | SessionUnavailable():
            return Problem(Code.UNAVAILABLE, retry_after=error.retry_after)
        case trio.TooSlowError():
            return Problem(Code.UNAVAILABLE, retry_after=_OVERLOAD_RETRY_AFTER_S)
        case HTTPException():
            return _problem_for_framework(error)
        case _:
            return Problem(Code.INTERNAL_ERROR)


def _problem_for_framework(error: HTTPException) -> Problem:
    code = code_for_status(error.code or 500)
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if code in (Code.BODY_TOO_LARGE, Code.REQUEST_TIMEOUT):
        headers["Connection"] = "close"  # the rest of the body is not waited for
    return Problem(code, headers=headers)


def _answer_errors(app: QuartTrio) -> None:
    async def answer(error: Exception) -> Response:
        problem = problem_for(error)
        return Response(problem.body(), problem.status, problem.headers, content_type=CONTENT_TYPE)

    for kind in (
        Problem, SessionNotFound, ParticipantNotFound, SessionFull, SessionOver, TokenExpired,
        TokenInvalid, StoreUnavailable, SessionUnavailable, trio.TooSlowError, HTTPException,
    ):  # fmt: skip
        app.register_error_handler(kind, answer)
