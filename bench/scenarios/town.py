"""A day in a few minutes: mostly pairs and small groups, some crowds, with bursts and churn.

The other scenarios have sessions of one size, which makes their figures easy to compare. Here the
sizes follow a power law, so that small sessions and crowds share one server.
"""

from bench.driver.plan import Plan
from bench.people.arrivals import Peaks
from bench.people.population import RECORDED, power_law_groups
from bench.scenarios.scenario import SESSION_SIZE, Options, Scenario, Size, from_the_start
from bench.scenarios.stress import RUSH, churn

EXPONENT = 1.6
"""Three groups in ten are pairs; one in twenty has more than 30 people, a quarter of everybody."""
FEWEST = 2


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    people = power_law_groups(
        max(round(size.people * options.scale), FEWEST),
        largest=SESSION_SIZE,
        exponent=EXPONENT,
        seed=options.seed,
        arrivals=Peaks(span_s=size.duration_s * RUSH),
        movement=RECORDED if options.tracks else "mixed",
        churn=churn(size.duration_s),
    )
    return from_the_start(scenario, size, options, people, ", sizes by a power law")


SCENARIO = Scenario(
    name="town",
    about="1,000 people in groups of 2 to 50 by a power law for 5 minutes; they come and go",
    sizes=(Size(1_000, 300),),
    short_sizes=(Size(300, 7),),
    make=_make,
)
