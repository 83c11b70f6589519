"""A router for the few calls that come by the thousand, in front of the framework.

Quart makes a nursery, two tasks and a dozen objects for each request, which costs more than all
that a short handler does. A route in this table is called with the same :class:`Request`, the same
limits and the same errors; every other method and path goes on to the framework, which has the same
routes for HEAD, OPTIONS and methods that are not allowed.

Unlike Quart this does not listen for a disconnect while a handler runs: the handler goes on until
its time limit, and its response goes nowhere.
"""

from collections.abc import Callable, Mapping

import trio
from msgspec import Struct

from locshare.http.problems import HttpProblem, ProblemCode
from locshare.http.types import (
    ROUTE,
    AsgiApp,
    Handler,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    send_response,
)


class HandlerLimits(Struct, frozen=True):
    """Bytes and seconds of one request."""

    body_bytes: int
    body_timeout_s: float
    """For the whole body, however slowly it drips."""
    response_timeout_s: float
    """For a handler, the body's arrival included."""


class _Route(Struct, frozen=True):
    template: str
    handler: Handler


class FastRouter:
    """An ASGI application around ``framework``.

    ``routes`` are handlers by method and path. A path has one parameter, which is a whole segment,
    ``/things/<thing>/parts``, and which must not be empty. ``problem_for`` gives the response to an
    exception of a handler, None when it is unexpected: then it is raised.
    """

    def __init__(
        self,
        routes: Mapping[tuple[str, str], Handler],
        limits: HandlerLimits,
        problem_for: Callable[[Exception], HttpProblem | None],
        framework: AsgiApp,
    ) -> None:
        self._tables: dict[str, dict[tuple[str, str], _Route]] = {}
        for (method, template), handler in routes.items():
            prefix, _, rest = template.partition("<")
            table = self._tables.setdefault(prefix, {})
            table[method, rest.partition(">")[2]] = _Route(template, handler)
        self._limits = limits
        self._problem_for = problem_for
        self._framework = framework

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises unexpected errors of the handler, and the framework's."""
        path: str = scope.get("path", "")
        for prefix, table in self._tables.items():
            if path.startswith(prefix):
                parameter, slash, rest = path[len(prefix) :].partition("/")
                route = table.get((scope.get("method", ""), slash + rest))
                if route is not None and parameter:
                    scope[ROUTE] = route.template
                    response = await self._respond(route.handler, parameter, scope, receive)
                    await send_response(response, send)
                    return
        await self._framework(scope, receive, send)

    async def _respond(
        self, handler: Handler, parameter: str, scope: Scope, receive: Receive
    ) -> Response:
        async def read() -> bytes:
            return await read_body(request, receive, self._limits)

        request = Request(scope, read)
        try:
            with trio.fail_after(self._limits.response_timeout_s):
                return await handler(request, parameter)
        except Exception as error:
            problem = self._problem_for(error)
            if problem is None:
                raise
            return problem.response()


async def read_body(request: Request, receive: Receive, limits: HandlerLimits) -> bytes:
    """The whole body. Raises HttpProblem when it is too large or takes too long, or the client
    went away: half a body is not to be acted on.
    """
    length = request.header(b"content-length")
    if length.isdecimal() and int(length) > limits.body_bytes:
        raise _closing(ProblemCode.BODY_TOO_LARGE)
    body = bytearray()
    with trio.move_on_after(limits.body_timeout_s):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _closing(ProblemCode.BAD_REQUEST)
            body += message.get("body", b"")
            if len(body) > limits.body_bytes:
                raise _closing(ProblemCode.BODY_TOO_LARGE)
            if not message.get("more_body", False):
                return bytes(body)
    raise _closing(ProblemCode.REQUEST_TIMEOUT)


def _closing(code: ProblemCode) -> HttpProblem:
    """A problem after which the rest of the body is not waited for."""
    return HttpProblem(code, headers={"Connection": "close"})
