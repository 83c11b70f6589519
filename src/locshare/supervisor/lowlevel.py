"""Reach into a running supervisor, for tests and fault injection. Programs need none of it."""

from collections.abc import Callable

from locshare.actors import Ref
from locshare.actors.lowlevel import Incarnation
from locshare.supervisor.base import BaseSupervisorRef
from locshare.supervisor.child import Child, ChildState
from locshare.supervisor.errors import ChildNotFound
from locshare.supervisor.spec import check_budget


def child_of(supervisor: BaseSupervisorRef, id: str, ref: Ref | None) -> Child:  # noqa: A002 - OTP's word
    """The child with this id and, unless it is None, this ref. Raises ChildNotFound, NoProc."""
    for child in supervisor._base_supervisor().children():
        if child.spec.id == id and (ref is None or child.ref is ref):
            return child
    raise ChildNotFound(f"there is no child {id!r} here")


def at_each_launch(child: Child, function: Callable[[Incarnation], None] | None) -> None:
    """Call ``function`` with every further incarnation of ``child`` before it runs; None ends that.
    It must not raise. See :func:`locshare.actors.lowlevel.fail_init`.
    """
    child.on_launch = function


def set_budget(supervisor: BaseSupervisorRef, max_restarts: int, max_seconds: float) -> None:
    """Change the restart budget of this incarnation of ``supervisor``; restarts counted so far
    still count. Raises NoProc, BadSpec.
    """
    check_budget(max_restarts, max_seconds)
    window = supervisor._base_supervisor()._window
    window.max_restarts = max_restarts
    window.max_seconds = max_seconds


__all__ = ["Child", "ChildState", "at_each_launch", "child_of", "set_budget"]
