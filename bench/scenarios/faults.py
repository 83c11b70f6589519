"""The server is broken on purpose, again and again, in each way that it can be here."""

from msgspec.structs import replace

from bench.driver.plan import Plan
from bench.scenarios.scenario import Options, Scenario, Size, steady


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    plan = steady(scenario, size, options)
    return replace(plan, title=f"{plan.title}, with disruptions", disruptions=True)


SCENARIO = Scenario(
    name="faults",
    about="500 people in 10 sessions for 30 minutes; processes killed and stopped, clients cut off",
    sizes=(Size(500, 1800),),
    short_sizes=(Size(200, 30),),
    make=_make,
)
