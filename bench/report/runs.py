"""Groups of runs to compare: of one scenario, of the ladder of one number of people."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.loads import CAPACITY
from bench.report.forms import FULL_FORMS, LADDER
from bench.results import BadResults, Results, Run


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are compared with each other."""

    number: int
    """From 1, in the order of the report: labels may look alike."""
    scenario: str
    label: str
    """Such as ``storm``, or ``ladder, 500 people``."""
    runs: tuple[Run, ...]

    def of(self, target: str) -> list[Run]:
        """The runs against it; several when the scenario was repeated."""
        return of(target, self.runs)


def of(target: str, runs: Sequence[Run]) -> list[Run]:
    """The runs against ``target``."""
    return [run for run in runs if run.target == target]


def groups(results: Results) -> list[Group]:
    """Of all runs, in the order of the report, the ladder from its lowest step."""
    named = [
        (scenario, label)
        for scenario in scenarios(results)
        for label in dict.fromkeys(
            _label(run)
            for run in sorted(results.runs, key=lambda run: run.people)
            if run.scenario == scenario
        )
    ]
    return [
        Group(
            number,
            scenario,
            label,
            tuple(run for run in results.runs if (run.scenario, _label(run)) == (scenario, label)),
        )
        for number, (scenario, label) in enumerate(named, 1)
    ]


def scenarios(results: Results) -> list[str]:
    """The scenarios that were run, known ones first."""
    run = dict.fromkeys(run.scenario for run in results.runs)
    return [name for name in FULL_FORMS if name in run] + [n for n in run if n not in FULL_FORMS]


def steps(runs: Sequence[Run]) -> list[Run]:
    """The runs of the ladder, from the fewest people to the most."""
    return sorted((run for run in runs if run.scenario == LADDER), key=lambda run: run.people)


def check(results: Results) -> None:
    """Raises BadResults for a run against an undescribed target, or two targets of one name."""
    names = [target.name for target in results.targets]
    for name in names:
        if names.count(name) > 1:
            raise BadResults(f"targets: {name!r} is there twice; names must be unique")
    for run in results.runs:
        if run.target not in names:
            raise BadResults(
                f"runs: target {run.target!r} is not among the targets ({', '.join(names)})"
            )


def _label(run: Run) -> str:
    if run.scenario in (LADDER, CAPACITY):
        return f"{run.scenario}, {run.people:,} people"
    return run.scenario
