"""The URLs of the server, from its settings and the ports that the kernel assigned."""

import socket
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_ANY_ADDRESS: Final = {"0.0.0.0", "::", ""}  # noqa: S104 - recognised, not bound
_REMOTE: Final = ("192.0.2.1", 9)
"""RFC 5737: an address for documentation. Nothing is ever sent to it."""


class Addresses(Struct, frozen=True):
    """URLs without a slash at the end. The public ones are for links and clients."""

    http_url: str
    ws_url: str
    public_url: str
    public_ws_url: str


def addresses(
    http: tuple[str, int],
    ws: tuple[str, int],
    public_url: str | None = None,
    public_ws_url: str | None = None,
) -> Addresses:
    """``http`` and ``ws`` are bound addresses, on one port the same. The public URLs are settings
    or None.
    """
    if public_ws_url is None and public_url is not None and http == ws:
        public_ws_url = "ws" + public_url.removeprefix("http")  # https: wss
    http_url = f"http://{_reachable(http[0])}:{http[1]}"
    ws_url = f"ws://{_reachable(ws[0])}:{ws[1]}"
    return Addresses(
        http_url,
        ws_url,
        (public_url or http_url).rstrip("/"),
        (public_ws_url or ws_url).rstrip("/"),
    )


def path_prefix(public_url: str | None) -> str:
    """The path under which a proxy serves us, without percent-encoding: ``/map`` of
    ``https://host/map``; ``""`` for none.
    """
    return "" if public_url is None else unquote(urlsplit(public_url).path.rstrip("/"))


def _reachable(host: str) -> str:
    """A host to connect to: this machine's own address when ``host`` is the wildcard."""
    if host in _ANY_ADDRESS:
        host = local_address()
    return f"[{host}]" if ":" in host else host


def local_address() -> str:
    """The address of the interface to other machines; loopback without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_REMOTE)  # a datagram socket only looks up the route
            host: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
    return host
