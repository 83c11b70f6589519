"""The limits of the API."""

from typing import Final

from msgspec import Struct

from locshare.model.rate import Rate
from locshare.net.client_address import ForwardedHeader


class ApiLimits(Struct, frozen=True):
    """Bytes, seconds, and rates per client address."""

    body_bytes: int = 16 * 1024
    body_timeout_s: float = 10.0
    """For the whole body, however slowly it drips."""
    answer_timeout_s: float = 20.0
    """For a handler, the body's arrival included; then 503."""
    create: Rate = Rate(per_second=5, burst=200)
    join: Rate = Rate(per_second=250, burst=500)
    """Enough to fill the sessions that one address may create: a festival behind one carrier's
    address joins at once."""
    read: Rate = Rate(per_second=500, burst=1000)
    """All other calls. Reading a session costs the server 0.3 ms, so this is a seventh of a core. A
    page reads once when it opens, so this is ten times what joining needs."""
    addresses: int = 10_000
    """Remembered per limiter."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose forwarding headers are trusted. A peer on the loopback interface is the
    reverse proxy of this machine; a client from outside cannot be one."""
    forwarded_header: ForwardedHeader = "auto"
    """The header in which they name their client."""


DEFAULT_LIMITS: Final = ApiLimits()
