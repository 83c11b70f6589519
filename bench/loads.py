"""The loads of a search for capacity: which comes next, which was met. Pure.

:mod:`bench.capacity` plays them, and the report reads them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import Final

from msgspec import Struct

from bench.results import Run
from bench.scenarios.scenario import INTERVAL_S, SESSION_SIZE

CAPACITY: Final = "capacity"
"""The scenario's name in results."""
STEPS: Final = (100, 500, 1_000, 5_000, 10_000)
MOST_PEOPLE: Final = 15_000
"""More need more than one source address, and more open files than most systems allow."""
P95_MS: Final = 200.0
"""The limit of the search: the strictest of the criteria of latency."""
MOST_LOST: Final = 0.001
NEAR: Final = 0.1
"""The search ends when the gap is this share of what is met."""
DURATION_S: Final = 30.0
_LIMIT: Final = ", p95 wanted below "
TRIES: Final = len(STEPS) + 5
"""Loads for one server, at most: the steps, and half the largest gap five times."""


class Search(Struct, frozen=True):
    """How far to go."""

    steps: Sequence[int] = STEPS
    p95_ms: float = P95_MS
    duration_s: float = DURATION_S


def next_load(steps: Sequence[int], tried: Mapping[int, bool]) -> int | None:
    """The number of people to try next, None when the search is over. ``tried`` says which loads
    were met. Pure.
    """
    met = max((people for people, good in tried.items() if good), default=0)
    missed = min((people for people, good in tried.items() if not good), default=None)
    if missed is None:
        return next((step for step in sorted(steps) if step > met), None)
    between = ceil((met + missed) / 2 / SESSION_SIZE) * SESSION_SIZE
    if missed - met <= max(met * NEAR, SESSION_SIZE) or not met < between < missed:
        return None
    return between


def met(run: Run, p95_ms: float) -> bool:
    """See the module. Pure."""
    return (
        run.delivery.count > 0
        and run.delivery.p95_ms < p95_ms
        and run.loss_share < MOST_LOST
        and not (run.stale_pairs or run.foreign or run.refused or run.disconnects)
    )


def most_people(runs: Sequence[Run], p95_ms: float) -> int | None:
    """The largest load that was met, below the smallest that was not; None without runs. Pure."""
    if not runs:
        return None
    missed = min((run.people for run in runs if not met(run, p95_ms)), default=None)
    good = [run.people for run in runs if met(run, p95_ms)]
    return max((each for each in good if missed is None or each < missed), default=0)


def sessions_of(people: int) -> int:
    """Full sessions, as many as they need."""
    return ceil(people / SESSION_SIZE)


def title(people: int, wanted: Search) -> str:
    sessions = sessions_of(people)
    return (
        f"{people:,} people in {sessions:,} session{'s' * (sessions > 1)}, an update every "
        f"{INTERVAL_S:g} s, for {wanted.duration_s:g} s{_LIMIT}{wanted.p95_ms:g} ms"
    )


def wanted_p95_ms(run: Run) -> float:
    """The limit of the search that ``run`` belongs to; a search's own where its title has none."""
    with suppress(ValueError):
        return float(run.title.rpartition(_LIMIT)[2].removesuffix(" ms"))
    return P95_MS
