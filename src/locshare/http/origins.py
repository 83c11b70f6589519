"""Which web pages may use this server, and by which names it is reached. Pure.

A browser sends requests to any server that a page names, and a page of another origin must not make
sessions here, in its visitors' names and from their addresses. A form's or a bodyless POST needs no
permission from us (no CORS preflight), so what changes anything is refused when the browser says
that it comes from elsewhere: by ``Sec-Fetch-Site``, which no script can set, or by ``Origin``, for
browsers and addresses (plain HTTP) that have no fetch metadata. What is no browser sends neither.

A page can also reach an internal port by a name of its own that it makes point there (DNS
rebinding). The browser then sends that name as ``Host``, so names that were not configured are
refused where nobody has to log in.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

from locshare.net.client_address import parse_address

Headers = Iterable[tuple[bytes, bytes]]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 section 9.2.1: these change nothing here."""
ANY: Final = "*"

_OUR_OWN: Final = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site``: a page of ours, or the user (address bar, bookmark)."""


class Origins:
    """``allowed`` are the origins of other pages that may use the API, ``*`` among them for all,
    which is safe in so far as no cookies are used. ``own`` gives our own URL.
    """

    def __init__(self, allowed: Collection[str], own: Callable[[], str]) -> None:
        self._allowed = frozenset(allowed)
        self._own = own

    def granted(self, headers: Headers) -> str | None:
        """The ``Origin`` of a request, if it is an allowed one."""
        if not self._allowed:
            return None
        origin = header(headers, b"origin")
        return origin if origin and self._is_allowed(origin) else None

    def is_foreign(self, method: str, headers: Headers) -> bool:
        """Whether a request that may change something comes from a page that may not."""
        if method in SAFE_METHODS:
            return False
        origin = header(headers, b"origin")
        if origin is not None and self._is_allowed(origin):
            return False
        site = header(headers, b"sec-fetch-site")
        if site is not None:
            return site not in _OUR_OWN
        return origin is not None and not self._is_own(origin, header(headers, b"host"))

    def _is_allowed(self, origin: str) -> bool:
        return origin in self._allowed or ANY in self._allowed

    def _is_own(self, origin: str, host: str | None) -> bool:
        """By the name under which the browser reached us; a proxy may have put another one into
        ``Host``, so the public URL counts too.
        """
        scheme, _, authority = origin.lower().partition("://")
        if authority and host is not None and authority == host.lower():
            return True
        own = urlsplit(self._own())
        return (scheme, authority) == (own.scheme, own.netloc.lower())


class Hosts:
    """The names by which an internal port may be reached, beside every IP address and
    ``localhost``; ``*`` among ``names`` for any.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in names) | {"localhost"}

    def answers_to(self, headers: Headers) -> bool:
        """Whether the ``Host`` of a request is one of them. Without one (HTTP/1.0) it is no
        browser's.
        """
        given = header(headers, b"host")
        if not given or ANY in self._names:
            return True
        name = given.rpartition("]")[0][1:] if given[0] == "[" else given.partition(":")[0]
        name = name.lower().rstrip(".")
        return name in self._names or parse_address(name) is not None


def header(headers: Headers, name: bytes) -> str | None:
    """The first value of the header ``name``, which is in lower case."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None
