"""How much may wait for the database, and for how long."""

from typing import Final

from msgspec import Struct


class StoreLimits(Struct, frozen=True):
    """Counts and seconds."""

    connections: int = 8
    statement_s: float = 1.0
    """One use of a connection, with waiting for the connection."""
    wait_s: float = 2.0
    """The longest that a caller waits for a group commit."""
    open_s: float = 15.0
    """How long the first start waits for a database that is not there."""
    max_pending_commits: int = 2000
    """Joins that may wait at once, and likewise new sessions; further ones are refused."""
    commit_batch: int = 64
    """Records per statement. All callers in one batch resume in the same turn of the loop."""
    gather_s: float = 0.01
    """From the start of a shared statement to the start of the next, unless a full batch waits. A
    statement costs as much CPU time as everything else that a join needs."""
    max_pending_removals: int = 50_000
    """Ends and leaves that may wait while the database is away."""
    max_pending_touches: int = 200_000
    """Notes of last_seen that may wait, and likewise of last_activity."""
    batch: int = 500
    """Rows of each kind per statement of the write-behind, the sweep and the purge."""
    touch_every_s: float = 3.0
    retry_min_s: float = 0.1
    retry_max_s: float = 5.0
    reopen_max_s: float = 15.0
    """The longest pause between two attempts to reopen the database and the embedded server."""
    check_s: float = 5.0
    """How long the result of a successful check is reused, so that readiness probes do not load
    the database; that of a failed check is reused for a fifth of it."""
    flush_s: float = 0.6
    """For the writes that still wait when the store is stopped."""


DEFAULT_LIMITS: Final = StoreLimits()
