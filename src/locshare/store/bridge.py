"""The asyncio loop that asyncpg needs, beside Trio: :meth:`Bridge.call` is the one way across.

The loop runs inside Trio (trio-asyncio), in a task that is shielded from the cancellation of the
block around which it was opened, so that the block's own ``finally`` can still talk to the
database. ``python -m bench.solo.bridge`` measures it against a loop in a thread of its own.

Cancellation: a cancelled Trio caller cancels the asyncio task, waits for its end, and only then
raises Cancelled; if the task finished first, its result is returned. Exceptions cross as they are.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import trio
import trio_asyncio

T = TypeVar("T")


class Bridge:
    """Made by :func:`open_bridge`; used from any Trio task of the same run, while it is open."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run an asyncio coroutine and return its result.

        Raises what it raises; ConnectionAbortedError when it was cancelled, but not by us.
        """
        try:
            return cast("T", await self._loop.run_aio_coroutine(coroutine))
        except asyncio.CancelledError as error:
            raise ConnectionAbortedError("cancelled by the event loop") from error


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """A bridge around a block. Leaving it cancels what still runs in the asyncio loop."""
    closing = trio.Event()

    async def hold(*, task_status: trio.TaskStatus[Bridge]) -> None:
        # The shield begins with the handshake: before it, a cancelled start would never return.
        with trio.CancelScope() as scope:
            async with trio_asyncio.open_loop() as loop:
                await trio.lowlevel.checkpoint_if_cancelled()
                task_status.started(Bridge(loop))
                scope.shield = True
                await closing.wait()

    async with trio.open_nursery() as nursery:
        bridge = await nursery.start(hold)
        try:
            yield bridge
        finally:
            closing.set()
