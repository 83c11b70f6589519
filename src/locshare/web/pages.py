"""The web client: ``/`` creates a session, ``/join/{id}`` joins one. One page, and its parts.

A redirect removes what messengers append to a join link, so that the link is passed on clean. All
addresses are relative, those of redirects too: a proxy may serve the page under a path.

All files are read into memory when the blueprint is made, each with its ETag. Serving one is a
dictionary lookup; no path of a request reaches the file system; and an upgrade of the package under
a running server changes nothing by halves.

By its Content-Security-Policy the page runs scripts and styles of this server only, connects to it
and to its WebSocket address only, and cannot be framed. It holds no secret: the session's id is in
the address bar, the tokens in the browser's storage.
"""

import hashlib
import html
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
import structlog
from msgspec import Struct
from quart import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from locshare.model.join_link import clean_segment
from locshare.web.built import DIST, BuiltFile, asset, read_files
from locshare.web.map_config import NO_MAPS, PageConfig

log = structlog.get_logger()

_FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address of a page is a join link
    "Cross-Origin-Opener-Policy": "same-origin",
    # Revalidated each time, with a 304: an upgrade is seen at once, without versions in names.
    "Cache-Control": "no-cache",
}
_PERMISSIONS: Final = "geolocation=(self), camera=(), microphone=(), payment=(), usb=()"

NOT_BUILT: Final = (
    "The web client is not part of this installation. In a checkout `make web` builds it; "
    "a package of a release has it. The API works without it."
)


class _Anything(BaseConverter):
    """Unlike ``path`` it matches leading slashes and line breaks too."""

    regex = r"[\s\S]*"
    part_isolating = False


class _Text(Struct, frozen=True):
    body: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, content_type: str) -> "_Text":
        return cls(body, content_type, hashlib.sha256(body).hexdigest()[:16])


def pages(
    *,
    public_ws_url: Callable[[], str],
    public_url: Callable[[], str] = lambda: "",
    config: PageConfig = NO_MAPS,
    map_urls: Sequence[str] = (),
    app_platforms: Sequence[str] = (),
    dist: Path = DIST,
) -> Blueprint:
    """The routes. The public URLs are asked for per request, because a chosen port is known late.
    ``map_urls`` are those of ``config`` that are on other servers; ``app_platforms`` those for
    which there is an app.

    Without a build in ``dist`` the page is one sentence that says so. Raises OSError when a file
    cannot be read, ValueError for one of an unknown type: both are faults of the installation.
    """
    built = read_files(dist)
    index = built.pop("index.html", None)
    if index is None:
        log.warning("web_client_missing", hint=NOT_BUILT)
    routes = Blueprint("pages", __name__)
    routes.record_once(lambda setup: setup.app.url_map.converters.update(anything=_Anything))
    shells = _shells(index, config, app_platforms)

    def page(which: int, status: int = 200) -> Response:
        answer = _answer(shells(public_url())[which], 503 if index is None else status)
        answer.headers["Content-Security-Policy"] = content_policy(public_ws_url(), map_urls)
        answer.headers["Permissions-Policy"] = _PERMISSIONS
        return answer

    @routes.get("/")
    async def home() -> Response:
        return page(0)

    @routes.get("/join", strict_slashes=False, merge_slashes=False)
    @routes.get("/join/<anything:rest>", merge_slashes=False)
    async def join_session(rest: str = "") -> Response:
        # The page asks the API about the session and shows the result. An invalid id gets the same
        # page, with the status 404.
        session = clean_segment(rest)
        clean = _clean_join_path(_raw_segments()[1:], session)
        if clean is not None:
            return Response(b"", 302, headers={**_FIXED, "Location": clean})
        return page(1, 404 if session is None else 200)

    configuration = _Text.of(msgspec.json.encode(config), "application/json")

    @routes.get("/config.json")
    async def page_configuration() -> Response:
        return _answer(configuration)

    @routes.get("/assets/<name>")
    async def page_asset(name: str) -> Response:
        return asset(built, name)

    _add_parts(routes, built)
    return routes


def _shells(
    index: BuiltFile | None, config: PageConfig, app_platforms: Sequence[str]
) -> Callable[[str], tuple[_Text, _Text]]:
    """By the public URL: the page of the root, and that of a session, a folder deeper."""
    maps = msgspec.json.encode(config.maps).decode()

    @cache  # the URL does not change once the server listens
    def shells(root: str) -> tuple[_Text, _Text]:
        if index is None:
            return (_Text.of(f"{NOT_BUILT}\n".encode(), "text/plain; charset=utf-8"),) * 2
        # The picture of a link's preview needs a whole address; all others are relative.
        values = {"maps": maps, "apps": " ".join(app_platforms), "root": f"{root}/"}
        text = _filled(index.bodies[""], values)
        deeper = text.replace(b'="./', b'="../')
        return _Text.of(text, index.content_type), _Text.of(deeper, index.content_type)

    return shells


def _add_parts(routes: Blueprint, built: dict[str, BuiltFile]) -> None:
    """Those whose names have no hash: icons, the manifest, the service worker."""

    @routes.get("/favicon.ico")
    async def icon() -> Response:
        file = built.get("icon.svg")
        return Response(b"", 404) if file is None else file.answer()

    for name, file in built.items():
        if "/" not in name:
            endpoint = f"part:{name.replace('.', ':')}"  # Quart reserves the dot for blueprints
            routes.add_url_rule(f"/{name}", endpoint, _serving(file), methods=["GET"])


def content_policy(ws_url: str, map_urls: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of the pages. From ``map_urls`` they may load images and data: a
    map drawn with WebGL fetches its tiles, the canvas shows images.
    """
    maps = " ".join(sorted({_origin(each) for each in map_urls}))
    images = f"'self' data: blob: {maps}".strip()
    reached = f"'self' {_origin(ws_url)} {maps}".strip()
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            f"img-src {images}",
            f"connect-src {reached}",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    # A host name with {s} stands for several servers, and a template's braces for none.
    host = parts.netloc.replace("{s}", "*")
    if host.startswith("["):
        return f"{parts.scheme}:"  # the policy's grammar has no IPv6 addresses
    return f"{parts.scheme}://{host}"


def _filled(template: bytes, values: dict[str, str]) -> bytes:
    for name, value in values.items():
        template = template.replace(f"{{{{{name}}}}}".encode(), html.escape(value).encode())
    return template


def _serving(file: BuiltFile) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        return file.answer()

    return serve


def _answer(text: _Text, status: int = 200) -> Response:
    if status == 200 and text.etag in request.if_none_match:
        answer = Response(b"", 304)
    else:
        answer = Response(text.body, status, content_type=text.content_type)
    answer.set_etag(text.etag)
    answer.headers.update(_FIXED)
    return answer


def _raw_segments() -> list[str]:
    """The segments of the requested path, percent-encoded."""
    raw = request.scope.get("raw_path") or request.path.encode()
    path = raw.decode("latin-1").partition("?")[0].removeprefix(request.root_path)
    return path.split("/")[1:]


def _clean_join_path(segments: list[str], session: str | None) -> str | None:
    """The address of the page for ``session`` relative to ``/join/`` and ``segments``. None when it
    is the requested one.
    """
    if not segments:
        return "join/"
    up, first = "../" * (len(segments) - 1), segments[0]
    if session is None:
        return None if not up else up + quote(first, safe="%")
    return None if not up and first.lower() == session else up + session
