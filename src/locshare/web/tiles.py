"""Map files as tiles: the operator's as ``/tiles/{z}/{x}/{y}`` and ``/tiles.json``, and the world
that comes with the server as ``/world/…`` and ``/world.json``.

Tiles are read in worker threads, a few at a time: a disk that is slow makes tiles slow and nothing
else. In the loop a read that is not in the page cache would hold up every session. An address with
the archive's version is cached for good; one without is asked again. Tiles that are compressed go
out as they are stored.

A file that is replaced is opened again within :data:`LOOK_EVERY_S`; if the new one cannot be used,
that is one line of the log, and the old one is served for as long as it can be read.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

import msgspec
import structlog
import trio
from quart import Blueprint, Response, request
from werkzeug.routing import IntegerConverter

from locshare.http.problems import HttpProblem, ProblemCode
from locshare.web.archive import (
    MAX_TILE_BYTES,
    BadMapFile,
    Identity,
    MapArchive,
    Tile,
    inflate,
)

log = structlog.get_logger()

THREADS: Final = 4
LOOK_EVERY_S: Final = 2.0
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_FOR_NOW: Final = "public, max-age=300"
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}


@final
class MapFile:
    """The archive at ``path``, whichever it is now. Raises BadMapFile, OSError when made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.archive = MapArchive(path)
        self._refused: Identity | None = None
        self._look_at = 0.0
        self._threads = trio.CapacityLimiter(THREADS)

    async def current(self) -> MapArchive:
        """The archive to serve from."""
        now = trio.current_time()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            await self._run(self._reopen)
        return self.archive

    async def tile(self, archive: MapArchive, z: int, x: int, y: int, *, packed: bool) -> Any:
        """The bytes of a tile and whether they are gzip, which they are only if ``packed`` may be.
        None without such a tile. Raises BadMapFile, OSError. Cancelled: the read is thrown away.
        """
        return await self._run(_read, archive, z, x, y, packed)

    async def _run(self, work: Callable[..., Any], *args: Any) -> Any:
        return await trio.to_thread.run_sync(
            work, *args, abandon_on_cancel=True, limiter=self._threads
        )

    def _reopen(self) -> None:
        """Take the file that is at the path now. Logs what is wrong, once for each file."""
        found: Identity | None = None
        try:
            found = Identity.of(self._path.stat())
            if found in (self.archive.identity, self._refused):
                return
            archive = MapArchive(self._path)
        except (BadMapFile, OSError) as error:
            if found is None or found != self._refused:
                log.error("map_file_refused", reason=str(error), served="the one before")  # noqa: TRY400
            self._refused = found
            return
        self.archive, self._refused = archive, None
        log.info("map_file_opened", version=archive.version)


def _read(archive: MapArchive, z: int, x: int, y: int, packed: bool) -> Tile | None:
    if archive.is_changed():
        raise BadMapFile(archive.path, "was overwritten while it was in use")
    tile = archive.tile(z, x, y)
    if tile is None or not tile.gzipped or packed:
        return tile
    try:
        return Tile(inflate(tile.data, MAX_TILE_BYTES), gzipped=False)
    except (ValueError, zlib.error):
        raise BadMapFile(archive.path, "has a tile that cannot be unpacked") from None


class _Coordinate(IntegerConverter):
    """Of few digits: converting thousands of them raises, or takes long. Of ASCII: a tile has one
    address.
    """

    regex = r"[0-9]{1,10}"


def tiles(
    file: MapFile, base_url: Callable[[], str], attribution: str | None, name: str = "tiles"
) -> Blueprint:
    """The routes below ``name``. ``attribution`` replaces that of the archive."""
    routes = Blueprint(name, __name__)
    routes.record_once(lambda setup: setup.app.url_map.converters.update(coordinate=_Coordinate))

    @routes.get(f"/{name}.json")
    async def description() -> Response:
        archive = await file.current()
        answer = Response(b"", content_type="application/json")
        answer.set_etag(archive.version)
        answer.headers.update({**_HEADERS, "Cache-Control": "no-cache"})
        if archive.version in request.if_none_match:
            answer.status_code = 304
        else:
            described = tile_json(archive, f"{base_url()}/{name}", attribution)
            answer.set_data(msgspec.json.encode(described))
        return answer

    @routes.get(f"/{name}/<coordinate:z>/<coordinate:x>/<coordinate:y>")
    @routes.get(f"/{name}/<coordinate:z>/<coordinate:x>/<coordinate:y>.<extension>")
    async def tile(z: int, x: int, y: int, extension: str = "") -> Response:
        archive = await file.current()
        size = 1 << min(z, 31)
        if not archive.has_zoom(z) or x >= size or y >= size:
            raise HttpProblem(ProblemCode.NOT_FOUND, "the map has no such tile")
        if extension and extension != archive.extension:
            raise HttpProblem(ProblemCode.NOT_FOUND, f"the map's tiles are .{archive.extension}")
        packed = request.accept_encodings.quality("gzip") > 0
        etag = f"{archive.version}-{'gzip' if packed else 'plain'}"
        headers = {
            **_HEADERS,
            "Cache-Control": _FOR_GOOD if request.args.get("v") == archive.version else _FOR_NOW,
        }
        if etag in request.if_none_match:  # of the same archive: nothing is read
            answer = Response(b"", 304, headers=headers)
            answer.set_etag(etag)
            return answer
        try:
            found: Tile | None = await file.tile(archive, z, x, y, packed=packed)
        except (BadMapFile, OSError) as error:
            log.error("map_file_unreadable", reason=str(error))  # noqa: TRY400
            raise HttpProblem(ProblemCode.UNAVAILABLE, "the map cannot be read now") from None
        if found is None:
            return Response(b"", 204, headers=headers)
        answer = Response(found.data, content_type=archive.content_type, headers=headers)
        if found.gzipped:
            answer.headers["Content-Encoding"] = "gzip"
        answer.set_etag(etag)
        return answer

    return routes


def tile_json(archive: MapArchive, url: str, attribution: str | None) -> dict[str, Any]:
    """The archive as TileJSON 3.0.0. ``url`` is the one below which its tiles are."""
    header, metadata = archive.header, archive.metadata
    found: dict[str, Any] = {
        "tilejson": "3.0.0",
        "tiles": [
            f"{url}/{{z}}/{{x}}/{{y}}.{archive.extension}?v={archive.version}"
        ],
        "minzoom": header["min_zoom"],
        "maxzoom": header["max_zoom"],
        "bounds": [
            header["min_lon_e7"] / 1e7, header["min_lat_e7"] / 1e7,
            header["max_lon_e7"] / 1e7, header["max_lat_e7"] / 1e7,
        ],
        "center": [
            header["center_lon_e7"] / 1e7, header["center_lat_e7"] / 1e7, header["center_zoom"],
        ],
        "version": archive.version,
    }  # fmt: skip
    for name in ("name", "description", "attribution", "vector_layers"):
        if name in metadata:
            found[name] = metadata[name]
    if attribution is not None:
        found["attribution"] = attribution
    return found
