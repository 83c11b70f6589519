"""How much a session has to deliver, smoothed. Pure: the time is given."""

from math import exp, inf
from typing import Final

SMOOTHING_S: Final = 4.0
"""What happened so long ago counts for a third (1/e): two of a phone's intervals, so that a
session of people who move is not taken for a quiet one between two updates."""


class DeliveryRate:
    """Deliveries per second: updates, times those who are told of each."""

    __slots__ = ("_at", "per_second")

    def __init__(self) -> None:
        self.per_second = 0.0
        """As of the last note."""
        self._at = -inf

    def note(self, deliveries: int, now: float) -> None:
        """So many more were delivered, at ``now``, in seconds of a clock that only goes ahead."""
        faded = self.per_second * exp((self._at - now) / SMOOTHING_S)
        self.per_second = faded + deliveries / SMOOTHING_S
        self._at = now
