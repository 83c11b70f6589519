"""The restart budget: at most R restarts within P seconds, per supervisor. Pure.

The window is inclusive (statement 26): a restart exactly P seconds old still counts. With R = 3
and P = 5, restarts at 0, 1, 2 and 5 trip; at 0, 1, 2 and 5.001 they do not. "More than R" trips
(25): with R = 0 the first failure does.
"""

from collections import deque
from typing import final


@final
class RestartWindow:
    """The instants of recent restarts. One per incarnation of a supervisor (30)."""

    __slots__ = ("_instants", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self._instants: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Count one automatic restart attempt at ``now`` (seconds, never going back). False if
        it is one too many.
        """
        instants = self._instants
        while instants and now - instants[0] > self.max_seconds:
            instants.popleft()
        instants.append(now)
        return len(instants) <= self.max_restarts

    def counted(self, now: float) -> int:
        """How many restarts count at ``now``."""
        return sum(now - instant <= self.max_seconds for instant in self._instants)
