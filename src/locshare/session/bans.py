"""Whom a host does not want back, without accounts. Pure: the time is given.

A participant joins from a client address, and perhaps with a key that their device keeps. A ban
remembers both for a session: the key as long as the session is remembered here, the address only
for :data:`ADDRESS_S`, since a household, a school or a whole carrier may share one. That is a
hurdle and no wall; what keeps everybody out is the lock.

Kept in memory only, and neither address nor key but their digests with a key of this process, so
that nothing here says who was where. The oldest bans of a session give way to new ones, and the
bans of the session that was banned in longest ago to those of another.
"""

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from secrets import token_bytes
from typing import Final, final
from uuid import UUID

from msgspec import Struct

ADDRESS_S: Final = 900.0
"""Long enough to lock the session, or for the joke to grow old."""
MAX_BANS: Final = 128
"""Of one session."""
MAX_SESSIONS: Final = 10_000

_KEY: Final = token_bytes(32)


class Origin(Struct, frozen=True):
    """Where a join came from, as digests; empty where that is not known."""

    address: bytes = b""
    device: bytes = b""

    @classmethod
    def of(cls, address: str, device_key: str | None) -> "Origin":
        """The origin of a join from ``address`` with ``device_key``."""
        return cls(_digest(b"address", address), _digest(b"device", device_key or ""))


NOWHERE: Final = Origin()


@final
class Bans:
    """Those of all sessions of a process."""

    def __init__(self) -> None:
        self._of: OrderedDict[UUID, OrderedDict[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def add(self, session_id: UUID, origin: Origin, now: float) -> None:
        """Nobody joins from ``origin`` any more."""
        bans = self._of.setdefault(session_id, OrderedDict())
        self._of.move_to_end(session_id)
        for mark, until in _marks(origin, now):
            bans[mark] = until
            bans.move_to_end(mark)
        while len(bans) > MAX_BANS:
            bans.popitem(last=False)
        while len(self._of) > MAX_SESSIONS:
            self._of.popitem(last=False)

    def bars(self, session_id: UUID, origin: Origin, now: float) -> bool:
        """Whether who comes from ``origin`` may not join."""
        bans = self._of.get(session_id)
        if bans is None:
            return False
        return any(bans.get(mark, 0.0) > now for mark in (origin.address, origin.device))

    def forget(self, session_id: UUID) -> None:
        """The session is over."""
        self._of.pop(session_id, None)


def _marks(origin: Origin, now: float) -> Iterator[tuple[bytes, float]]:
    if origin.address:
        yield origin.address, now + ADDRESS_S
    if origin.device:
        yield origin.device, float("inf")


def _digest(kind: bytes, text: str) -> bytes:
    return blake2b(text.encode(), key=_KEY, person=kind, digest_size=16).digest() if text else b""
