"""What bounds a session. Counts and seconds."""

from typing import Final

from locshare.config.sections import SessionSettings

MAILBOX_CAPACITY: Final = 1024
"""Messages that wait for a session's actor, at most."""


class SessionLimits(SessionSettings, frozen=True):
    """Bounds that an operator or a test may change."""

    sleep_after: float = 60.0
    """A session without a connection for this time sleeps: it is in the database only."""
    touch_interval: float = 30.0
    """How often the activity of a session is noted for the store."""
    host_seats: int = 3
    """Hosts that find a seat in a full session: one person, on several devices."""
    connect_within: float = 120.0
    """A participant who has not connected in this time after joining loses the seat."""
    offline_grace: float = 15.0
    """How long the others go on seeing a participant online whose connection has ended."""
    online_after_report: float = 120.0
    """How long a participant is online after a position that came without a connection."""
    kept_events: int = 256
    """The most events that a client which comes back gets."""
    kept_events_s: float = 600.0
    """How long an event is kept for that."""
    reservation_lifetime: float = 15.0
    """How long a seat stays reserved for a join that is being written."""
    call_timeout: float = 5.0
    """How long a caller waits for a session, its restart included."""
    max_restarts: int = 3
    restart_window: float = 5.0
    """More than ``max_restarts`` crashes within ``restart_window`` end the session."""
    shutdown: float = 2.0
    sweep_interval: float = 60.0
    """How often the sessions in the database are searched for those that are over."""
    keep_ended: float = 24 * 3600.0
    """How long the rows of an ended session stay in the database after its ``expires_at``."""
    keep_deletions: float = 30 * 24 * 3600.0
    """How long it is known that the rows of a session were deleted: so long its host may have a
    receipt."""


DEFAULT_LIMITS: Final = SessionLimits()
