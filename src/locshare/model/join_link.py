"""Parses join links as people, messengers and mail programs pass them on. Pure.

Programs that detect links in a sentence cut at the next blank, so the full stop, bracket or
quotation mark behind a link stays attached, as itself or percent-encoded; trackers add a query. The
id of a session is 36 characters of a fixed shape, so it is found anywhere in its path segment. Not
if letters or digits touch it: then the link is damaged, and its session would be a guess.

A link that has replaced another one has a key after the id: ``/join/ID-KEY``. Keys are of one
length and one alphabet, so that what is left on a link is not taken for one.
"""

import hmac
import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEY: Final = r"(?:-(?P<key>[a-z2-7]{24})(?![0-9a-z]))?"
_SEGMENT: Final = re.compile(
    rf"[^0-9a-z]*(?P<id>{_ID})(?![0-9a-z]){_KEY}.*", re.IGNORECASE | re.DOTALL
)
_PATH: Final = re.compile(
    rf"(?P<root>.*)/join/+[^0-9a-z/]*(?P<id>{_ID})(?![0-9a-z]){_KEY}", re.IGNORECASE | re.DOTALL
)
_URL: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_HOST_KEY: Final = re.compile(r"(?:^|&)host=([\w-]+)", re.ASCII)
_LONGEST: Final = 4_096
"""Characters that are read of a link."""


class JoinLink(NamedTuple):
    """``url`` is the server's, without a trailing slash; ``host_key`` is that of a host's link
    (``#host=…``); ``link_key`` that of a link that has replaced another one.
    """

    url: str
    session_id: str
    host_key: str | None = None
    link_key: str | None = None


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
                return JoinLink(
                    server.rstrip("/"),
                    path["id"].lower(),
                    key[1] if key else None,
                    path["key"] and path["key"].lower(),
                )
        except ValueError:  # an invalid port or IPv6 address
            pass
    raise ValueError("not a join link, which is like http://host:port/join/ID")


def session_id_in(segment: str) -> str | None:
    """The id, in lower case, in the path segment after ``/join/``; None without one."""
    found = _SEGMENT.match(unquote(segment[:_LONGEST]))
    return None if found is None else found["id"].lower()


def clean_segment(segment: str) -> str | None:
    """The path segment after ``/join/`` without what is left on it; None without an id."""
    found = _SEGMENT.match(unquote(segment[:_LONGEST]))
    return None if found is None else link_segment(found["id"], found["key"] or "").lower()


def link_segment(session_id: object, link_key: str) -> str:
    """The path segment after ``/join/``. ``link_key`` is empty while the link is the first one."""
    return f"{session_id}-{link_key}" if link_key else f"{session_id}"


def opens(link_key: str, given: str) -> bool:
    """Whether a link with the key ``given`` is the link of a session whose key is ``link_key``. Any
    link is, until the first one has been replaced. Constant time.
    """
    return not link_key or hmac.compare_digest(link_key.encode(), given.encode(errors="replace"))
