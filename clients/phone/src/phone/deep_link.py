"""What opened the app: a join link in one of its forms. Pure.

``https://SERVER/join/ID`` is what people pass on, and what Android and iOS open in the app when its
build claims that domain. ``locshare://join/SERVER/join/ID`` opens in the app on any phone: the link
with ``locshare://join/`` for ``https://``. ``locshare://join/ID`` is a session of the chosen
server. Flutter gives the address whole, or only what follows the host, so both are read.
"""

import re
from typing import Final

from locshare.client import JoinLink, parse_join_link

SCHEME: Final = "locshare"
_ID: Final = re.compile(
    r"(?<![0-9a-z])(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"(?:-(?P<key>[a-z2-7]{24}))?(?![0-9a-z])",
    re.IGNORECASE,
)
_APP: Final = re.compile(r"locshare:/*join/*", re.IGNORECASE)
_NESTED: Final = re.compile(
    r"/*(?:(?P<scheme>https?)(?::/+|/))?(?P<host>[^\s/?#]+)(?P<path>/\S*)", re.IGNORECASE
)
_LONGEST: Final = 2_048
"""A link is a stranger's: what follows is not looked at. Each pattern takes time in proportion to
the length, for each of few places where it may begin.
"""


def read_link(text: str, server: str) -> JoinLink | None:
    """The session that ``text`` names; ``server`` is the address of the chosen server, for a link
    that names none. None where there is no session in it.
    """
    text = _APP.sub("", text.strip()[:_LONGEST], count=1)
    try:
        return parse_join_link(text)
    except ValueError:
        pass
    nested = _NESTED.fullmatch(text)
    if nested is not None and set(nested["host"]) & {".", ":", "]"}:
        scheme = (nested["scheme"] or "https").lower()
        try:
            return parse_join_link(f"{scheme}://{nested['host']}{nested['path']}")
        except ValueError:
            pass
    found = _ID.search(text)
    if found is None:
        return None
    host_key = re.search(r"#(?:.*&)?host=([\w-]+)", text, re.ASCII)
    return JoinLink(
        server.rstrip("/"),
        found["id"].lower(),
        host_key[1] if host_key else None,
        found["key"] and found["key"].lower(),
    )


def app_link(join_link: str) -> str:
    """The form of ``join_link`` that opens in the app on any phone."""
    scheme, separator, rest = join_link.partition("://")
    if not separator:
        raise ValueError("not a link")
    return f"{SCHEME}://join/{'' if scheme == 'https' else scheme + '/'}{rest}"
