"""What a store counts."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from locshare.telemetry.histogram import Distribution

Outcome = Literal["ok", "late", "away", "refused", "cancelled"]
"""Of a statement: ``late`` after ``statement_s``; ``refused`` is a row that the database does not
take."""


class StoreStatistics(Struct, frozen=True):
    """``pending_…``: writes that wait now. The other counts are since the program started."""

    is_open: bool
    pending_commits: int
    pending_removals: int
    pending_touches: int
    dropped: int
    join_batches: int
    failures: int
    """Write-behind batches that found the database away; each is tried again."""
    outages: int
    running: int
    """Statements that run now, or wait for a connection."""
    statements: Mapping[str, int]
    seconds: Distribution
    """Of statements, with waiting for a connection."""
