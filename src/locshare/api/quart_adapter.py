"""The handlers of :mod:`locshare.api.sessions` and :mod:`locshare.api.ingest` as views of Quart."""

from collections.abc import Awaitable, Callable
from typing import cast

import quart

from locshare.api.ingest import IngestCalls
from locshare.api.sessions import SessionCalls
from locshare.http.types import Request, Response, Scope


def quart_response(response: Response) -> quart.Response:
    """``response`` as Quart sends it."""
    return quart.Response(
        response.body, response.status, dict(response.headers), content_type=response.content_type
    )


def api_blueprint(calls: SessionCalls, ingest: IngestCalls) -> quart.Blueprint:
    """The routes of all calls about sessions, participants and their positions."""
    routes = quart.Blueprint("api", __name__, url_prefix="/api")

    def add(method: str, path: str, handler: Callable[..., Awaitable[Response]]) -> None:
        async def view(**ids: str) -> quart.Response:
            scope = cast("Scope", quart.request.scope)
            return quart_response(await handler(Request(scope, _read), **ids))

        # Quart reserves the dot of an endpoint for blueprints.
        routes.add_url_rule(path, f"{method} {path}".replace(".", ":"), view, methods=[method])

    add("POST", "/sessions", calls.create)
    add("GET", "/sessions/<session>", calls.describe)
    add("PATCH", "/sessions/<session>", calls.change)
    add("DELETE", "/sessions/<session>", calls.end)
    add("POST", "/sessions/<session>/host", calls.become_host)
    add("POST", "/sessions/<session>/join", calls.join)
    add("GET", "/sessions/<session>/participants", calls.participants)
    add("PATCH", "/sessions/<session>/participants/<user_id>", calls.change_participant)
    add("DELETE", "/sessions/<session>/participants/<user_id>", calls.remove)
    add("POST", "/sessions/<session>/positions", ingest.positions)
    add("POST", "/sessions/<session>/link", calls.replace_link)
    add("GET", "/sessions/<session>/receipt", calls.receipt)
    add("GET", "/sessions/<session>/link.svg", calls.link_qr)
    add("GET", "/sessions/<session>/setup", calls.setup)
    add("GET", "/sessions/<session>/setup/<app>.svg", calls.setup_qr)
    add("GET", "/gpslogger/<code>/locshare.properties", ingest.gpslogger)
    add("GET", "/osmand", ingest.osmand)
    add("POST", "/osmand", ingest.osmand)
    add("POST", "/owntracks", ingest.owntracks)
    return routes


async def _read() -> bytes:
    """Raises RequestEntityTooLarge, RequestTimeout."""
    return await quart.request.get_data(cache=False, as_text=False, parse_form_data=False)
