"""What has to be done about sessions while nobody asks: a task of the tree, beside the sessions.

Five chores: give back what an ended session held; put to sleep what nobody uses; start again what
lost its actor; end in the database what ended while nobody had it in memory; delete what ended long
ago. A crash or a
database that is away costs a delay: the queue of ended sessions outlives the task, and the rest is
found again by the next sweep.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import final
from uuid import UUID

import structlog
import trio

from locshare.session.counters import SessionCounters
from locshare.session.limits import SessionLimits
from locshare.session.table import SessionTable
from locshare.store.port import Store, StoreUnavailable

log = structlog.get_logger()

_LAST_CHANCE_S = 1.0


@final
class Reaper:
    """``reap`` gives back what a session held, after its end is written; ``put_to_sleep`` does so
    while it goes on; ``restart_orphans`` starts each session that lost its actor with the sessions'
    supervisor.
    """

    def __init__(
        self,
        store: Store,
        limits: SessionLimits,
        *,
        now: Callable[[], datetime],
        live: Callable[[], Collection[UUID]],
        counters: SessionCounters,
        reap: Callable[[SessionTable], Awaitable[None]],
        put_to_sleep: Callable[[SessionTable], Awaitable[None]],
        restart_orphans: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._limits = limits
        self._now = now
        self._live = live
        self._counters = counters
        self._reap = reap
        self._put_to_sleep = put_to_sleep
        self._restart_orphans = restart_orphans
        self._ended: deque[SessionTable] = deque()
        self._idle: deque[SessionTable] = deque()
        self._orphans = False
        self._called = trio.Event()
        self._up_since = now()

    def queue_ended(self, table: SessionTable) -> None:
        """``table`` has ended. Never blocks."""
        self._ended.append(table)
        self._called.set()

    def queue_idle(self, table: SessionTable) -> None:
        """Nobody is connected to ``table``. Never blocks; lost by a crash, and offered again."""
        self._idle.append(table)
        self._called.set()

    def restart_orphans_soon(self) -> None:
        """A session has lost its actor, and it was not its own fault. Never blocks."""
        self._orphans = True
        self._called.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled; what has ended by then is still written, for a second at most."""
        task_status.started()
        next_sweep = trio.current_time()
        try:
            while True:
                await self._reap_all()
                while self._idle:
                    await self._put_to_sleep(self._idle.popleft())
                due = trio.current_time() >= next_sweep
                if due or self._orphans:
                    self._orphans = False
                    await self._restart_orphans()
                if due:
                    await self._sweep()
                    next_sweep = trio.current_time() + self._limits.sweep_interval
                with trio.move_on_at(next_sweep):
                    await self._called.wait()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(_LAST_CHANCE_S):
                await self._reap_all()

    async def _reap_all(self) -> None:
        self._called = trio.Event()
        while self._ended:
            table = self._ended[0]
            await self._store.end_session(table.session.id)
            await self._reap(table)
            # Taken off last: if this task is cancelled or crashes before, it is done again.
            self._ended.remove(table)

    async def _sweep(self) -> None:
        now = self._now()
        # A session is not inactive because the server was off: nobody could connect.
        earliest = now - timedelta(seconds=self._limits.inactive_after)
        if earliest < self._up_since:
            earliest = datetime.min.replace(tzinfo=now.tzinfo)
        try:
            ended = await self._store.sweep(now, earliest, self._live())
            self._counters.ended.update(ended.values())
            purged = await self._store.purge(now - timedelta(seconds=self._limits.keep_ended))
        except StoreUnavailable:
            log.debug("sweep_put_off")
            return
        if ended or purged:
            log.info("swept", ended=len(ended), purged=purged)
