"""From a measured value to a score from 0 to 10, between two values that are written down."""

from dataclasses import dataclass
from math import log10

BEST = 10.0


def rounded(value: float) -> float:
    """As it is printed: whoever checks the sums has no other digits."""
    return round(value, 2)


@dataclass(frozen=True, slots=True)
class Anchors:
    """``ten`` and better scores 10, ``zero`` and worse scores 0. Between them each tenfold counts
    the same (``log``, both more than 0), or each unit.
    """

    ten: float
    zero: float
    log: bool = True

    def score(self, value: float) -> float:
        """From 0 to 10, rounded."""
        if self.log:
            value = max(value, min(self.ten, self.zero))
            share = log10(self.zero / value) / log10(self.zero / self.ten)
        else:
            share = (self.zero - value) / (self.zero - self.ten)
        return rounded(BEST * min(max(share, 0.0), 1.0))
