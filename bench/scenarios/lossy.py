"""A bad radio link: every fifth packet is lost, in both directions."""

from contextlib import AbstractContextManager

from msgspec.structs import replace

from bench.driver.plan import Plan
from bench.network.proxied import lossy
from bench.network.relay import Impairment
from bench.scenarios.scenario import Options, Scenario, Size, steady
from bench.targets.target import Target

IMPAIRMENT = Impairment(delay_s=0.05, jitter_s=0.02, loss=0.2)
WAITS_S, SHORT_WAITS_S = 8.0, 5.0
"""How long to wait for the last to connect; the run goes on without the rest."""
DRAIN_S = 30.0
"""TCP doubles its wait each time the same packet is lost: 13 s after the sixth time. In short, too:
a server that waits so long has not lost anything.
"""


def _make(scenario: Scenario, size: Size, options: Options) -> Plan:
    return replace(
        steady(scenario, size, options),
        waits_s=SHORT_WAITS_S if options.short else WAITS_S,
        drain_s=DRAIN_S,
    )


def _around(target: Target, seed: int) -> AbstractContextManager[Target]:
    return lossy(target, IMPAIRMENT, seed=seed)


SCENARIO = Scenario(
    name="lossy",
    about="50 people in a session for a minute; 20 % of all packets lost, 50 ms ± 20 ms delay",
    sizes=(Size(50, 60),),
    short_sizes=(Size(12, 8),),
    make=_make,
    around=_around,
)
