"""Updates four times as often as usual."""

from bench.driver.plan import Plan
from bench.scenarios.scenario import Options, Scenario, Size, steady

INTERVAL_S = 0.5


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    return steady(scenario, size, options, interval_s=INTERVAL_S)


SCENARIO = Scenario(
    name="flood",
    about="100 people in 2 sessions, an update each every 500 ms, for 15 minutes",
    sizes=(Size(100, 900),),
    short_sizes=(Size(100, 5),),
    make=_make,
)
