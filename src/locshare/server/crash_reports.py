"""Crash reports of the tree: logged, and counted for metrics by child and by what happened."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, final, get_args

import trio

from locshare.supervisor import Report, Reporter, ReportKind
from locshare.telemetry.crashes import log_crash
from locshare.telemetry.traces import OFF, Tracer, Value

SESSION: Final = "session"
"""Stands for each session: their names are in no metric."""
OTHER: Final = "other"


@final
class CrashReports:
    """Each is a log line, a count, and a span of ``tracer``."""

    def __init__(self, tracer: Tracer = OFF) -> None:
        self._tracer = tracer
        self._counts: Counter[tuple[str, ReportKind]] = Counter()
        self.of_session: Final[Reporter] = partial(self._take, SESSION)
        """The hook for the sessions."""

    def take(self, report: Report) -> None:
        """The hook for everything else."""
        self._take(report.child_id, report)

    def _take(self, child: str, report: Report) -> None:
        log_crash(report)
        if self._tracer.on:
            self._trace(child, report)
        self._counts[child, report.kind] += 1

    def _trace(self, child: str, report: Report) -> None:
        error = report.exception
        failure = str(report.reason) if error is None else type(error).__name__
        about: dict[str, Value] = {"of": child, "kind": report.kind}
        self._tracer.record("crash", trio.current_time(), about, failure)

    def counts(self, children: Iterable[str]) -> Mapping[tuple[str, ReportKind], int]:
        """So far, for each of ``children``, for ``session`` and for ``other``. All are present, so
        that the first one is an increase.
        """
        names = {*children, SESSION}
        found = {
            (child, kind): 0 for child in (*sorted(names), OTHER) for kind in get_args(ReportKind)
        }
        for (child, kind), count in self._counts.items():
            found[child if child in names else OTHER, kind] += count
        return found
