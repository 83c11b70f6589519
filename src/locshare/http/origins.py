"""Which web pages may use this server, and by which names it is reached. Pure.

A browser sends requests to any server that a page names. A page of another origin must not create
sessions here in the name and from the address of its visitors. A form, or a POST without a body, is
sent without a CORS preflight; so a request that changes something is refused when the browser says
that another site sent it: by ``Sec-Fetch-Site``, which no script can set, or by ``Origin``, where
there is no fetch metadata (older browsers, plain HTTP). Clients other than browsers send neither.

A page can also reach an internal port under a host name of its own that it makes point there (DNS
rebinding). The browser sends that name as ``Host``, so a port without authentication refuses names
that are not configured.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

from locshare.net.client_address import parse_address

Headers = Iterable[tuple[bytes, bytes]]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 section 9.2.1. They change nothing here."""
ANY: Final = "*"

_OUR_OWN: Final = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site``: our own page, or the user (address bar, bookmark)."""


class Origins:
    """``allowed`` are the origins of other pages that may use the API; ``*`` allows all, which is
    safe because the API uses no cookies. ``own`` returns our own URL.
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
        """Whether a request that may change something comes from a page that is not allowed."""
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
        """Compare with ``Host`` and with the public URL: a proxy may have replaced ``Host``."""
        scheme, _, authority = origin.lower().partition("://")
        if authority and host is not None and authority == host.lower():
            return True
        own = urlsplit(self._own())
        return (scheme, authority) == (own.scheme, own.netloc.lower())


class Hosts:
    """The host names of an internal port, beside every IP address and ``localhost``. ``*`` among
    ``names`` allows any.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in names) | {"localhost"}

    def answers_to(self, headers: Headers) -> bool:
        """Whether the ``Host`` of a request is one of them, or missing (HTTP/1.0, so not from a
        browser).
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
