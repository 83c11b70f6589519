"""The bounds of one connection's socket, and the options of the kernel that belong to them."""

import contextlib
import socket
import sys
from typing import Final

from locshare.config.sections import MessageSettings

_TCP_RTO_MAX_MS: Final = 44  # linux/tcp.h; the socket module does not name it yet


class TransportLimits(MessageSettings, frozen=True):
    """Bytes and seconds."""

    hard_message_bytes: int = 64 * 1024
    """A longer message closes the connection with 1009, without being read to its end."""
    max_handshake_bytes: int = 16 * 1024
    handshake_deadline: float = 10.0
    message_deadline: float = 10.0
    """From a message's first byte to its last. 4 KiB take four seconds on the slowest mobile
    networks."""
    discard_bytes: int = 64 * 1024
    """Read and discarded after our close or refusal, to find the peer's close frame. An honest
    client has less on its way."""
    send_buffer_bytes: int = 64 * 1024
    """SO_SNDBUF. Left alone, the kernel grows it to megabytes for a slow phone: old positions,
    which the phone has to read before the newest one."""
    longest_retransmission_ms: int = 1_000
    """TCP_RTO_MAX_MS, where the kernel has it (Linux 6.15). The retransmission time-out doubles
    with each loss, up to two minutes: on a bad link a phone would get nothing long after it could
    be reached again."""


DEFAULT_LIMITS: Final = TransportLimits()


def prepare_listening_socket(sock: socket.socket, limits: TransportLimits) -> None:
    """Set options that accepted sockets inherit, which saves two system calls per connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # an older kernel
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, limits.longest_retransmission_ms)
