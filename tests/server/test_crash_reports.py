"""Crash reports are counted by child, and no name of a session is a label."""

from locshare.actors.reasons import Shutdown
from locshare.server.crash_reports import CrashReports
from locshare.supervisor import Report, ReportKind


def report(child: str, kind: ReportKind = "crash") -> Report:
    return Report(kind, "root", child, 1, Shutdown("asked"))


def test_reports_are_counted_by_child_and_kind() -> None:
    reports = CrashReports()
    reports.take(report("store"))
    reports.take(report("store", "gave_up"))
    reports.of_session(report("6f1c9d0e"))
    counts = reports.counts(["store", "listener"])
    assert {key: count for key, count in counts.items() if count} == {
        ("store", "crash"): 1,
        ("store", "gave_up"): 1,
        ("session", "crash"): 1,
    }


def test_all_are_there_before_the_first_crash() -> None:
    counts = CrashReports().counts(["store"])
    assert counts["store", "crash"] == counts["session", "gave_up"] == counts["other", "stuck"] == 0


def test_a_child_that_is_not_known_has_no_label_of_its_own() -> None:
    reports = CrashReports()
    reports.take(report("a name that somebody chose"))
    assert {child for child, _ in reports.counts(["store"])} == {"store", "session", "other"}
