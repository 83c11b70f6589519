"""Connection slots: which connection is closed when there are more clients than slots. Pure.

A listener that stops accepting when it is full lets the first clients keep all others out, health
checks included. So a newcomer is always accepted, and the connection that has waited longest for
its *client* is evicted: an idle one, one whose request is still arriving, one whose response is not
being read. A connection whose request is being handled is never evicted. When there is none to
evict, the newcomer gets one of a few reserved slots, which serve health checks only; when the
reserve is full, the oldest of its connections goes.

Each client address holds a limited share. Every operation takes constant time.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from msgspec import Struct

H = TypeVar("H", bound=Hashable)


class SlotLimits(Struct, frozen=True):
    """Counts. ``reserved`` slots are beyond ``total``."""

    total: int
    per_address: int
    reserved: int


class Admission(Struct, Generic[H], frozen=True):
    """The slot of a newcomer. ``evicted`` has lost its slot and is to be closed."""

    reserved: bool
    evicted: H | None


class _Address(Struct, Generic[H], eq=False):
    held: int
    waiting: OrderedDict[H, None]


class Slots(Generic[H]):
    """The slots of one listener. A holder stands for a connection."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._address_of: dict[H, str | None] = {}
        self._waiting: OrderedDict[H, None] = OrderedDict()
        self._addresses: dict[str, _Address[H]] = {}
        self._reserved: OrderedDict[H, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._address_of) + len(self._reserved)

    def held_by(self, address: str) -> int:
        """The number of slots of an address, reserved ones not counted."""
        found = self._addresses.get(address)
        return 0 if found is None else found.held

    def admit(self, holder: H, address: str | None) -> Admission[H]:
        """Give a new ``holder`` a slot, marked as waiting. With ``address`` None, such as that of a
        proxy, only the total is bounded.
        """
        here = None if address is None else self._addresses.get(address)
        evicted: H | None = None
        full = False
        if here is not None and here.held >= self._limits.per_address:
            full, evicted = True, next(iter(here.waiting), None)
        elif len(self._address_of) >= self._limits.total:
            full, evicted = True, next(iter(self._waiting), None)
        if full and evicted is None:
            return self._reserve(holder)
        if evicted is not None:
            self.release(evicted)
        self._address_of[holder] = address
        if address is not None:
            here = self._addresses.setdefault(address, _Address(0, OrderedDict()))
            here.held += 1
        self.mark_waiting(holder)
        return Admission(reserved=False, evicted=evicted)

    def _reserve(self, holder: H) -> Admission[H]:
        oldest: H | None = None
        if len(self._reserved) >= self._limits.reserved:
            oldest, _ = self._reserved.popitem(last=False)
        self._reserved[holder] = None
        return Admission(reserved=True, evicted=oldest)

    def mark_waiting(self, holder: H) -> None:
        """``holder`` waits for its client from now on. Ignored without a slot."""
        if holder not in self._address_of:
            return
        for waiting in self._queues(holder):
            waiting[holder] = None
            waiting.move_to_end(holder)

    def mark_busy(self, holder: H) -> None:
        """``holder`` has a whole request, and no longer waits for its client."""
        if holder in self._address_of:
            for waiting in self._queues(holder):
                waiting.pop(holder, None)

    def shed(self) -> H | None:
        """Release the slot of the holder that has waited longest, if there is one; for a process
        that has no file descriptor left.
        """
        longest = next(iter(self._waiting), None)
        if longest is not None:
            self.release(longest)
        return longest

    def release(self, holder: H) -> None:
        """Free the slot of ``holder``. Idempotent."""
        if holder in self._reserved:
            del self._reserved[holder]
        if holder not in self._address_of:
            return
        for waiting in self._queues(holder):
            waiting.pop(holder, None)
        address = self._address_of.pop(holder)
        if address is not None:
            here = self._addresses[address]
            here.held -= 1
            if here.held == 0:
                del self._addresses[address]

    def _queues(self, holder: H) -> tuple[OrderedDict[H, None], ...]:
        address = self._address_of[holder]
        if address is None:
            return (self._waiting,)
        return (self._waiting, self._addresses[address].waiting)
