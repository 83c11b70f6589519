"""All connect within a minute, and all close.

They have joined over HTTP before; the storm is of WebSockets. Connected people report as usual, so
that the server is not idle while the last ones connect.
"""

from msgspec.structs import replace

from bench.driver.plan import Plan
from bench.people.arrivals import Evenly
from bench.scenarios.scenario import (
    INTERVAL_S,
    Options,
    Scenario,
    Size,
    from_the_start,
    groups,
    population,
)

GOODBYES = 6
"""They close this many times as fast as they connect."""


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    sessions, each = groups(size.people, options.scale)
    people = population(sessions, each, options, Evenly(size.duration_s))
    plan = from_the_start(scenario, size, options, people, ", in which they come")
    duration_s = size.duration_s
    return replace(plan, duration_s=duration_s + INTERVAL_S, goodbye_s=duration_s / GOODBYES)


SCENARIO = Scenario(
    name="storm",
    about="1,000 people in 20 sessions connect within a minute and close within 10 s",
    sizes=(Size(1_000, 60),),
    short_sizes=(Size(300, 6),),
    make=_make,
)
