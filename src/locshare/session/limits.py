"""What bounds a session. Counts and seconds."""

from typing import Final

from msgspec import Struct


class SessionLimits(Struct, frozen=True):
    """Everything that an operator or a test may want different."""

    max_participants: int = 50
    retention: float = 30.0
    """How long a position lives without a newer one."""
    inactive_after: float = 3600.0
    """A session with nobody connected for so long ends."""
    sleep_after: float = 60.0
    """A session with nobody connected for so long is put to sleep: it is in the database only."""
    touch_interval: float = 30.0
    """How often the activity of a session is noted for the store."""
    host_seats: int = 3
    """So many hosts find room when the session is full: one, who comes back on another device."""
    claim_within: float = 120.0
    """Who has not connected so long after joining loses the seat."""
    seat_lifetime: float = 15.0
    """How long a seat stays reserved for somebody whose join is being written."""
    call_timeout: float = 5.0
    """How long a caller waits for a session, its restart included."""
    max_restarts: int = 3
    restart_window: float = 5.0
    """More than ``max_restarts`` crashes within ``restart_window`` end the session."""
    shutdown: float = 2.0
    sweep_interval: float = 60.0
    """How often sessions that nobody holds in memory are looked through for the end."""
    keep_ended: float = 24 * 3600.0
    """How long the rows of an ended session stay in the database after its ``expires_at``."""


DEFAULT_LIMITS: Final = SessionLimits()
