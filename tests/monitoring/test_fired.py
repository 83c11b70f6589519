"""A real Prometheus and Alertmanager beside the real server: break it, and alerts come and go.

`make alert-drill` does it for all alerts.
"""

import pytest

from tests.monitoring.drill import QUICK, play
from tests.monitoring.rules import needs_prometheus
from tests.monitoring.world import a_world
from tests.program import data_directory

pytestmark = [pytest.mark.e2e, needs_prometheus]


async def test_each_quick_fault_fires_its_alerts_which_resolve_when_it_is_healed() -> None:
    with data_directory() as folder:
        async with a_world(folder, window_s=4.0) as world:
            lines: list[str] = []
            await play(world, QUICK, lines.append)
    assert len(lines) > 2 * len(QUICK)
