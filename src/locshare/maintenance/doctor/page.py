"""The page and its map: is the client built, can the map file be read, do tile servers answer."""

from pathlib import Path
from typing import Final

import httpx
import trio

from locshare.config import Settings
from locshare.maintenance.doctor.findings import Finding, error, ok, split_advice, warning
from locshare.web.archive import BadMapFile, MapArchive
from locshare.web.built import DIST

_ANSWER_S: Final = 5.0
_FIRST_TILE: Final = {"{z}": "0", "{x}": "0", "{y}": "0", "{s}": "a", "{r}": ""}


def look_at_page(_settings: Settings) -> list[Finding]:
    if (DIST / "index.html").exists():
        return [ok("page", "the web client is built")]
    do = "Install the wheel, or run make web in a checkout; apps and the API work without it"
    return [warning("page", "the web client is not built: the server has no page", do)]


async def look_at_map(settings: Settings) -> list[Finding]:
    found = []
    if settings.map_file is not None:
        found.append(await trio.to_thread.run_sync(_look_at_file, settings.map_file))
    for name in ("tile_url", "map_style_url", "map_dark_url", "map_terrain_url",
                 "map_satellite_url"):  # fmt: skip
        url = getattr(settings, name)
        if url is not None:
            found.append(judge_tiles(name, await _status_of(url)))
    return found or [ok("map", "the map is the world that comes with the server")]


def _look_at_file(path: Path) -> Finding:
    try:
        archive = MapArchive(path)
        zoom = archive.header["min_zoom"]
        if zoom == 0:
            archive.tile(0, 0, 0)
    except BadMapFile as failure:
        return split_advice("map", str(failure))
    except OSError as failure:
        do = "Correct LOCSHARE_MAP_FILE, or let the server's user read the file"
        return error("map", f"{path}: {failure.strerror}", do)
    most = archive.header["max_zoom"]
    return ok("map", f"{path.name} can be read: zoom {zoom} to {most}, {archive.extension}")


def judge_tiles(name: str, status: int | str) -> Finding:
    """``status`` of the answer, or why there was none."""
    if status == httpx.codes.OK or status == httpx.codes.NO_CONTENT:
        return ok("map", f"{name} answers")
    variable = f"LOCSHARE_{name.upper()}"
    why = f"answers {status}" if isinstance(status, int) else status
    do = f"Check {variable}; browsers ask that server themselves, perhaps with more success"
    return warning("map", f"{name} {why}", do)


async def _status_of(url: str) -> int | str:
    for part, value in _FIRST_TILE.items():
        url = url.replace(part, value)
    try:
        async with httpx.AsyncClient(
            timeout=_ANSWER_S, trust_env=False, follow_redirects=True
        ) as client:
            return (await client.get(url)).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        return f"does not answer ({type(failure).__name__})"
