"""Comparisons on a noisy machine: the rounds of what is compared take turns, so noise hits all."""

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Figures = tuple[float, ...]
Round = Callable[[], Awaitable[Figures]]
"""One round of one of them, and its figures."""

Key = TypeVar("Key")


async def take_turns(
    rounds: int, them: Mapping[Key, Round], collect: bool = True
) -> dict[Key, list[Figures]]:
    """The figures of each in each round. Who begins changes from round to round. With ``collect``
    none of them collects another's garbage; very short rounds are better without.
    """
    keys = list(them)
    found: dict[Key, list[Figures]] = {key: [] for key in keys}
    for number in range(rounds):
        first = number % len(keys)
        for key in keys[first:] + keys[:first]:
            if collect:
                gc.collect()
            found[key].append(await them[key]())
    return found


def best(figures: Sequence[Figures]) -> Figures:
    """Each figure's least, for noise only ever adds."""
    return tuple(min(each) for each in zip(*figures, strict=True))


async def seconds(work: Awaitable[object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Surplus:
    """By what share one of two needs more than the other: quartiles over pairs of rounds."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        low, median, high = (f"{each * 100:+.1f}" for each in (self.low, self.median, self.high))
        return f"{median} % ({low} to {high})"


def surplus(ours: Sequence[float], theirs: Sequence[float]) -> Surplus:
    """Of rounds that were next to each other; at least two."""
    shares = [one / other - 1 for one, other in zip(ours, theirs, strict=True)]
    return Surplus(*statistics.quantiles(shares, n=4, method="inclusive"))
