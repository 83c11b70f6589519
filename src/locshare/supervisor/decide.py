"""What a supervisor does about an exit: pure tables, no Trio (statements 9 to 12, 16 to 20, 75).

*Whether* a child is restarted depends on its restart type and its exit reason
(:func:`decide_restart`). *Which siblings* are affected depends on the strategy and the start order
(:func:`plan`). *How often* restarts are allowed is in :mod:`locshare.supervisor.window`.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar, final

from locshare.actors import Crash, ExitReason

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]

I = TypeVar("I", bound=Hashable)  # noqa: E741 - the id of a child


class RestartDecision(Enum):
    """What a supervisor does after a child has exited without being stopped."""

    RESTART = "restart"
    KEEP_SPEC = "keep_spec"
    """Do not restart. Keep the spec, so that ``restart_child`` can start it again."""
    DROP_SPEC = "drop_spec"
    """Do not restart. Drop the spec."""
    STOP_TREE = "stop_tree"
    """KeyboardInterrupt or SystemExit: restart nothing, stop the whole tree in order."""


def decide_restart(restart: Restart, reason: ExitReason) -> RestartDecision:
    """Whether a child of this restart type is restarted after this exit."""
    if isinstance(reason, Crash) and reason.fatal:
        return RestartDecision.STOP_TREE
    if restart == "temporary":
        return RestartDecision.DROP_SPEC
    if restart == "permanent" or not reason.expected:
        return RestartDecision.RESTART
    return RestartDecision.KEEP_SPEC


@final
@dataclass(frozen=True, slots=True)
class Plan(Generic[I]):
    """One restart: what is stopped, forgotten and started, each in this order."""

    stop: tuple[I, ...]
    forget: tuple[I, ...]
    start: tuple[I, ...]


def plan(strategy: Strategy, children: Sequence[tuple[I, Restart]], failed: I) -> Plan[I]:
    """The restart of ``failed`` among ``children`` (in start order, with their restart types).

    Everything in the strategy's range is stopped in reverse, then started in order, whether or
    not it was running (20). Temporary siblings are stopped and forgotten (19).
    """
    ids = [child for child, _ in children]
    match strategy:
        case "one_for_one":
            reach = [failed]
        case "one_for_all":
            reach = ids
        case "rest_for_one":
            reach = ids[ids.index(failed) :]
    temporary = {child for child, restart in children if restart == "temporary"}
    return Plan(
        stop=tuple(child for child in reversed(reach) if child != failed),
        forget=tuple(child for child in reach if child in temporary and child != failed),
        start=tuple(child for child in reach if child not in temporary or child == failed),
    )
