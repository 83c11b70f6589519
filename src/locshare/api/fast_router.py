"""The two calls that come by the thousand, joining and reading a session, past the framework.

Quart makes a nursery, two tasks and a dozen objects for each request, which costs more than all
that these two do. So they are looked up in a table of two rows and answered here, by the same
handlers, with the same limits and the same errors (:mod:`locshare.api.errors`); every other method
and path goes on to Quart, which has the same two routes for the answers to HEAD and OPTIONS and for
what is not allowed.

Unlike Quart this does not listen for the end of a client while a handler runs: the handler goes on,
for as long as it may, and its answer goes nowhere.
"""

from collections.abc import Mapping
from typing import Final

import trio

from locshare.api.errors import problem_for
from locshare.api.limits import ApiLimits
from locshare.http.problems import Code, Problem
from locshare.http.types import (
    ROUTE,
    Answer,
    AsgiApp,
    Handler,
    Receive,
    Request,
    Scope,
    Send,
    send_answer,
)

_PREFIX: Final = "/api/sessions/"


class Direct:
    """An ASGI application around ``rest``. ``handlers`` are by method and what follows the
    session's id in the path.
    """

    def __init__(
        self, handlers: Mapping[tuple[str, str], Handler], limits: ApiLimits, rest: AsgiApp
    ) -> None:
        self._handlers = handlers
        self._limits = limits
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises what nobody expected."""
        session, slash, tail = "", "", ""
        if scope["type"] == "http" and scope["path"].startswith(_PREFIX):
            session, slash, tail = scope["path"][len(_PREFIX) :].partition("/")
        handler = self._handlers.get((scope.get("method", ""), slash + tail))
        if handler is None or not session:
            await self._rest(scope, receive, send)
            return
        scope[ROUTE] = f"{_PREFIX}<session>{slash}{tail}"
        await send_answer(await self._answer(handler, session, scope, receive), send)

    async def _answer(
        self, handler: Handler, session: str, scope: Scope, receive: Receive
    ) -> Answer:
        async def read() -> bytes:
            return await read_body(request, receive, self._limits)

        request = Request(scope, read)
        try:
            with trio.fail_after(self._limits.answer_timeout_s):
                return await handler(request, session)
        except Exception as error:
            problem = problem_for(error)
            if problem is None:
                raise
            return problem.answer()


async def read_body(request: Request, receive: Receive, limits: ApiLimits) -> bytes:
    """The whole body. Raises Problem when it is too large or takes too long."""
    length = request.header(b"content-length")
    if length.isdecimal() and int(length) > limits.body_bytes:
        raise _close(Code.BODY_TOO_LARGE)
    body = bytearray()
    with trio.move_on_after(limits.body_timeout_s):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":  # half a body is not to be acted on
                raise _close(Code.BAD_REQUEST)
            body += message.get("body", b"")
            if len(body) > limits.body_bytes:
                raise _close(Code.BODY_TOO_LARGE)
            if not message.get("more_body", False):
                return bytes(body)
    raise _close(Code.REQUEST_TIMEOUT)


def _close(code: Code) -> Problem:
    """The rest of the body is not waited for."""
    return Problem(code, headers={"Connection": "close"})
