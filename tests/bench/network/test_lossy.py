"""The real server over a link that loses every fifth packet of each direction: nobody is lost, and
at the end everybody has everybody's newest position.
"""

from collections.abc import Sequence

import pytest
import trio

from bench.network.namespace import Unavailable, lossy_link
from bench.network.proxied import lossy
from bench.network.relay import Impairment
from bench.results import DisruptionKind, TargetDescription
from bench.servers import HOST, Server, running_server
from tests.bench.network.group import Group

PEOPLE = 8
STEPS = 4


class Serving:
    """A server that was started here."""

    description = TargetDescription(name="locshare", title="locshare", dialect="plain")
    ws_url = None
    topic = ""

    def __init__(self, server: Server) -> None:
        self.http_url = f"http://{HOST}:{server.http_port}"
        self._server = server

    def pids(self) -> Sequence[int]:
        return (self._server.pid,)

    def can(self, kind: DisruptionKind) -> bool:
        return False

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        raise AssertionError

    def end(self, kind: DisruptionKind) -> None:
        raise AssertionError


@pytest.mark.e2e
def test_a_group_keeps_working_over_a_link_that_loses_a_fifth_of_the_packets() -> None:
    try:
        with lossy_link(0.0):
            pass
    except Unavailable as why:
        pytest.skip(str(why))
    with running_server() as server, lossy(Serving(server), Impairment(loss=0.2)) as target:
        group = Group(PEOPLE, interval_s=0.5, duration_s=STEPS * 0.5)
        outcome = trio.run(group.run, target)
    assert target.how.startswith("packets are lost on a real link")
    assert outcome.connected == PEOPLE
    assert outcome.stale_pairs == 0
    assert (
        len(outcome.latency_s) > PEOPLE * STEPS
    )  # and all of them are of the group: others would be a KeyError
