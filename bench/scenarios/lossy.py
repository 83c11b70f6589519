"""A bad radio link: every fifth packet is lost, in both directions."""

from contextlib import AbstractContextManager

from bench.network.trouble import lossy
from bench.scenarios.scenario import Scenario, Size, steady
from bench.targets.target import Target

LOSS = 0.2
DELAY_S = 0.05
JITTER_S = 0.02


def _around(target: Target, seed: int) -> AbstractContextManager[Target]:
    return lossy(target, loss=LOSS, delay_s=DELAY_S, jitter_s=JITTER_S, seed=seed)


SCENARIO = Scenario(
    name="lossy",
    about="50 people in a session for a minute; 20 % of all packets lost, 50 ms ± 20 ms delay",
    sizes=(Size(50, 60),),
    short_sizes=(Size(50, 12),),
    make=steady,
    around=_around,
)
