"""Whether the database is away, with one log line per outage.

Between :meth:`Outage.begin` and :meth:`Outage.end` all failures belong to one outage, which is
logged once. An outage with the same cause as one within the last ``QUIET_S`` is not logged: a
database that fails on every second attempt would fill the log.
"""

from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger()

QUIET_S: Final = 60.0


class Outage:
    """``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._cause: str | None = None
        self._began = 0.0
        self._logged: tuple[str, float] = ("", float("-inf"))
        self._quiet = False
        self.count = 0

    @property
    def active(self) -> bool:
        return self._cause is not None

    def begin(self, cause: str) -> bool:
        """The database failed. Returns whether this starts an outage."""
        if self._cause is not None:
            return False
        now = self._clock()
        self._cause = cause
        self._began = now
        self.count += 1
        self._quiet = self._logged[0] == cause and now - self._logged[1] < QUIET_S
        if not self._quiet:
            self._logged = (cause, now)
            log.error("database_away", reason=cause)
        return True

    def end(self) -> None:
        """A write succeeded."""
        if self._cause is not None:
            self._cause = None
            if self._quiet:
                return
            log.info("database_back", away_s=round(self._clock() - self._began, 1))
