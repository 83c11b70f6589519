"""What the HTTP server takes from its clients."""

from typing import Final

from locshare.config.sections import TRUSTED_PROXIES, HttpSettings
from locshare.http.heads import HeadLimits
from locshare.net.slots import SlotLimits


class ServerLimits(HttpSettings, frozen=True):
    """Counts, bytes and seconds."""

    reserved: int = 64
    """Beyond ``connections``, for health checks when none of these can be closed. Each serves one
    quick request."""
    trusted_proxies: tuple[str, ...] = TRUSTED_PROXIES
    """Networks that may hold more than ``connections_per_address``: a proxy's connections are those
    of many clients."""
    backlog: int = 1024
    header_bytes: int = 16 * 1024
    """A request line and its headers."""
    body_bytes: int = 256 * 1024
    """A body as it comes over the wire, the framing of its chunks included. The application bounds
    its content."""
    keep_alive_s: float = 15.0
    """For an idle connection, and for the arrival of a request's headers."""
    read_timeout_s: float = 30.0
    """Without a byte from the client during a request."""
    write_timeout_s: float = 15.0
    """Without a byte taken by the client during a response."""
    requests_per_connection: int = 10_000
    stop_s: float = 0.8

    @property
    def head(self) -> HeadLimits:
        """Those of a request's head."""
        return HeadLimits(self.header_bytes)

    @property
    def slots(self) -> SlotLimits:
        """The number of connections, in all and of one address."""
        return SlotLimits(self.connections, self.connections_per_address, self.reserved)


DEFAULT_LIMITS: Final = ServerLimits()
