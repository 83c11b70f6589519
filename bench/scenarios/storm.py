"""Everybody comes, everybody goes.

They have joined over HTTP before; the storm is of WebSockets. Who has come reports as always, and
gets what the others report, so that the server is not idle when the last ones come.
"""

from bench.driver.plan import Plan
from bench.people.arrivals import Evenly
from bench.scenarios.scenario import (
    INTERVAL_S,
    Options,
    Scenario,
    Size,
    groups,
    participants,
    population,
    title,
)

GOODBYES = 6
"""They go so many times as fast as they came."""


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    sessions, each = groups(size.people, options.scale)
    people = population(sessions, each, options, Evenly(size.duration_s))
    return Plan(
        scenario=scenario.name,
        title=f"{title(people, options, INTERVAL_S, size.duration_s)}, in which they come",
        seed=options.seed,
        scale=options.scale,
        sessions=participants(people, options),
        interval_s=INTERVAL_S,
        duration_s=size.duration_s + INTERVAL_S,
        goodbye_s=size.duration_s / GOODBYES,
    )


SCENARIO = Scenario(
    name="storm",
    about="1,000 people in 20 sessions connect within a minute and close within 10 s",
    sizes=(Size(1_000, 60),),
    short_sizes=(Size(300, 6),),
    make=_make,
)
