"""All connect within a minute, are active for five, and close.

They have joined over HTTP before; the storm is of WebSockets. Connected people report as usual, so
that the server is not idle while the last ones connect.
"""

from msgspec.structs import replace

from bench.driver.plan import Plan
from bench.people.arrivals import Evenly
from bench.scenarios.scenario import (
    Options,
    Scenario,
    Size,
    from_the_start,
    groups,
    population,
)

RAMP_S = 60.0
"""Or half of a run that is shorter than two minutes."""
GOODBYES = 6
"""They close this many times as fast as they connect."""


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    sessions, each = groups(size.people, options.scale)
    ramp_s = min(RAMP_S, size.duration_s / 2)
    people = population(sessions, each, options, Evenly(ramp_s))
    remark = f", in the first {ramp_s:g} s of which they come"
    plan = from_the_start(scenario, size, options, people, remark)
    return replace(plan, goodbye_s=ramp_s / GOODBYES)


SCENARIO = Scenario(
    name="storm",
    about="1,000 people in 20 sessions connect in a minute, stay for 5, and close within 10 s",
    sizes=(Size(1_000, 360),),
    short_sizes=(Size(300, 10),),
    make=_make,
)
