"""Named scenarios, one idea per file."""

from collections.abc import Mapping

from bench.scenarios import baseline, faults, flood, ladder, lossy, storm, stress, town
from bench.scenarios.scenario import Options, Scenario

__all__ = ["SCENARIOS", "Options", "Scenario"]

SCENARIOS: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        baseline.SCENARIO,
        storm.SCENARIO,
        flood.SCENARIO,
        stress.SCENARIO,
        town.SCENARIO,
        ladder.SCENARIO,
        faults.SCENARIO,
        lossy.SCENARIO,
    )
}
"""By name, in the order in which ``all`` runs them."""
