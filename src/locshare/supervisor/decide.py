"""What a supervisor does about an exit: pure tables, no Trio (statements 9 to 12, 16 to 20, 75).

Two questions. *Whether* something is restarted depends on the child's restart type and the exit
reason alone (:func:`verdict`). *What else* is touched depends on the strategy and the start order
alone (:func:`plan`). How often it is allowed is the third, and has its own module
(:mod:`locshare.supervisor.window`).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar, final

from locshare.actors import Crash, ExitReason

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]

I = TypeVar("I", bound=Hashable)  # noqa: E741 - the id of a child


class Verdict(Enum):
    """What becomes of a child that has ended by itself."""

    RESTART = "restart"
    KEEP = "keep"
    """Not restarted; its spec stays, so that it can be revived by hand."""
    FORGET = "forget"
    """Not restarted, and its spec is dropped."""
    LEAVE = "leave"
    """KeyboardInterrupt or SystemExit: nothing is restarted, the whole tree stops in order."""


def verdict(restart: Restart, reason: ExitReason) -> Verdict:
    """Whether a child of this restart type is restarted after this exit."""
    if isinstance(reason, Crash) and reason.fatal:
        return Verdict.LEAVE
    if restart == "temporary":
        return Verdict.FORGET
    if restart == "permanent" or not reason.expected:
        return Verdict.RESTART
    return Verdict.KEEP


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
