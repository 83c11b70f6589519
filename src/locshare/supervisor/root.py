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

import trio

from locshare.actors import SHUTDOWN, Crash
from locshare.actors.host import run_shielded
from locshare.actors.incarnation import Incarnation
from locshare.actors.loop import ActorIncarnation
from locshare.supervisor.errors import RestartBudgetExceeded, RootFailed
from locshare.supervisor.spec import SupervisorSpec
from locshare.supervisor.supervisor import Supervisor, SupervisorRef


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
    KeyboardInterrupt or SystemExit was raised inside, RootFailed for any other end.
    """
    root = ActorIncarnation(Supervisor(spec), name=name, grace=inf)
    ref = root.ref
    if not isinstance(ref, SupervisorRef):
        raise TypeError("the root is a static supervisor")
    await run_shielded(
        root,
        stop=lambda: root.request_stop(SHUTDOWN, inf),
        started=lambda: task_status.started(ref),
    )
    raise_for_end(root)


def raise_for_end(root: Incarnation) -> None:
    """Raise what an ended root owes to the task that ran it, or return."""
    reason = root.reason
    if isinstance(reason, Crash):
        if reason.fatal or not root.started:
            raise reason.exception
        raise RootFailed("the root supervisor crashed") from reason.exception
    if root.gave_up:
        cause = root.last_crash.exception if root.last_crash is not None else None
        raise RestartBudgetExceeded(
            "the root supervisor gave up: a child ended more often than the restart budget allows"
        ) from cause
    if reason is not None and not reason.expected:
        raise RootFailed(f"the root supervisor ended: {reason}")


@asynccontextmanager
async def open_supervisor(
    spec: SupervisorSpec, *, name: str = "root"
) -> AsyncIterator[SupervisorRef]:
    """A tree for the time of a block. Leaving the block stops it in order; if it ends by itself
    the block is cancelled and the error of :func:`run_root` is raised.
    """
    failure: list[BaseException] = []
    root: list[SupervisorRef] = []
    body = trio.CancelScope()
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[SupervisorRef]) -> None:
            try:
                await run_root(spec, name=name, task_status=task_status)
            except trio.Cancelled:
                raise
            except BaseException as error:  # noqa: BLE001 - re-raised below, outside the nursery
                failure.append(error)
            finally:
                body.cancel()
                if not root:  # it never came up, so `start` must not wait for the handshake
                    task_status.started(None)  # type: ignore[arg-type]

        ref = await nursery.start(serve)
        if ref is not None:
            root.append(ref)
            try:
                with body:
                    yield ref
            except BaseException as error:  # noqa: BLE001 - re-raised below, outside the nursery
                failure.insert(0, error)
            finally:
                nursery.cancel_scope.cancel()
    if failure:
        raise failure[0]
