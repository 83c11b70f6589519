"""The address by which a client's requests and connections are counted. Pure.

It is the peer's address. When the peer is a trusted proxy, it is the address in the proxy's
``X-Forwarded-For`` or ``Forwarded`` (RFC 7239). An IPv6 client counts by its /64, the network of
one household.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
ForwardedHeader = Literal["auto", "x-forwarded-for", "forwarded"]

_HEADER_CHARS: Final = 4096
"""A longer header is ignored. Forty proxies in a row do not write as much."""
_CACHED: Final = 1024
"""Cached results: 4 MB if every header has its maximum length."""
_HOPS: Final = 32
"""Entries that are read, from the right."""


class ClientAddress:
    """Finds the client's address behind trusted proxies. ``header`` is the one that they write;
    ``auto`` is ``X-Forwarded-For`` if present, else ``Forwarded``.
    """

    __slots__ = ("_header", "_key_of", "_trusted")

    def __init__(self, trusted_proxies: Sequence[str], header: ForwardedHeader = "auto") -> None:
        """Raises ValueError when one is not a network in CIDR notation."""
        self._trusted: tuple[Network, ...] = tuple(
            ip_network(network, strict=False) for network in trusted_proxies
        )
        self._header = header
        # The same few clients send most requests.
        self._key_of = lru_cache(maxsize=_CACHED)(self._find)

    def of_peer(self, peer: str) -> str | None:
        """The address to count a connection from ``peer`` by. None for a trusted proxy, whose
        connections belong to many clients, and for anything but an IP address.
        """
        address = parse_address(peer)
        if address is None or self._is_trusted(address):
            return None
        return _key(address)

    def of_request(
        self, peer: str | None, forwarded_for: Sequence[str] = (), forwarded: Sequence[str] = ()
    ) -> str:
        """The address to count a request by. ``forwarded_for`` and ``forwarded`` are the values of
        the two headers, one for each line.

        Read from the right: each trusted proxy appended the address of its peer; entries to the
        left of the first untrusted address may be forged. At an entry without an address
        (``unknown``, ``_hidden``) it stops: the client counts by the proxy that wrote it.
        """
        if self._header == "forwarded" or (self._header == "auto" and not forwarded_for):
            return self._key_of(peer, None, ",".join(forwarded)[: _HEADER_CHARS + 1])
        return self._key_of(peer, ",".join(forwarded_for)[: _HEADER_CHARS + 1], None)

    def _find(self, peer: str | None, forwarded_for: str | None, forwarded: str | None) -> str:
        address = parse_address(peer or "")
        if address is None:
            return peer or "local"  # a Unix socket, or a test
        if not self._is_trusted(address):
            return _key(address)  # nobody reads what a stranger writes
        for entry in _entries(forwarded_for, forwarded):
            previous = parse_node(entry)
            if previous is None:
                break
            address = previous
            if not self._is_trusted(address):
                break
        return _key(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _entries(forwarded_for: str | None, forwarded: str | None) -> list[str]:
    """The entries of the proxies, the nearest first."""
    value = forwarded_for or forwarded or ""
    if len(value) > _HEADER_CHARS:
        return []
    if forwarded_for is not None:
        found = [each for each in value.split(",") if each.strip()]
    else:
        found = [_for_of(each) for each in _split(value, ",") if each]
    return found[: -_HOPS - 1 : -1]


def parse_node(text: str) -> Address | None:
    """An address in one of the forms that proxies write, or None: ``192.0.2.1``,
    ``192.0.2.1:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``, with or without quotes.
    """
    text = text.strip(" \t").strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return parse_address(text)


def parse_address(text: str) -> Address | None:
    """An IP address without its zone, or None. ``::ffff:192.0.2.1``, which a socket of both
    families shows, becomes 192.0.2.1.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _key(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _for_of(element: str) -> str:
    """The ``for`` of one element of ``Forwarded``; empty when it has none."""
    for pair in _split(element, ";"):
        name, _, value = pair.partition("=")
        if name.strip(" \t").lower() == "for":
            return value.replace("\\", "")
    return ""


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts of ``text`` between separators that are not inside quotes."""
    part: list[str] = []
    quoted = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield "".join(part)
            part = []
            continue
        part.append(character)
    yield "".join(part)
