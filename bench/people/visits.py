"""Churn: people arrive late, leave early, lose their connection for a while and return. Pure
functions of a random source.
"""

from random import Random

from msgspec import Struct


class Visit(Struct, frozen=True):
    """One stretch of being connected; seconds after the beginning of the run."""

    arrives_s: float
    leaves_s: float | None
    """None: stays to the end."""
    gracefully: bool
    """True: closes the WebSocket properly. False: the connection just breaks (radio gone)."""


class Churn(Struct, frozen=True, kw_only=True):
    """Of a run of ``duration_s``. Shares are from 0 to 1.

    ``late`` is the share of people who arrive later than planned, up to the middle of the run;
    ``early`` of those who leave before its end, after the middle. ``losses_per_hour`` is how often
    a connected person loses the connection, as a Poisson process, for ``shortest_away_s`` to
    ``longest_away_s``. ``closing`` is the share of losses that are a proper close (the page is
    left, the app put away).
    """

    duration_s: float
    late: float = 0.2
    early: float = 0.2
    losses_per_hour: float = 6.0
    shortest_away_s: float = 5.0
    longest_away_s: float = 60.0
    closing: float = 0.3

    def __post_init__(self) -> None:
        """Raises ValueError."""
        for name in ("late", "early", "closing"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} {share}: must be a share from 0 to 1")
        if self.duration_s <= 0:
            raise ValueError(f"duration_s {self.duration_s}: must be positive")
        if self.losses_per_hour < 0:
            raise ValueError(f"losses_per_hour {self.losses_per_hour}: must not be negative")
        if not 0 < self.shortest_away_s <= self.longest_away_s:
            raise ValueError(
                f"shortest_away_s {self.shortest_away_s}: must be positive and at most "
                f"longest_away_s, {self.longest_away_s}"
            )


def visits(arrives_s: float, churn: Churn, random: Random) -> tuple[Visit, ...]:
    """The visits of one person who is to arrive at ``arrives_s``: at least one, in order, not
    touching. Raises ValueError.
    """
    duration = churn.duration_s
    if not 0 <= arrives_s < duration:
        raise ValueError(f"arrives_s {arrives_s}: must be in the run, of {duration} s")
    if random.random() < churn.late:
        arrives_s = random.uniform(arrives_s, max(arrives_s, duration / 2))
    leaves_s = None
    if random.random() < churn.early:
        leaves_s = random.uniform(max((arrives_s + duration) / 2, duration / 2), duration)
    end = duration if leaves_s is None else leaves_s
    found = []
    while (lost := arrives_s + _until_lost(churn, random)) < end:
        found.append(Visit(arrives_s, lost, random.random() < churn.closing))
        arrives_s = lost + random.uniform(churn.shortest_away_s, churn.longest_away_s)
        if arrives_s >= end:
            return tuple(found)
    return (*found, Visit(arrives_s, leaves_s, True))


def _until_lost(churn: Churn, random: Random) -> float:
    """Seconds; never none at all."""
    per_second = churn.losses_per_hour / 3600
    if not per_second:
        return float("inf")
    return random.expovariate(per_second) or 1e-3
