"""Starts sessions, ends them, and puts them to sleep. A session's table outlives its actors.

A session is in memory from the first join or connection until its end, or until it has been without
a connection for a minute: then it sleeps in the store, and the next caller wakes it.

Supervision. Each session is a small supervisor (a temporary child of the dynamic supervisor that is
registered under ``SESSIONS``) with the session actor as its only child. So a session that keeps
crashing spends its own restart budget; when that is spent the session ends with ``internal_error``,
and no other session notices. When the dynamic supervisor itself is restarted, its sessions are
started again: at once by a caller that needs one, the others by the reaper.

Invariants between any two checkpoints: the table of a live session that is not in the directory is
held only by its start, or its falling asleep, while that is under way; a table that a caller holds
over a checkpoint is counted in its ``use_count``: it is not put to sleep.
"""

import heapq
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias, final
from uuid import UUID

import structlog
import trio

from locshare.actors import ActorDown, ActorRef, Crash, Down, Ref, StartError
from locshare.session.actor import SessionActor
from locshare.session.commands import SessionCast
from locshare.session.context import SessionContext
from locshare.session.counters import SessionCounters
from locshare.session.delivery import deliver_end, drop
from locshare.session.directory.directory import SESSIONS, SessionDirectory, short_id
from locshare.session.errors import (
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.kept_parts import KeptParts
from locshare.session.limits import SessionLimits
from locshare.session.loader import SessionLoader
from locshare.session.rules import SessionRules
from locshare.session.single_flight import SingleFlight
from locshare.session.table import SessionTable
from locshare.store.port import Store, StoreUnavailable
from locshare.supervisor import (
    ChildNotFound,
    ChildSpec,
    DynamicSupervisorRef,
    MaxChildren,
    Report,
    Reporter,
    SupervisorSpec,
)

log = structlog.get_logger()

SLEEP_BATCH: Final = 16
"""Sessions that are put to sleep at once when there is no room for another."""
WakeCheck: TypeAlias = Callable[[SessionTable], None]
LOOK_FOR_ROOM_EVERY_S: Final = 1.0
"""When all sessions are in use. Looking takes a step for each of them."""


@final
class Chores:
    """What the reaper has to do. Filled from exit paths and handlers: nothing here blocks."""

    def __init__(self) -> None:
        self.ended: deque[SessionTable] = deque()
        """Sessions that have ended, until their end is written and their actor stopped."""
        self.idle: deque[SessionTable] = deque()
        """Sessions without a connection. Lost by a crash of the reaper, and queued again."""
        self.orphans = False
        """Whether a session lost its actor together with the dynamic supervisor."""
        self.called = trio.Event()

    def add_ended(self, table: SessionTable) -> None:
        """``table`` has ended."""
        self.ended.append(table)
        self.called.set()

    def add_idle(self, table: SessionTable) -> None:
        """Nobody has been connected to ``table`` for a while."""
        self.idle.append(table)
        self.called.set()

    def add_orphans(self) -> None:
        """A session has lost its actor through no fault of the session."""
        self.orphans = True
        self.called.set()


@final
class SessionLifecycle:
    """``window`` is the flush window of a session (``SessionContext.window``); ``kept`` has what
    features keep of sleeping sessions; ``report`` gets the crash reports of the sessions.
    """

    def __init__(
        self,
        directory: SessionDirectory,
        loader: SessionLoader,
        store: Store,
        limits: SessionLimits,
        counters: SessionCounters,
        *,
        window: Callable[[float, float], float],
        now: Callable[[], datetime],
        kept: KeptParts,
        features: FeatureSet,
        report: Reporter,
    ) -> None:
        self._directory = directory
        self._loader = loader
        self._store = store
        self._limits = limits
        self._counters = counters
        self._kept = kept
        self._features = features
        self._report = report
        self.chores: Final = Chores()
        self._context = SessionContext(
            limits=limits,
            counters=counters,
            window=window,
            now=now,
            touch=store.touch,
            on_ended=self._ended,
            on_lapsed=store.note_leaves,
            on_idle=self.chores.add_idle,
            features=features,
        )
        self._transitions: SingleFlight[None] = SingleFlight(
            SessionNotFound, SessionOver, SessionUnavailable, StoreUnavailable
        )
        """Sessions that are being started, or put to sleep."""
        self._full_until = -math.inf

    # --- find or start ----------------------------------------------------------------------------

    @asynccontextmanager
    async def using(
        self, session_id: UUID, check: WakeCheck | None = None
    ) -> AsyncIterator[SessionTable]:
        """The table of a live session, which stays in memory for the time of the block. Raises as
        :meth:`find`.
        """
        table = await self.find(session_id, check)
        with table.local.in_use():
            yield table

    async def find(self, session_id: UUID, check: WakeCheck | None = None) -> SessionTable:
        """The table of a live session, which is started if it is not in memory.

        ``check`` is called before a start, with the table that would be started; what it raises
        starts nothing, and is raised: the token of one who left wakes no session, nor does a link
        that was replaced. Concurrent callers share one start, and its failure; when the caller
        that starts is cancelled or its check fails, another one does it.

        Raises SessionNotFound, SessionOver, SessionUnavailable, StoreUnavailable.
        """
        while (table := self._directory.find(session_id)) is None:
            await self._transitions.run(session_id, partial(self._wake, session_id, check))
        check_not_over(table)
        return table

    async def _wake(self, session_id: UUID, check: WakeCheck | None) -> None:
        if self._directory.find(session_id) is not None:
            return  # woken by another caller between a failed run and this one
        stored = await self._loader.load(session_id)
        self._loader.check_live(stored.session)
        table = SessionTable(stored, trio.current_time())
        table.parts = self._features.begin(stored.session, self._kept.get(session_id))
        if check is not None:
            check(table)
        await self._start(table)
        check_not_over(table)  # and reaped, perhaps: it must not come back
        self._directory.add(table)
        self._kept.forget(session_id)
        self._counters.loaded += 1

    async def running_actor(self, table: SessionTable) -> ActorRef[SessionCast]:
        """The living actor of a session: found, waited for, or started again.

        Raises SessionOver, SessionUnavailable.
        """
        session_id = table.session.id
        actor = self._directory.actor(session_id)
        if actor is not None and table.ended is None:
            return actor  # nearly always: without a deadline, for there is nothing to wait for
        with trio.move_on_after(self._limits.call_timeout):
            while table.ended is None:
                actor = self._directory.actor(session_id)
                if actor is not None:
                    return actor
                if table.local.starting or table.local.supervised:
                    await table.local.waiters.park()
                else:
                    await self._start(table)
        check_not_over(table)
        raise SessionUnavailable

    async def _start(self, table: SessionTable) -> None:
        """Start the supervisor of ``table``, and with it the actor. Raises SessionUnavailable.

        No checkpoint after the start: a caller that is cancelled cannot lose the supervisor.
        """
        self._directory.check_owned(table.session.id)
        table.local.starting = True
        try:
            try:
                ref = await self._start_supervised(self._spec_of(table))
            except MaxChildren:
                await self._make_room()
                ref = await self._start_supervised(self._spec_of(table))
        except MaxChildren:
            raise SessionUnavailable("the server is full: no room for another session") from None
        except StartError as error:
            self._report_failed_start(table, error)
            raise SessionUnavailable from None
        finally:
            table.local.starting = False
            table.local.waiters.unpark_all()
        table.local.supervisor = ref
        ref.monitor(partial(self._supervisor_ended, table))
        if table.ended is not None:
            # It ended at once, and may have been reaped before its supervisor was known.
            self.chores.add_ended(table)

    def _report_failed_start(self, table: SessionTable, error: StartError) -> None:
        """A first start that fails is the starter's to report: no supervisor does (statement 3)."""
        cause: BaseException | None = error
        while isinstance(cause, StartError):
            cause = cause.__cause__
        if cause is not None:  # else it was stopped with the server
            name = short_id(table.session.id)
            self._report(Report("start_failed", name, "session", 0, Crash(cause)))

    def _spec_of(self, table: SessionTable) -> ChildSpec:
        """A supervisor of one session actor. Each incarnation of the actor adopts ``table``."""
        session = ChildSpec(
            "session",
            SessionActor,
            (table, self._context),
            restart="transient",
            shutdown=self._limits.shutdown,
            register=self._directory.names.name(table.session.id),
            heir=table.local.heir,
        )
        return SupervisorSpec(
            [session],
            max_restarts=self._limits.max_restarts,
            max_seconds=self._limits.restart_window,
            report=partial(self._take_report, table),
        ).child(short_id(table.session.id), restart="temporary")

    async def _start_supervised(self, spec: ChildSpec) -> Ref:
        """Start a child of the dynamic supervisor; wait for the supervisor while it restarts."""
        names = self._directory.names
        with trio.move_on_after(self._limits.call_timeout):
            while isinstance(sessions := await names.wait(SESSIONS), DynamicSupervisorRef):
                # One that dies before it answers takes the child with it: ask the next one.
                with suppress(ActorDown), trio.CancelScope(shield=True):
                    return await sessions.start_child(spec)
        raise SessionUnavailable("the sessions are being restarted")

    async def restart_orphans(self) -> None:
        """Start each session that lost its actor together with the dynamic supervisor. While no
        participant of a session moves, no other caller would start it.
        """
        for table in self._directory.tables():
            if self._is_orphan(table):
                with table.local.in_use(), suppress(SessionOver, SessionUnavailable):
                    await self.running_actor(table)

    def _is_orphan(self, table: SessionTable) -> bool:
        """Whether a session has lost its actor. One that fell asleep meanwhile has none to lose."""
        lost = table.local.supervisor is not None and not table.local.supervised
        return lost and self._directory.holds(table)

    # --- end --------------------------------------------------------------------------------------

    def _take_report(self, table: SessionTable, report: Report) -> None:
        if report.kind == "crash":
            self._counters.restarts += 1
        elif report.kind == "gave_up":
            table.local.gave_up = True
        self._report(report)

    def _supervisor_ended(self, table: SessionTable, _down: Down) -> None:
        """Runs in the exit path of a session's supervisor."""
        table.local.waiters.unpark_all()
        if table.local.gave_up:
            drop(table)
            SessionRules(table, self._limits, self._features).end("internal_error")
            deliver_end(table, self._counters)
            self._ended(table)
        elif table.ended is None and not table.local.asleep:
            self.chores.add_orphans()

    def _ended(self, table: SessionTable) -> None:
        reason = table.ended
        if reason is not None:
            self._counters.ended[reason] += 1
            self._kept.forget(table.session.id)
            log.info("session_ended", session=short_id(table.session.id), reason=reason)
        self.chores.add_ended(table)

    async def stop(self, table: SessionTable) -> None:
        """Stop the session's supervisor, and with it the actor. Idempotent."""
        sessions = self._directory.supervisor()
        if sessions is not None and table.local.supervisor is not None:
            with suppress(ChildNotFound, ActorDown):
                await sessions.terminate_child(table.local.supervisor)
        table.local.heir.clear()

    async def reap(self, table: SessionTable) -> None:
        """Release what an ended session holds. Its end is written. Idempotent."""
        await self.stop(table)
        self._directory.remove(table)

    # --- sleep ------------------------------------------------------------------------------------

    async def put_to_sleep(self, table: SessionTable) -> None:
        """Keep a session in the store only, unless it is in use. Callers wait meanwhile.

        Cancelled: the session is awake, perhaps without its actor.
        """
        if self._may_sleep(table):
            await self._transitions.run(table.session.id, partial(self._put_to_sleep, table))
            self._counters.slept += 1

    def _may_sleep(self, table: SessionTable) -> bool:
        """Whether no participant is online or joining, and no caller holds the table."""
        return (
            table.ended is None
            and not (table.online or table.reservations or table.departed)
            and not (table.local.use_count or table.local.starting)
            and self._directory.holds(table)
        )

    async def _put_to_sleep(self, table: SessionTable) -> None:
        table.local.asleep = True
        self._directory.remove(table)
        try:
            # The actor notes this too, but may be between two incarnations.
            rules = SessionRules(table, self._limits, self._features)
            if rules.has_unsaved_activity:
                activity = rules.take_activity(self._context.moment())
                self._store.touch(table.session.id, *activity)
            with trio.CancelScope(shield=True):  # the actor must not outlive the session
                await self.stop(table)
            self._kept.put(table.session.id, self._features.keep(table))
        except BaseException:
            table.local.asleep = False  # the actor may still run: the session stays awake
            self._directory.add(table)
            raise

    async def _make_room(self) -> None:
        """Put the sessions to sleep that have been without a connection for longest: a batch, so
        that a burst of new sessions does not look for room one by one.
        """
        now = trio.current_time()
        if now < self._full_until:
            return
        empty = [table for table in self._directory.tables() if self._may_sleep(table)]
        for table in heapq.nsmallest(SLEEP_BATCH, empty, key=lambda table: table.active_at):
            await self.put_to_sleep(table)
        if not empty:
            self._full_until = now + LOOK_FOR_ROOM_EVERY_S


def check_not_over(table: SessionTable) -> None:
    """Raise SessionOver if the session has ended."""
    if table.ended is not None:
        raise SessionOver(table.ended)
