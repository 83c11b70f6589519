"""The smoothed delivery rate of a session. Pure: the time is given."""

from math import exp, inf
from typing import Final

SMOOTHING_S: Final = 4.0
"""A delivery this long ago counts for 1/e. Two of a phone's intervals, so that a session in motion
is not taken for a quiet one between two updates."""


class DeliveryRate:
    """Deliveries per second: updates times their receivers."""

    __slots__ = ("_at", "per_second")

    def __init__(self) -> None:
        self.per_second = 0.0
        """As of the last :meth:`note`."""
        self._at = -inf

    def note(self, deliveries: int, now: float) -> None:
        """Add ``deliveries`` at ``now``, in seconds of a monotonic clock."""
        faded = self.per_second * exp((self._at - now) / SMOOTHING_S)
        self.per_second = faded + deliveries / SMOOTHING_S
        self._at = now
