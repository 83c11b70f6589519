"""``/openapi.json``, ``/asyncapi.json`` and ``/docs``: the contract of this server.

The documents are made at the first request, in a thread: tens of milliseconds of Python, for
which no position has to wait. From then on serving one is a dictionary lookup, with an ETag.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import trio
from msgspec import Struct
from quart import Blueprint, Response, request

from locshare.contract.asyncapi import asyncapi
from locshare.contract.openapi import openapi
from locshare.contract.page import STYLE, page

_STYLE_SHEET: Final = Path(__file__).with_name("docs.css")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Revalidated each time, with a 304: after an upgrade nobody reads an old contract.
    "Cache-Control": "no-cache",
}
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class _Document(Struct, frozen=True):
    body: bytes
    content_type: str
    policy: str
    etag: str

    @classmethod
    def of(cls, body: bytes, content_type: str, policy: str = _DATA_POLICY) -> "_Document":
        return cls(body, content_type, policy, hashlib.sha256(body).hexdigest()[:16])


def documents(ws_url: str) -> Mapping[str, _Document]:
    """All of them by path, for a server whose WebSockets are at ``ws_url``. Raises OSError when the
    style sheet cannot be read, which is a fault of the installation.
    """
    rest, socket = openapi(), asyncapi(ws_url)
    return {
        "/openapi.json": _Document.of(msgspec.json.encode(rest), "application/json"),
        "/asyncapi.json": _Document.of(msgspec.json.encode(socket), "application/json"),
        "/docs": _Document.of(
            page(rest, socket).encode(), "text/html; charset=utf-8", _PAGE_POLICY
        ),
        f"/{STYLE}": _Document.of(_STYLE_SHEET.read_bytes(), "text/css; charset=utf-8"),
    }


def contract_blueprint(ws_url: Callable[[], str]) -> Blueprint:
    """The routes. ``ws_url`` is called at the first request: a chosen port is known late."""
    routes = Blueprint("contract", __name__)
    made: dict[str, _Document] = {}
    making = trio.Lock()

    async def document(path: str) -> Response:
        async with making:  # those who come meanwhile wait for the same
            if not made:
                made.update(await trio.to_thread.run_sync(documents, ws_url()))
        return _answer(made[path])

    for path in ("/openapi.json", "/asyncapi.json", "/docs", f"/{STYLE}"):
        routes.add_url_rule(
            path, path.replace(".", ":"), document, defaults={"path": path}, methods=["GET"]
        )
    return routes


def _answer(document: _Document) -> Response:
    if document.etag in request.if_none_match:
        answer = Response(b"", 304)
    else:
        answer = Response(document.body, content_type=document.content_type)
    answer.set_etag(document.etag)
    answer.headers.update({**_HEADERS, "Content-Security-Policy": document.policy})
    return answer
