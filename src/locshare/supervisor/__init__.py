"""OTP's supervisors on Trio: restart what crashes, in order, within a budget.

::

    spec = SupervisorSpec(
        [
            TaskSpec("store", store.run),
            DynamicSpec(max_children=10_000).child("sessions", register=names.name("sessions")),
            TaskSpec("listener", serve_connections, (settings,), shutdown=10.0),
        ],
        strategy="rest_for_one",
    )
    trio.run(run_root, spec)

Children start in list order, each after the one before has finished its init, and stop in reverse.
A :class:`SupervisorRef` (or ``DynamicSupervisorRef``) starts and ends children at run time.
"""

from locshare.supervisor.backoff import Backoff, Jitter
from locshare.supervisor.base import BaseSupervisorRef
from locshare.supervisor.child import ChildCounts, ChildInfo
from locshare.supervisor.decide import Restart, Strategy
from locshare.supervisor.dynamic import DynamicSpec, DynamicSupervisor, DynamicSupervisorRef
from locshare.supervisor.errors import (
    AlreadyPresent,
    AlreadyStarted,
    BadSpec,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    MaxChildren,
    RestartBudgetExceeded,
    RootFailed,
    SupervisorError,
)
from locshare.supervisor.events import (
    ChildEvent,
    Event,
    GaveUp,
    HandlerSpan,
    MailboxGauge,
    Restarted,
    Started,
    Stopped,
)
from locshare.supervisor.report import Report, Reporter, ReportKind, log_report
from locshare.supervisor.root import open_supervisor, run_root
from locshare.supervisor.spec import (
    BRUTAL_KILL,
    INFINITY,
    AnySpec,
    ChildSpec,
    ShutdownTime,
    TaskSpec,
)
from locshare.supervisor.supervisor import Supervisor, SupervisorRef, SupervisorSpec
from locshare.supervisor.tasks import TaskHandle, TaskMap, TaskSupervisor, TaskSupervisorRef
from locshare.supervisor.telemetry import Listener, Subscription

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AlreadyPresent",
    "AlreadyStarted",
    "AnySpec",
    "Backoff",
    "BadSpec",
    "BaseSupervisorRef",
    "ChildCounts",
    "ChildEvent",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "DynamicSpec",
    "DynamicSupervisor",
    "DynamicSupervisorRef",
    "Event",
    "GaveUp",
    "HandlerSpan",
    "Jitter",
    "Listener",
    "MailboxGauge",
    "MaxChildren",
    "Report",
    "ReportKind",
    "Reporter",
    "Restart",
    "RestartBudgetExceeded",
    "Restarted",
    "RootFailed",
    "ShutdownTime",
    "Started",
    "Stopped",
    "Strategy",
    "Subscription",
    "Supervisor",
    "SupervisorError",
    "SupervisorRef",
    "SupervisorSpec",
    "TaskHandle",
    "TaskMap",
    "TaskSpec",
    "TaskSupervisor",
    "TaskSupervisorRef",
    "log_report",
    "open_supervisor",
    "run_root",
]
