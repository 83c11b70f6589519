"""Crash reports: one for each abnormal exit, none for an expected one (statement 15).

A report names types and ids. It never holds a message or a state, which may be personal data. An
actor that can say more without harm overrides ``Actor.redact``; its result is ``details``.

Reports go to the hook of the nearest supervisor that has one, by default to the standard library's
logging. A hook runs inside the exit path: it must be quick and must not await. If it raises, the
error is logged by type and goes no further. KeyboardInterrupt and SystemExit are the exception:
they stop the tree in order and leave it, as if a child had raised them.
"""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, final

from locshare.actors import Crash, ExitReason

logger = logging.getLogger(__package__)

ReportKind = Literal["crash", "start_failed", "stop_failed", "stuck", "gave_up"]

_SENTENCE: Final[Mapping[str, str]] = {
    "crash": "ended abnormally",
    "start_failed": "did not come up again",
    "stop_failed": "did not stop as asked",
    "stuck": "cannot be killed; still waiting for it",
    "gave_up": "restarted too often; its supervisor gives up",
}


@final
@dataclass(frozen=True, slots=True)
class Report:
    """What happened to one incarnation.

    ``kind``: "crash", "start_failed" (a restart attempt failed), "stop_failed" (an abnormal end
    while it was being stopped), "stuck" (not an exit: it ignores its kill), "gave_up" (not an
    exit: the budget tripped on this child).
    """

    kind: ReportKind
    supervisor: str
    child_id: str
    incarnation: int
    reason: ExitReason
    last_message: str | None = None  #: the type of the message that was being handled
    last_events: tuple[object, ...] = ()  #: the trace, if it was on
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def exception(self) -> BaseException | None:
        """The crash's exception with its traceback (whose local variables are cleared)."""
        return self.reason.exception if isinstance(self.reason, Crash) else None


Reporter = Callable[[Report], None]


def log_report(report: Report) -> None:
    """The default hook."""
    logger.error(
        "%s/%s#%d %s (%s)%s",
        report.supervisor,
        report.child_id,
        report.incarnation,
        _SENTENCE[report.kind],
        report.reason,
        f" while handling {report.last_message}" if report.last_message else "",
        exc_info=report.exception if report.kind in ("crash", "start_failed") else None,
    )


#: The hook of the supervisors in this context; children inherit it (statement 78).
reporter: ContextVar[Reporter] = ContextVar("supervisor_reporter", default=log_report)


def send(hook: Reporter, report: Report) -> BaseException | None:
    """Pass ``report`` to ``hook``. Raises nothing: errors are logged. Returns KeyboardInterrupt,
    SystemExit and the like, by which the hook decides to end the program.
    """
    try:
        hook(report)
    except Exception as error:  # noqa: BLE001 - a broken hook must not break the exit path
        logger.error("a report hook failed with %s", type(error).__qualname__)  # noqa: TRY400
    except BaseException as error:  # noqa: BLE001 - the supervisor raises it at the root
        return error
    return None
