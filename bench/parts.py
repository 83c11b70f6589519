"""What a command has to measure, part by part: which parts an earlier one has finished, and how
long the others take. Pure.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bench.driver.plan import Plan
from bench.results import Run

START_S = 6.0
"""A server gets ready, with its database, and ends."""
JOINS_PER_S = 150.0
DRAIN_S = 1.5
"""Of the ten that a drain may take, what it takes where nothing is lost."""


class Part(NamedTuple):
    """One run, still to be made."""

    scenario: str
    target: str
    title: str
    seed: int
    seconds: float


def part_of(target: str, plan: Plan) -> Part:
    """``plan`` against ``target``."""
    seconds = plan.measured_from_s + plan.duration_s + plan.goodbye_s
    seconds += START_S + plan.people / JOINS_PER_S + DRAIN_S
    return Part(plan.scenario, target, plan.title, plan.seed, seconds)


def is_done(part: Part, runs: Sequence[Run]) -> bool:
    """True when ``runs`` has it: the same people, for as long, with the same seed."""
    wanted = (part.scenario, part.target, part.title, part.seed)
    return any((run.scenario, run.target, run.title, run.seed) == wanted for run in runs)


def total_s(parts: Sequence[Part]) -> float:
    """Of all of them, one after another."""
    return sum(part.seconds for part in parts)


def spoken(seconds: float) -> str:
    """A length of time for people, such as ``4 h 50 min``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return " ".join(
        text for number, text in ((hours, f"{hours} h"), (minutes, f"{minutes} min")) if number
    )
