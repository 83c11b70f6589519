"""A nursery of connections that outlives its owner's cancellation until it has drained."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_draining_nursery(
    drain: Callable[[], Awaitable[None]],
) -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks are not cancelled with the block around it. At the end of the block,
    however it ends, ``drain`` runs, shielded; then the tasks that are left are cancelled.

    ``drain`` must bound its own time. The block itself is cancelled as ever. An error of the block
    leaves bare, not in an exception group.
    """
    error: Exception | None = None
    async with trio.open_nursery() as outer:
        nursery: trio.Nursery = await outer.start(_host)
        try:
            yield nursery
        except Exception as raised:  # noqa: BLE001 - raised again below, outside of the nursery
            error = raised
        finally:
            with trio.CancelScope(shield=True):
                await drain()
            nursery.cancel_scope.cancel()
    if error is not None:
        raise error


async def _host(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """The shield begins with the start. Before it, a cancelled start would never return: its child
    is not cancelled, and nobody has the nursery that would end it.
    """
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await trio.lowlevel.checkpoint_if_cancelled()
            task_status.started(nursery)
            scope.shield = True
            await trio.sleep_forever()
