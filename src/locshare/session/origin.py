"""Where a join comes from, without an account: digests of its address and of its device key. Pure.

The digests are keyed with a secret of this process, so the memory of the process, and a dump of it,
name neither address nor device.
"""

from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from msgspec import Struct

_KEY: Final = token_bytes(32)


class Origin(Struct, frozen=True):
    """Digests; empty if not known."""

    address: bytes = b""
    device: bytes = b""

    @classmethod
    def of(cls, address: str, device_key: str | None) -> "Origin":
        """The origin of a join from ``address`` with ``device_key``."""
        return cls(_digest(b"address", address), _digest(b"device", device_key or ""))


NOWHERE: Final = Origin()


def _digest(kind: bytes, text: str) -> bytes:
    return blake2b(text.encode(), key=_KEY, person=kind, digest_size=16).digest() if text else b""
