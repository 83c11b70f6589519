"""How many people a session has. Pure."""

from math import exp, log
from random import Random
from typing import Final

SMALLEST: Final = 2
"""Sharing a location takes two."""


def power_law(people: int, *, largest: int, exponent: float, random: Random) -> list[int]:
    """Sizes of groups that sum to ``people``. A size of s, from 2 to ``largest``, is as likely as s
    to the power of -``exponent``; only the last group may deviate, so that the sum comes out.

    Raises ValueError.
    """
    if people < SMALLEST:
        raise ValueError(f"people {people}: at least {SMALLEST} make a group")
    if largest < 3:
        raise ValueError(f"largest {largest}: must be 3 or more; equal groups need no power law")
    if exponent <= 0:
        raise ValueError(
            f"exponent {exponent}: must be positive; 2 gives mostly pairs and few crowds"
        )
    allowed = range(SMALLEST, largest + 1)
    weights = [exp(-exponent * log(size)) for size in allowed]
    sizes: list[int] = []
    left = people
    while left:
        size = min(random.choices(allowed, weights)[0], left)
        if left - size == 1:  # one left over joins this group, or gets company
            size += 1 if size < largest else -1
        sizes.append(size)
        left -= size
    return sizes
