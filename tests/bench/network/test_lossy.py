"""The real server over a link that loses every fifth packet of each direction: nobody is lost, and
at the end everybody has everybody's newest position.
"""

import pytest
from msgspec.structs import replace

from bench.driver.measure import measure
from bench.network.namespace import Unavailable, lossy_link
from bench.network.proxied import lossy
from bench.network.relay import Impairment
from bench.targets import started
from tests.bench.misbehaving_server import NullObserver, plan
from tests.running import LAST_RESORT_S

PEOPLE = 8


@pytest.mark.e2e
def test_a_group_keeps_working_over_a_link_that_loses_a_fifth_of_the_packets() -> None:
    try:
        with lossy_link(0.0):
            pass
    except Unavailable as why:
        pytest.skip(str(why))
    with (
        started("locshare", pin=False) as server,
        lossy(server, Impairment(loss=0.2)) as target,
    ):
        patient = replace(
            plan((PEOPLE,), duration_s=2.0, interval_s=0.5),
            waits_s=LAST_RESORT_S,
            drain_s=LAST_RESORT_S,
        )
        run = measure(target, patient, NullObserver(), via=target.via)
    assert target.how.startswith("packets are lost on a real link")
    assert run.stale_pairs == run.disconnects == run.foreign == 0
    assert run.connections >= PEOPLE
    assert run.delivered > PEOPLE * PEOPLE
