"""The handlers of :mod:`locshare.api.sessions` as views of Quart."""

from collections.abc import Awaitable, Callable
from typing import cast

import quart

from locshare.api.sessions import SessionCalls
from locshare.http.types import Request, Response, Scope


def quart_response(response: Response) -> quart.Response:
    """``response`` as Quart sends it."""
    return quart.Response(
        response.body, response.status, dict(response.headers), content_type=response.content_type
    )


def sessions_blueprint(calls: SessionCalls) -> quart.Blueprint:
    """The routes of all calls about sessions and participants."""
    routes = quart.Blueprint("sessions", __name__, url_prefix="/api/sessions")

    def add(method: str, path: str, handler: Callable[..., Awaitable[Response]]) -> None:
        async def view(**ids: str) -> quart.Response:
            scope = cast("Scope", quart.request.scope)
            return quart_response(await handler(Request(scope, _read), **ids))

        routes.add_url_rule(path, f"{method} {path}", view, methods=[method])

    add("POST", "", calls.create)
    add("GET", "/<session>", calls.describe)
    add("PATCH", "/<session>", calls.change)
    add("DELETE", "/<session>", calls.end)
    add("POST", "/<session>/host", calls.become_host)
    add("POST", "/<session>/join", calls.join)
    add("GET", "/<session>/participants", calls.participants)
    add("DELETE", "/<session>/participants/<user_id>", calls.remove)
    return routes


async def _read() -> bytes:
    """Raises RequestEntityTooLarge, RequestTimeout."""
    return await quart.request.get_data(cache=False, as_text=False, parse_form_data=False)
