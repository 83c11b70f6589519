"""Trio as a guest of the loop that Flet runs on.

``locshare.client`` is written for Trio, and Flet for asyncio. In guest mode both share one thread:
Trio waits for its sockets in a second one and is otherwise a callback of asyncio's loop. So the two
worlds never run at the same time, and what they share needs no lock.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple, final

import outcome
import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@final
class TrioGuest:
    """One Trio run, for as long as the process lives. Use from the loop's thread only."""

    def __init__(self) -> None:
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._ready: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None

    @property
    def running(self) -> bool:
        """Whether tasks can be started."""
        return self._nursery is not None

    async def start(self) -> None:
        """Return when tasks can be started. Idempotent, also for two who call it at once."""
        if self._ready is not None:
            await asyncio.shield(self._ready)
            return
        loop = asyncio.get_running_loop()
        ready = self._ready = loop.create_future()
        ended = self._ended = loop.create_future()

        async def host() -> None:
            async with trio.open_nursery() as nursery:
                self._nursery, self._token = nursery, trio.lowlevel.current_trio_token()
                ready.set_result(None)
                await trio.sleep_forever()

        def done(result: outcome.Outcome[None]) -> None:
            self._nursery = None
            if isinstance(result, outcome.Error) and not ready.done():
                ready.set_exception(result.error)
            if not ended.done():
                ended.set_result(None)

        trio.lowlevel.start_guest_run(
            host,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done,
            # asyncio has it on the main thread, and on a phone this is not the main thread.
            host_uses_signal_set_wakeup_fd=sys.platform != "win32",
        )
        await asyncio.shield(ready)

    async def stop(self) -> None:
        """Cancel every task, and return when all have ended."""
        if self._ended is None:
            return
        nursery = self._nursery
        if nursery is not None:
            self.soon(nursery.cancel_scope.cancel)
        await self._ended
        self._ready = self._ended = None

    def soon(self, function: Callable[[*Ts], Any], *arguments: *Ts) -> None:
        """Call ``function`` inside Trio, where events may be set and scopes be cancelled."""
        if self._token is None:
            raise RuntimeError("the guest was not started")
        self._token.run_sync_soon(function, *arguments)

    async def run(self, function: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
        """The result of ``function`` as a Trio task. Cancelling this cancels the task, and waits
        for its end. A task that fails fails here and nowhere else.
        """
        if self._nursery is None:
            raise RuntimeError("the guest was not started")
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        scope = trio.CancelScope()

        async def task() -> None:
            try:
                with scope:
                    found = await function(*arguments)
                    if not result.done():
                        result.set_result(found)
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                if not result.done():
                    result.set_exception(error)
            finally:
                if not result.done():
                    result.cancel()

        self.soon(self._nursery.start_soon, task)
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            if not result.done():
                self.soon(scope.cancel)
                await asyncio.wait([result])
            raise
