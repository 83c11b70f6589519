"""The periodic and deferred work of all sessions: a task of the tree, beside the sessions.

Five chores: release what an ended session held; put idle sessions to sleep; start sessions without
an actor; end in the database what ended while no process had it in memory; delete what has been
over for long. A crash, or a database that is away, costs a delay: the queue of ended sessions
outlives the task, and the next sweep finds the rest.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, final
from uuid import UUID

import structlog
import trio

from locshare.session.counters import SessionCounters
from locshare.session.directory.directory import SessionDirectory
from locshare.session.errors import SessionElsewhere
from locshare.session.lifecycle import SessionLifecycle
from locshare.session.limits import SessionLimits
from locshare.session.loader import SessionLoader
from locshare.store.port import Store, StoreUnavailable

log = structlog.get_logger()

_LAST_CHANCE_S: Final = 1.0


@final
class Reaper:
    """Does the chores of ``lifecycle``; calls ``forget`` for each session that ended asleep."""

    def __init__(
        self,
        directory: SessionDirectory,
        lifecycle: SessionLifecycle,
        loader: SessionLoader,
        store: Store,
        limits: SessionLimits,
        counters: SessionCounters,
        *,
        now: Callable[[], datetime],
        forget: Callable[[UUID], None],
    ) -> None:
        self._directory = directory
        self._lifecycle = lifecycle
        self._loader = loader
        self._store = store
        self._limits = limits
        self._counters = counters
        self._now = now
        self._forget = forget

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled; what has ended by then is still written, for a second at most."""
        task_status.started()
        chores = self._lifecycle.chores
        next_sweep = trio.current_time()
        try:
            while True:
                await self._reap_all()
                while chores.idle:
                    await self._lifecycle.put_to_sleep(chores.idle.popleft())
                due = trio.current_time() >= next_sweep
                if due or chores.orphans:
                    chores.orphans = False
                    await self._lifecycle.restart_orphans()
                if due:
                    await self._sweep()
                    next_sweep = trio.current_time() + self._limits.sweep_interval
                with trio.move_on_at(next_sweep):
                    await chores.called.wait()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(_LAST_CHANCE_S):
                await self._reap_all()

    async def _reap_all(self) -> None:
        chores = self._lifecycle.chores
        chores.called = trio.Event()
        while chores.ended:
            table = chores.ended[0]
            with suppress(SessionElsewhere):  # its end is the new owner's to write
                await self._store.end_session(table.session.id)
            await self._lifecycle.reap(table)
            # Taken off last: if this task is cancelled or crashes before, it is done again.
            chores.ended.remove(table)

    async def _sweep(self) -> None:
        now = self._now()
        try:
            ended = await self._store.sweep(
                now, self._loader.inactive_before(), self._directory.ids()
            )
            self._counters.ended.update(ended.values())
            for session_id in ended:
                self._forget(session_id)
            purged = await self._store.purge(now - timedelta(seconds=self._limits.keep_ended))
            await self._store.forget_deletions(now - timedelta(seconds=self._limits.keep_deletions))
        except StoreUnavailable:
            log.debug("sweep_put_off")
            return
        if ended or purged:
            log.info("swept", ended=len(ended), purged=purged)
