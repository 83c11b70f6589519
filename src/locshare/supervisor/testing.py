"""A kit for testing trees, beside :mod:`locshare.actors.testing`: probes as children, their
reports, waiting for a restart, trees that are expected to give up.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from locshare.actors import ActorRef, Ref
from locshare.actors.testing import DEFAULT_TIMEOUT, Journal, Probe, Script, StillRunning
from locshare.supervisor.errors import RestartBudgetExceeded
from locshare.supervisor.events import Event, Restarted, Started
from locshare.supervisor.report import Report
from locshare.supervisor.root import open_supervisor
from locshare.supervisor.spec import ChildSpec
from locshare.supervisor.supervisor import SupervisorRef, SupervisorSpec


class TreeJournal(Journal):
    """A journal for probes and, as ``report=journal.reports.append``, for crash reports."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Report] = []

    def kinds(self) -> list[str]:
        """The kinds of the reports so far."""
        return [report.kind for report in self.reports]


def probe(
    name: str, journal: Journal | None = None, script: Script | None = None, **options: Any
) -> ChildSpec:
    """The spec of a :class:`Probe`; ``options`` as for a ChildSpec."""
    return ChildSpec(name, Probe, (name, journal, script), **options)


def running(supervisor: SupervisorRef, id: str) -> ActorRef:  # noqa: A002 - OTP's word
    """The actor that runs under this id now. Raises AssertionError if there is none."""
    ref = supervisor.child(id)
    if not isinstance(ref, ActorRef):
        raise AssertionError(f"no actor runs as {id!r} in {supervisor!r}")  # noqa: TRY004
    return ref


async def wait_restarted(
    supervisor: SupervisorRef, before: Ref, timeout: float = DEFAULT_TIMEOUT
) -> Ref:
    """Wait until the child whose incarnation was ``before`` runs again; return its new ref. Raises
    StillRunning after ``timeout`` seconds. Cancelling the wait changes nothing for the tree.
    """
    up = trio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Started | Restarted) and event.child_id == before.name:
            up.set()

    subscription = supervisor.subscribe(listen)
    try:
        with trio.move_on_after(timeout):
            await trio.lowlevel.checkpoint()
            while True:
                now = supervisor.child(before.name)
                if now is not None and now is not before:
                    return now
                await up.wait()
                up = trio.Event()
    finally:
        subscription.cancel()
    raise StillRunning(f"{before!r} was not replaced within {timeout:g} s")


@asynccontextmanager
async def gives_up(spec: SupervisorSpec) -> AsyncIterator[SupervisorRef]:
    """A tree that gives up in, or after, the block; anything else raises AssertionError."""
    try:
        async with open_supervisor(spec) as root:
            yield root
            await trio.sleep_forever()
    except RestartBudgetExceeded:
        return
    raise AssertionError("the root did not give up")


__all__ = ["TreeJournal", "gives_up", "probe", "running", "wait_restarted"]
