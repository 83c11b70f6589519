"""The handlers of :mod:`locshare.api.sessions` as views of Quart, and their answers as its."""

from collections.abc import Awaitable, Callable
from typing import cast

from quart import Blueprint, Response, request

from locshare.api.sessions import SessionCalls
from locshare.http.types import Answer, Request, Scope


def response(answer: Answer) -> Response:
    """``answer`` as Quart sends it."""
    return Response(
        answer.body, answer.status, dict(answer.headers), content_type=answer.content_type
    )


def sessions_blueprint(calls: SessionCalls) -> Blueprint:
    """The routes of all calls about sessions and participants."""
    routes = Blueprint("sessions", __name__, url_prefix="/api/sessions")

    def add(method: str, path: str, handler: Callable[..., Awaitable[Answer]]) -> None:
        async def view(**ids: str) -> Response:
            return response(await handler(Request(cast("Scope", request.scope), _read), **ids))

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
    return await request.get_data(cache=False, as_text=False, parse_form_data=False)
