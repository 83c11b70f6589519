"""Many groups at once, whose people arrive in bursts, lose connections, return and leave."""

from bench.driver.plan import Plan
from bench.people.arrivals import Peaks
from bench.people.visits import Churn
from bench.scenarios.scenario import Options, Scenario, Size, from_the_start, groups, population

RUSH = 0.4
"""The share of the run in which the groups meet."""
LOSSES = 1.5
"""Lost connections per person in the whole run, whatever its length."""

SHORTEST_AWAY_S, LONGEST_AWAY_S = 5.0, 60.0
"""A tunnel, a lift; less in a run of seconds."""


def churn(duration_s: float) -> Churn:
    """As much churn in a short run as in a long one."""
    return Churn(
        duration_s=duration_s,
        losses_per_hour=LOSSES * 3600 / duration_s,
        shortest_away_s=min(duration_s / 60, SHORTEST_AWAY_S),
        longest_away_s=min(duration_s / 6, LONGEST_AWAY_S),
    )


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    sessions, each = groups(size.people, options.scale)
    rush = Peaks(span_s=size.duration_s * RUSH)
    people = population(sessions, each, options, rush, churn(size.duration_s))
    return from_the_start(scenario, size, options, people, ", coming and going")


SCENARIO = Scenario(
    name="stress",
    about="20 sessions of 50 for 20 minutes; people come in rushes, drop out, return, leave",
    sizes=(Size(1_000, 1_200),),
    short_sizes=(Size(500, 10),),
    make=_make,
)
