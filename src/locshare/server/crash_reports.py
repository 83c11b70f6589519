"""Crash reports of the tree: logged, and counted for metrics by child and by what happened."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, final, get_args

from locshare.supervisor import Report, Reporter
from locshare.supervisor.report import Kind
from locshare.telemetry.crashes import log_crash

SESSION: Final = "session"
"""Stands for each session: their names are in no metric."""
OTHER: Final = "other"


@final
class CrashReports:
    """``children``: the ids of the root's."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Kind]] = Counter()
        self.of_session: Final[Reporter] = partial(self._take, SESSION)
        """The hook for the sessions."""

    def take(self, report: Report) -> None:
        """The hook for everything else."""
        self._take(report.child_id, report)

    def _take(self, child: str, report: Report) -> None:
        log_crash(report)
        self._counts[child, report.kind] += 1

    def counts(self, children: Iterable[str]) -> Mapping[tuple[str, Kind], int]:
        """So far, for each of ``children``, for ``session`` and for ``other``. All are present, so
        that the first one is an increase.
        """
        names = {*children, SESSION}
        found = {(child, kind): 0 for child in (*sorted(names), OTHER) for kind in get_args(Kind)}
        for (child, kind), count in self._counts.items():
            found[child if child in names else OTHER, kind] += count
        return found
