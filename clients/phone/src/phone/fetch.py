"""What a server's page would load too: its choice of maps, and a link as a QR code. Trio tasks."""

from typing import Final
from urllib.parse import quote

import httpx
import msgspec

from locshare.client import Unreachable
from locshare.client.exchange import exchange
from phone.maps import MapSource, raster_maps, raster_of

TIMEOUT_S: Final = 8.0
LARGEST: Final = 1_048_576
"""Of what is read; a longer answer is none of a map."""


async def fetch_maps(server: str) -> tuple[MapSource, ...]:
    """The raster maps of ``server``; none from a server that says nothing of maps."""
    found: list[MapSource] = []
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        try:
            config = await _read(http, f"{server}/config.json")
            found, to_ask = raster_maps(config, server)
            for name, address in to_ask:
                source = raster_of(name, await _read(http, address), address)
                if source is not None:
                    found.append(source)
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
    return tuple(found)


async def fetch_link_code(server: str, session_id: str, link_key: str | None) -> str:
    """The join link as a QR code, an SVG; empty where the server gives none."""
    address = f"{server}/api/sessions/{quote(session_id, safe='')}/link.svg"
    if link_key:
        address += f"?link_key={quote(link_key, safe='')}"
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        try:
            found = (await _read(http, address)).decode()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return ""
    return found if found.startswith("<svg") else ""


async def _read(http: httpx.AsyncClient, address: str) -> bytes:
    """Raises ValueError."""
    try:
        answer = await exchange(http, "GET", address, timeout=TIMEOUT_S, largest=LARGEST)
    except Unreachable as error:
        raise ValueError(str(error)) from error
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    return answer.body
