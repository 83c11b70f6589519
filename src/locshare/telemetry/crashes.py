"""Crash reports of the supervision tree as log lines.

They hold types, ids and places in the code; never an exception's text, which may quote a message,
and a message may be a position.
"""

import structlog

from locshare.supervisor import Report
from locshare.telemetry.redaction import stack_of

log = structlog.get_logger()


def log_crash(report: Report) -> None:
    """Hook for :class:`locshare.supervisor.SupervisorSpec`. Runs in the exit path: must be quick
    and must not raise.
    """
    error = report.exception
    log.error(
        f"child_{report.kind}",
        supervisor=report.supervisor,
        child=report.child_id,
        incarnation=report.incarnation,
        reason=str(report.reason),
        handling=report.last_message,
        stack=None if error is None else stack_of(error),
        **report.details,
    )
