"""From a measured value to a score from 0 to 10, between two values that are written down."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import log10

BEST = 10.0


_PRINTED = Decimal("0.01")


def rounded(value: float | Decimal) -> float:
    """As it is printed, halves up: whoever checks the sums has no other digits."""
    return float(Decimal(value).quantize(_PRINTED, ROUND_HALF_UP))


def weighted(terms: Sequence[tuple[int, float]]) -> float:
    """The mean of rounded scores by weight, as one finds it with pencil and paper: 8.245 is not a
    little less than that. Rounded; there is at least one.
    """
    total = sum((weight * Decimal(str(score)) for weight, score in terms), Decimal())
    return rounded(total / sum(weight for weight, _ in terms))


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
