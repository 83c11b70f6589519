"""Disruptions of every kind that the server supports, again and again, and cuts of the network,
which leads through a proxy.
"""

from contextlib import AbstractContextManager

from msgspec.structs import replace

from bench.driver.plan import Plan
from bench.network.proxied import behind_proxy
from bench.scenarios.scenario import Options, Scenario, Size, steady
from bench.targets.target import Target


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    plan = steady(scenario, size, options)
    return replace(plan, title=f"{plan.title}, with disruptions", disruptions=True)


def _around(target: Target, seed: int) -> AbstractContextManager[Target]:
    del seed
    return behind_proxy(target)


SCENARIO = Scenario(
    name="faults",
    about="500 people in 10 sessions for 30 minutes; kills, pauses, limits, cut networks",
    sizes=(Size(500, 1800),),
    short_sizes=(Size(200, 54),),
    make=_make,
    around=_around,
)
