"""Which sockets have a place, and of which kind. Pure.

There are three kinds:

* **Handshake**: no whole request has come. Few, and of each address a share; the longest idle one
  gives way to a new one (:mod:`locshare.net.slots`). An honest client's request is on its way when
  its socket is accepted, so that is not the longest idle one.
* **Admitted**: the token is good. ``limit`` in all, ``per_address`` of one client address.
* **Refused**: it stays until its refusal has arrived. As many as handshakes; the oldest gives way.

So strangers cannot use up the places of participants, and a refused client gets an answer.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from locshare.connection.refusal import Refusal
from locshare.net.slots import SlotLimits, Slots

K = TypeVar("K", bound=Hashable)


class Places(Generic[K]):
    """The sockets of one pool, each with at most one place. Every method takes O(1).

    ``per_address`` of 0 is no limit. An ``address`` of None belongs to a proxy, which speaks for
    many clients: only the total is limited for it.
    """

    __slots__ = (
        "_admitted", "_by_address", "_limit", "_max_refused", "_per_address", "_refused",
        "handshakes",
    )  # fmt: skip

    def __init__(self, limit: int, per_address: int, handshakes: SlotLimits) -> None:
        self.handshakes: Slots[K] = Slots(handshakes)  # all of them wait for their client
        self._max_refused = handshakes.total
        self._limit = limit
        self._per_address = per_address
        self._admitted: dict[K, str | None] = {}  # each with its address
        self._by_address: Counter[str] = Counter()
        self._refused: OrderedDict[K, None] = OrderedDict()  # oldest first

    def enter(self, key: K, address: str | None) -> K | None:
        """Give ``key`` a handshake's place. Returns the one that has to be refused for it."""
        return self.handshakes.admit(key, address).evicted

    def why_full(self, address: str | None) -> Refusal | None:
        """Why no further socket of ``address`` can be admitted; None when one can."""
        if len(self._admitted) >= self._limit:
            return Refusal.FULL
        if address is not None and 0 < self._per_address <= self._by_address[address]:
            return Refusal.ADDRESS_FULL
        return None

    def admit(self, key: K, address: str | None) -> None:
        """Move ``key`` from its handshake's place to an admitted one."""
        self.handshakes.release(key)
        self._admitted[key] = address
        if address is not None:
            self._by_address[address] += 1

    def refuse(self, key: K) -> K | None:
        """Move ``key`` to a refused place. Returns the one to cut for it, if any. Idempotent."""
        if key in self._refused:
            return None
        self.release(key)
        self._refused[key] = None
        if len(self._refused) <= self._max_refused:
            return None
        oldest, _ = self._refused.popitem(last=False)
        return oldest

    def release(self, key: K) -> None:
        """Take any place of ``key`` back. Idempotent."""
        self.handshakes.release(key)
        self._refused.pop(key, None)
        address = self._admitted.pop(key, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def shed(self) -> K | None:
        """The socket to give up when there is no file descriptor left, its place taken back. None
        when all are admitted.
        """
        if self._refused:
            return self._refused.popitem(last=False)[0]
        return self.handshakes.shed()
