"""The built web client (web/ in the repository): its files, each in up to three encodings.

The names of assets carry a hash of their content, and browsers keep one for a year. A name that is
not of this build belongs to an older page that is still open somewhere. Its scripts get one that
loads the page again, once: without it an upgrade would leave that page blank.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct
from quart import Response, request

DIST: Final = Path(__file__).parent / "dist"

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".pmtiles": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
"""The better one first."""

_FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_REVALIDATED: Final = "no-cache"

RELOAD: Final = b"""\
try {
  var at = Number(sessionStorage.getItem("locshare-reloaded"));
  if (!(Date.now() - at < 10000)) {
    sessionStorage.setItem("locshare-reloaded", String(Date.now()));
    location.reload();
  }
} catch (error) {}
"""
"""For a page of an older build. Once in ten seconds: a proxy's cache may give that page again."""


class BuiltFile(Struct, frozen=True):
    """One file: its bodies by encoding, ``""`` being none."""

    bodies: dict[str, bytes]
    content_type: str
    etag: str
    is_hashed: bool

    def answer(self) -> Response:
        """The answer to the present request, in the best encoding that its client accepts."""
        encoding = next((each for each in self.bodies if each and accepts(each)), "")
        etag = f"{self.etag}-{encoding}" if encoding else self.etag
        if etag in request.if_none_match:
            answer = Response(b"", 304)
        else:
            answer = Response(self.bodies[encoding], content_type=self.content_type)
            if encoding:
                answer.headers["Content-Encoding"] = encoding
        answer.set_etag(etag)
        answer.headers.update(_FIXED)
        answer.headers["Cache-Control"] = _FOR_EVER if self.is_hashed else _REVALIDATED
        if len(self.bodies) > 1:
            answer.headers["Vary"] = "Accept-Encoding"
        return answer


def accepts(encoding: str) -> bool:
    """Whether the client of the present request takes ``encoding``, by its own name."""
    return any(
        name.lower() == encoding and quality > 0 for name, quality in request.accept_encodings
    )


def read_files(dist: Path = DIST) -> dict[str, BuiltFile]:
    """All files of a build by their path; empty when there is no build.

    Raises OSError when a file cannot be read, ValueError for one of an unknown type: both are
    faults of the installation.
    """
    return dict(_read(dist)) if dist.is_dir() else {}


def _read(dist: Path) -> Iterator[tuple[str, BuiltFile]]:
    encodings = {suffix for _, suffix in _ENCODINGS}
    for path in sorted(dist.rglob("*")):
        if not path.is_file() or path.suffix in encodings:
            continue
        if path.suffix not in TYPES:
            raise ValueError(f"{path.name}: the web client has no files of this type")
        body = path.read_bytes()
        bodies = {}
        for encoding, suffix in _ENCODINGS:
            beside = path.with_name(path.name + suffix)
            if beside.is_file():
                bodies[encoding] = beside.read_bytes()
        bodies[""] = body
        name = path.relative_to(dist).as_posix()
        etag = hashlib.sha256(body).hexdigest()[:16]
        yield name, BuiltFile(bodies, TYPES[path.suffix], etag, name.startswith("assets/"))


def asset(files: dict[str, BuiltFile], name: str) -> Response:
    """The answer for ``assets/`` and ``name``."""
    file = files.get(f"assets/{name}")
    if file is not None:
        return file.answer()
    headers = {**_FIXED, "Cache-Control": "no-store"}
    # A service worker that fetches it for its cache must not take one script for another.
    is_script = request.headers.get("Sec-Fetch-Dest", "script") == "script"
    if name.endswith(".js") and is_script:
        return Response(RELOAD, content_type=TYPES[".js"], headers=headers)
    return Response(b"", 404, headers=headers)
