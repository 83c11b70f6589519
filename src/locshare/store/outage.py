"""Whether the database is away, and one log line for each time that it goes.

Between :meth:`Outage.begin` and :meth:`Outage.end` everything that fails is the same outage, and is
not logged again. An outage that comes back with the same cause within ``QUIET_S`` is not told anew:
what fails on every second attempt would fill the log.
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
        self._told: tuple[str, float] = ("", float("-inf"))
        self._quiet = False
        self.count = 0

    @property
    def active(self) -> bool:
        return self._cause is not None

    def begin(self, cause: str) -> bool:
        """The database failed. Returns whether that is news."""
        if self._cause is not None:
            return False
        now = self._clock()
        self._cause = cause
        self._began = now
        self.count += 1
        self._quiet = self._told[0] == cause and now - self._told[1] < QUIET_S
        if not self._quiet:
            self._told = (cause, now)
            log.error("database_away", reason=cause)
        return True

    def end(self) -> None:
        """It was written to."""
        if self._cause is not None:
            self._cause = None
            if self._quiet:
                return
            log.info("database_back", away_s=round(self._clock() - self._began, 1))
