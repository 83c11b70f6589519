"""The limits of the API."""

from typing import Final

from locshare.config.sections import TRUSTED_PROXIES, RestSettings
from locshare.model.rate import Rate
from locshare.net.client_address import ForwardedHeader


class ApiLimits(RestSettings, frozen=True):
    """Bytes, seconds, and rates per client address."""

    body_bytes: int = 16 * 1024
    body_timeout_s: float = 10.0
    """For the whole body, however slowly it drips."""
    answer_timeout_s: float = 20.0
    """For a handler, the body's arrival included; then 503."""
    report: Rate = Rate(per_second=2.0, burst=120.0)
    """Reports of one participant without a WebSocket. The burst is what an app has kept in a tunnel
    of half an hour and sends one by one."""
    reporters: int = 50_000
    """Participants remembered for ``report``."""
    code_per_address: Rate = Rate(per_second=5.0, burst=300.0)
    """Look-ups of report codes that are not known yet, of one client address. The burst is a
    festival behind one address after a restart."""
    code: Rate = Rate(per_second=20.0, burst=2000.0)
    """The same, of all together."""
    draw_per_address: Rate = Rate(per_second=1.0, burst=60.0)
    """QR codes that are not remembered, of one client address. Each takes 4 to 19 ms of the
    process, and everyone in a session looks at the same one."""
    draw: Rate = Rate(per_second=10.0, burst=200.0)
    """The same, of all together."""
    new_links: Rate = Rate(per_second=0.1, burst=10.0)
    """New join links of one session: each is written, and sent to everyone in it."""
    addresses: int = 10_000
    """Remembered per limiter."""
    trusted_proxies: tuple[str, ...] = TRUSTED_PROXIES
    """Networks whose forwarding headers are trusted. A peer on the loopback interface is the
    reverse proxy of this machine; a client from outside cannot be one."""
    forwarded_header: ForwardedHeader = "auto"
    """The header in which they name their client."""


DEFAULT_LIMITS: Final = ApiLimits()
