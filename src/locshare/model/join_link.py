"""Parses join links as people, messengers and mail programs pass them on. Pure.

Programs that detect links in a sentence cut at the next blank, so the full stop, bracket or
quotation mark behind a link stays attached, as itself or percent-encoded; trackers add a query. The
id of a session is 36 characters of a fixed shape, so it is found anywhere in its path segment. Not
if letters or digits touch it: then the link is damaged, and its session would be a guess.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SEGMENT: Final = re.compile(rf"[^0-9a-z]*({_ID})(?![0-9a-z]).*", re.IGNORECASE | re.DOTALL)
_PATH: Final = re.compile(
    rf"(?P<root>.*)/join/+[^0-9a-z/]*(?P<id>{_ID})(?![0-9a-z])", re.IGNORECASE | re.DOTALL
)
_URL: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_HOST_KEY: Final = re.compile(r"(?:^|&)host=([\w-]+)", re.ASCII)
_LONGEST: Final = 4_096
"""Characters that are read of a link."""


class JoinLink(NamedTuple):
    """``url`` is the server's, without a trailing slash; ``host_key`` is that of a host's link
    (``#host=…``).
    """

    url: str
    session_id: str
    host_key: str | None = None


def parse_join_link(text: str) -> JoinLink:
    """The link in ``text``, which may have words or brackets around it, and a query or fragment.
    Raises ValueError with a sentence for the user.
    """
    found = _URL.search(text[:_LONGEST])
    if found is not None:
        try:
            parts = urlsplit(found[0])
            path = _PATH.match(unquote(parts.path))
            if path is not None and parts.hostname and parts.port != 0:
                # Drop the user and password that a URL may carry.
                server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path['root']}"
                key = _HOST_KEY.search(parts.fragment)
                return JoinLink(server.rstrip("/"), path["id"].lower(), key[1] if key else None)
        except ValueError:  # an invalid port or IPv6 address
            pass
    raise ValueError("not a join link, which is like http://host:port/join/ID")


def session_id_in(segment: str) -> str | None:
    """The id, in lower case, in the path segment after ``/join/``; None without one."""
    found = _SEGMENT.match(unquote(segment[:_LONGEST]))
    return None if found is None else found[1].lower()
