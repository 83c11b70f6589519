"""The pages: ``/`` creates a session, ``/join/{id}`` joins one. And their static files.

A redirect removes what messengers append to a join link, so that the link is passed on clean. All
addresses are relative, those of redirects too: a proxy may serve the pages under a path.

All files are read into memory when the blueprint is made, each with its ETag. Serving one is a
dictionary lookup; no path of a request reaches the file system; and an upgrade of the package under
a running server changes nothing by halves.

By their Content-Security-Policy the pages run scripts and styles of this server only, connect to it
and to its WebSocket address only, and cannot be framed. They hold no secret: the session's id is in
the address bar, the token in the tab's memory.
"""

import hashlib
import html
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct
from quart import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from locshare.model.join_link import session_id_in
from locshare.web.built import DIST, asset, read_files
from locshare.web.map_config import NO_MAPS, PageConfig

STATIC: Final = Path(__file__).parent / "static"

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}

_FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address of a page is a join link
    "Cross-Origin-Opener-Policy": "same-origin",
    # Revalidated each time, with a 304: an upgrade is seen at once, without versions in names.
    "Cache-Control": "no-cache",
}
_PERMISSIONS: Final = "geolocation=(self), camera=(), microphone=(), payment=(), usb=()"


class _Anything(BaseConverter):
    """Unlike ``path`` it matches leading slashes and line breaks too."""

    regex = r"[\s\S]*"
    part_isolating = False


class _File(Struct, frozen=True):
    body: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, suffix: str) -> "_File":
        return cls(body, _TYPES[suffix], hashlib.sha256(body).hexdigest()[:16])


def pages(
    *,
    public_ws_url: Callable[[], str],
    public_url: Callable[[], str] = lambda: "",
    tile_url: str | None = None,
    tile_attribution: str | None = None,
    config: PageConfig = NO_MAPS,
    map_urls: Sequence[str] = (),
    static: Path = STATIC,
    dist: Path = DIST,
) -> Blueprint:
    """The routes. The public URLs are asked for per request, because a chosen port is known late.
    ``map_urls`` are those of ``config`` that are on other servers.

    Raises OSError when a file cannot be read, ValueError for one of an unknown type: both are
    faults of the installation.
    """
    values = {"tile_url": tile_url or "", "tile_attribution": tile_attribution or ""}
    files = dict(_read(static))
    home = _File.of(_filled(files.pop("index.html").body, values), ".html")
    join = _File.of(_filled(files.pop("join.html").body, values), ".html")
    routes = Blueprint("pages", __name__)
    routes.record_once(lambda setup: setup.app.url_map.converters.update(anything=_Anything))

    def page(file: _File, status: int = 200) -> Response:
        answer = _answer(file, status)
        answer.headers["Content-Security-Policy"] = content_policy(
            public_ws_url(), tile_url, map_urls
        )
        answer.headers["Permissions-Policy"] = _PERMISSIONS
        return answer

    @routes.get("/")
    async def index() -> Response:
        return page(home)

    @routes.get("/join", strict_slashes=False, merge_slashes=False)
    @routes.get("/join/<anything:rest>", merge_slashes=False)
    async def join_session(rest: str = "") -> Response:
        # The page asks the API about the session and shows the result. An invalid id gets the same
        # page, with the status 404.
        session = session_id_in(rest)
        clean = _clean_join_path(_raw_segments()[1:], session)
        if clean is not None:
            return Response(b"", 302, headers={**_FIXED, "Location": clean})
        return page(join, 404 if session is None else 200)

    configuration = _File.of(msgspec.json.encode(config), ".json")

    @routes.get("/config.json")
    async def page_configuration() -> Response:
        return _answer(configuration)

    _add_client(routes, dist, config, public_url, page)

    @routes.get("/favicon.ico")
    async def icon() -> Response:
        file = files.get("icon.svg")
        return Response(b"", 404) if file is None else _answer(file)

    for name, file in files.items():
        endpoint = f"static:{name.replace('.', ':')}"  # Quart reserves the dot for blueprints
        routes.add_url_rule(f"/static/{name}", endpoint, _serving(file), methods=["GET"])
    return routes


def _add_client(
    routes: Blueprint,
    dist: Path,
    config: PageConfig,
    public_url: Callable[[], str],
    page: Callable[[_File, int], Response],
) -> None:
    """The built client below ``/next/``, beside the pages that it is to replace."""
    built = read_files(dist)
    index = built.pop("index.html", None)
    if index is None:
        return
    maps = msgspec.json.encode(config.maps).decode()

    @cache  # it does not change once the server listens
    def shells(root: str) -> tuple[_File, _File]:
        # A preview's picture needs a whole address; all others are relative.
        text = _filled(index.bodies[""], {"maps": maps, "root": f"{root}/next/"})
        # The page of a session lies one folder deeper.
        return _File.of(text, ".html"), _File.of(text.replace(b'="./', b'="../'), ".html")

    @routes.get("/next/")
    async def next_index() -> Response:
        return page(shells(public_url())[0], 200)

    @routes.get("/next/join/<rest>")
    async def next_join(rest: str) -> Response:
        return page(shells(public_url())[1], 404 if session_id_in(rest) is None else 200)

    @routes.get("/next/assets/<name>")
    async def next_asset(name: str) -> Response:
        return asset(built, name)

    @routes.get("/next/<name>")
    async def next_file(name: str) -> Response:
        file = built.get(name)
        return Response(b"", 404) if file is None else file.answer()


def content_policy(ws_url: str, tile_url: str | None = None, map_urls: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of the pages. From ``map_urls`` they may load images and data: a
    map drawn with WebGL fetches its tiles, the canvas shows images.
    """
    maps = " ".join(sorted({_origin(each) for each in map_urls}))
    images = f"'self' data: blob: {maps}".strip()
    reached = f"'self' {_origin(ws_url)} {maps}".strip()
    if tile_url is not None and not tile_url.startswith("/") and _origin(tile_url) not in maps:
        images += f" {_origin(tile_url)}"
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


def _read(folder: Path) -> Iterator[tuple[str, _File]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        if path.suffix not in _TYPES:
            raise ValueError(f"{path.name}: a page has no files of this type")
        yield path.relative_to(folder).as_posix(), _File.of(path.read_bytes(), path.suffix)


def _filled(template: bytes, values: dict[str, str]) -> bytes:
    for name, value in values.items():
        template = template.replace(f"{{{{{name}}}}}".encode(), html.escape(value).encode())
    return template


def _serving(file: _File) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        return _answer(file)

    return serve


def _answer(file: _File, status: int = 200) -> Response:
    if status == 200 and file.etag in request.if_none_match:
        answer = Response(b"", 304)
    else:
        answer = Response(file.body, status, content_type=file.content_type)
    answer.set_etag(file.etag)
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
