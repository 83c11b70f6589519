"""Run a supervision tree from ordinary Trio code: the root, and what leaves it.

The tree is shielded. Cancelling the task that runs it becomes one ordered stop with the children's
own deadlines, after which ``Cancelled`` goes on (statements 71, 72). KeyboardInterrupt and
SystemExit, raised anywhere in the tree, stop it in order and then leave it bare (75). If the
root's own budget trips, one typed error with the last crash as its cause is raised, never a group
(31, 74). So ``trio.run(run_root, spec)`` ends with a non-zero status exactly if it should.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import final

import trio

from locshare.actors import SHUTDOWN, Crash
from locshare.actors.lowlevel import (
    ActorIncarnation,
    Incarnation,
    bad_type,
    raise_after_checkpoint,
    raise_most_severe,
    run_in_shield,
)
from locshare.supervisor.errors import RestartBudgetExceeded, RootFailed
from locshare.supervisor.supervisor import Supervisor, SupervisorRef, SupervisorSpec


async def run_root(
    spec: SupervisorSpec,
    *,
    name: str = "root",
    task_status: trio.TaskStatus[SupervisorRef] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run ``spec`` as the root of a tree, until it is stopped.

    ``task_status`` hands out the root's ref after all children are up. Returns after an ordinary
    stop (``await ref.stop()``, or a cancellation, which then goes on). Raises StartError if a
    child does not come up, RestartBudgetExceeded when the root gives up, whatever
    KeyboardInterrupt or SystemExit was raised inside, RootFailed for any other end, TypeError for
    what is no SupervisorSpec.
    """
    problem = _bad_spec(spec) or bad_type("name", name, str)
    if problem is not None:
        await raise_after_checkpoint(problem)
    root = ActorIncarnation(Supervisor(spec), name=name, grace=inf)
    ref = root.ref
    if not isinstance(ref, SupervisorRef):  # pragma: no cover - for the type checker
        raise TypeError("the root is a static supervisor")
    cancelled: trio.Cancelled | None = None
    try:
        await run_in_shield(
            root,
            stop=lambda: root.request_stop(SHUTDOWN, inf),
            started=lambda: task_status.started(ref),
        )
    except trio.Cancelled as error:
        cancelled = error
    raise_for_end(root)  # first: an error must not be lost in a cancellation
    if cancelled is not None:
        raise cancelled


def _bad_spec(spec: object) -> Exception | None:
    return bad_type("spec", spec, SupervisorSpec, hint="; the root is a static supervisor")


def raise_for_end(root: Incarnation) -> None:
    """Raise the error with which the root ended, if any."""
    reason = root.reason
    if root.fatal is not None:
        raise root.fatal.exception
    if isinstance(reason, Crash) and not root.started:
        raise reason.exception
    if root.gave_up:
        cause = root.last_crash.exception if root.last_crash is not None else None
        raise RestartBudgetExceeded(
            "the root supervisor gave up: a child ended more often than the restart budget allows"
        ) from cause
    if isinstance(reason, Crash):
        raise RootFailed("the root supervisor crashed") from reason.exception
    if reason is not None and not reason.expected:
        raise RootFailed(f"the root supervisor ended: {reason}")


@final
class _Handshake(trio.TaskStatus[SupervisorRef]):
    """As that of ``nursery.start``; settled by the end of the root too."""

    def __init__(self) -> None:
        self.settled = trio.Event()
        self.ref: SupervisorRef | None = None

    def started(self, value: SupervisorRef | None = None) -> None:
        self.ref = value
        self.settled.set()


@asynccontextmanager
async def open_supervisor(
    spec: SupervisorSpec, *, name: str = "root"
) -> AsyncIterator[SupervisorRef]:
    """Run a tree for the time of a block. Leaving the block, or being cancelled in it, stops the
    tree in order. If the tree ends first, the block is cancelled and the error of :func:`run_root`
    is raised.

    The error of the tree goes before what the block raised, which is mostly its echo (the Exited
    of a call), and has that as its context; KeyboardInterrupt and SystemExit go before all.
    """
    problem = _bad_spec(spec) or bad_type("name", name, str)
    if problem is not None:
        await raise_after_checkpoint(problem)
    inner: BaseException | None = None
    outer: BaseException | None = None
    handshake = _Handshake()
    body = trio.CancelScope()
    tree = trio.CancelScope()

    async def serve() -> None:
        nonlocal inner
        try:
            with tree:
                await run_root(spec, name=name, task_status=handshake)
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the nursery
            inner = error
        finally:
            handshake.settled.set()
            body.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        try:
            await handshake.settled.wait()
            if handshake.ref is not None:
                with body:
                    yield handshake.ref
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the nursery
            outer = error
        finally:
            tree.cancel()
    # Here, and not in the nursery, which would wrap them in a group.
    raise_most_severe(inner, outer)
