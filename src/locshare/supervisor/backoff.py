"""Back-off: how long a child waits before each automatic restart. Pure.

Off unless a spec asks for it, since OTP has none: there the budget bounds the attempts, and a
supervisor that gives up escalates the fault. That is right for bugs. A child that fails because
something *outside* of the program is away (a database, a network) should wait for it indefinitely,
at a harmless pace, and must not take its supervisor down.

The jitter keeps programs that lost the same database from reconnecting in the same instant; see
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

>>> TaskSpec("store", store.run, backoff=Backoff(initial_s=0.5, max_s=15))
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, final, get_args

from locshare.supervisor.errors import BadSpec

Jitter = Literal["full", "equal", "none"]

DEFAULT_INITIAL_S: Final = 0.5
DEFAULT_MAX_S: Final = 30.0
DEFAULT_RESET_AFTER_S: Final = 60.0


@final
@dataclass(frozen=True, slots=True)
class Backoff:
    """Wait before the first, second, third … restart in a row: ``initial_s``, ``initial_s *
    factor``, … but never more than ``max_s`` seconds, and of that a random part.

    ``jitter``: "full" waits anything from nothing to the whole time, "equal" at least half of it,
    "none" all of it. ``reset_after_s``: a child that has run for this many seconds since its init
    was healthy; its next failure counts as the first again. ``random`` gives numbers from 0 to 1.

    Restarts of a child with back-off are not counted in its supervisor's restart budget, however
    it ended and however often: it is never why a supervisor gives up. Raises BadSpec.
    """

    initial_s: float = DEFAULT_INITIAL_S
    max_s: float = DEFAULT_MAX_S
    factor: float = 2.0
    jitter: Jitter = "full"
    reset_after_s: float = DEFAULT_RESET_AFTER_S
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        _check("initial_s", self.initial_s, 0, "finite seconds > 0", more=True)
        _check("max_s", self.max_s, self.initial_s, "finite seconds, at least initial_s")
        _check("factor", self.factor, 1, "a finite number ≥ 1")
        _check("reset_after_s", self.reset_after_s, 0, "finite seconds ≥ 0")
        if self.jitter not in get_args(Jitter):
            raise BadSpec("jitter", self.jitter, "one of 'full', 'equal', 'none'")
        if not callable(self.random):
            raise BadSpec("random", self.random, "a function that returns a number from 0 to 1")

    def bound(self, failures: int) -> float:
        """The longest wait, in seconds, after this many failures in a row (1 or more)."""
        bound = self.initial_s
        for _ in range(failures - 1):  # a power could overflow
            if bound >= self.max_s or self.factor == 1:
                break
            bound *= self.factor
        return min(bound, self.max_s)

    def delay(self, failures: int) -> float:
        """The wait, in seconds, before the restart after this many failures in a row (1 or more).
        Raises what ``random`` raises.
        """
        bound = self.bound(failures)
        if self.jitter == "none":
            return bound
        share = self.random()
        if not 0 <= share <= 1:  # NaN too
            share = 1.0
        return bound * share if self.jitter == "full" else bound * (1 + share) / 2


def _check(field: str, value: object, least: float, legal: str, *, more: bool = False) -> None:
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not least <= value < inf  # false for NaN too
        or (more and value == least)
    ):
        raise BadSpec(field, value, legal)
