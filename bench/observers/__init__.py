"""Observers of a run: a display for a terminal, lines for a log, metrics for Prometheus."""

from collections.abc import Sequence

from bench.driver.progress import Observer, RunStatus
from bench.results import Moment, Run


class Observers:
    """Several as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._watchers = observers

    def begins(self, target: str, scenario: str, title: str) -> None:
        for each in self._watchers:
            each.begins(target, scenario, title)

    def phase(self, text: str) -> None:
        for each in self._watchers:
            each.phase(text)

    def moment(self, moment: Moment, standing: RunStatus) -> None:
        for each in self._watchers:
            each.moment(moment, standing)

    def ended(self, run: Run) -> None:
        for each in self._watchers:
            each.ended(run)
