"""Sockets whose request has not come whole: few, and the longest idle one gives way. Pure.

Anyone who can reach the port can open sockets and say nothing. Those must neither use up the places
of connections nor keep an honest client from being heard. So handshakes have their own places. A
new one is always taken; when all are in use, or all that one address may have, the one that has
been idle longest is returned, to be refused. An honest client's request is on its way when its
socket is accepted, so it is not that one.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Handshakes(Generic[K]):
    """``limit`` keys in all, ``per_address`` of each address. Every method takes O(1)."""

    __slots__ = ("_addresses", "_by_address", "_idle", "_per_address", "limit")

    def __init__(self, limit: int, per_address: int) -> None:
        self.limit = limit
        self._per_address = per_address
        self._idle: OrderedDict[K, None] = OrderedDict()  # longest idle first
        self._addresses: dict[K, str] = {}
        self._by_address: dict[str, OrderedDict[K, None]] = {}

    def __len__(self) -> int:
        return len(self._idle)

    def __contains__(self, key: K) -> bool:
        return key in self._idle

    def longest_idle(self) -> K | None:
        """The next one to give way."""
        return next(iter(self._idle), None)

    def enter(self, key: K, address: str | None) -> K | None:
        """Add ``key``. Returns the one removed for it, if any.

        ``address`` is None for a proxy, which speaks for many: only the total is limited then.
        """
        mine = self._by_address.get(address or "", ())
        evicted: K | None = None
        if len(mine) >= self._per_address:
            evicted = next(iter(mine))
        elif len(self._idle) >= self.limit:
            evicted = self.longest_idle()
        if evicted is not None:
            self.leave(evicted)
        self._idle[key] = None
        if address is not None:
            self._addresses[key] = address
            self._by_address.setdefault(address, OrderedDict())[key] = None
        return evicted

    def touch(self, key: K) -> None:
        """Bytes came from ``key``, which is ignored when it is not in."""
        if key in self._idle:
            self._idle.move_to_end(key)
            address = self._addresses.get(key)
            if address is not None:
                self._by_address[address].move_to_end(key)

    def leave(self, key: K) -> None:
        """Its request came, or it is gone. Idempotent."""
        if key not in self._idle:
            return
        del self._idle[key]
        address = self._addresses.pop(key, None)
        if address is not None:
            of_address = self._by_address[address]
            del of_address[key]
            if not of_address:
                del self._by_address[address]
