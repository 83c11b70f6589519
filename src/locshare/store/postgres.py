"""The store on PostgreSQL: :class:`PostgresStore` implements :class:`locshare.store.port.Store`.

::

    store = PostgresStore("postgresql://…")                           # a server of yours
    store = PostgresStore(partial(embedded_postgres, data_dir))       # the embedded one
    TaskSpec("store", store.run)                                      # a supervised child

``PostgresStore(database, limits=StoreLimits())``: ``database`` is a URL, or a function that returns
an async context manager, which yields a URL and keeps the server running while it is open.

What it promises beyond the port:

- ``run`` owns everything that can fail: the embedded server, asyncio's thread, the pool, the tasks
  that write. It raises whatever prevents the first start. From then on it waits out any outage, and
  never spends a restart. It may crash and be run again; pending writes stay in the object.
- No call waits longer than ``StoreLimits.wait_s``. While ``run`` is not running, or the database is
  away, calls raise StoreUnavailable soon; the first call after the database is back succeeds.
- An outage is one log line at ERROR that says what to do. It ends with the next successful write.
- Joins and new sessions use group commit: each statement takes all records that wait.
- The write-behind writes one transaction per batch, oldest first, and retries for ever. Until then
  ``load_session`` and ``sweep`` see its changes as if they were written.
- Not promised: that the write-behind survives the end of the process while the database is away.

Invariant between two checkpoints: a change is in :class:`WriteBehind` until the database has it.
"""

import random
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple, get_args
from uuid import UUID

import structlog
import trio
from asyncpg import exceptions as pg
from msgspec import Struct, structs

from locshare.model.errors import LocshareError
from locshare.model.participant import Role
from locshare.model.reasons import EndReason
from locshare.store import causes
from locshare.store.bridge import open_bridge
from locshare.store.database import (
    DATABASE_ERRORS,
    Connection,
    Database,
    DatabaseRefused,
    open_database,
)
from locshare.store.group_commit import GroupCommit, Outcomes
from locshare.store.limits import DEFAULT_LIMITS, StoreLimits
from locshare.store.migrate import migrate
from locshare.store.outage import Outage
from locshare.store.port import (
    Deletion,
    FoundParticipant,
    ParticipantRecord,
    SessionRecord,
    StoredSession,
    StoreUnavailable,
)
from locshare.store.statements import Statements
from locshare.store.statistics import Outcome, StoreStatistics
from locshare.store.write_behind import ParticipantKey, WriteBehind
from locshare.telemetry.histogram import Histogram

log = structlog.get_logger()

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
R = TypeVar("R", SessionRecord, ParticipantRecord)

_REFUSED_DATA: Final[tuple[type[Exception], ...]] = (*causes.DATA, ValueError, TypeError)
_REFUSED_BY_SCHEMA: Final = (pg.SyntaxOrAccessError, pg.InvalidSchemaNameError)
"""The database may have been replaced by an empty one: migrate again."""
_TRANSIENT: Final[tuple[type[Exception], ...]] = (LocshareError, *DATABASE_ERRORS)
"""``run`` retries after these. Everything else is a fault of the program, and crashes it."""
_STEADY_S: Final = 60.0


class PostgresStore:
    """See the module. Call its methods from any Trio task of the run that ``run`` is in."""

    def __init__(
        self,
        database: str | Callable[[], AbstractAsyncContextManager[str]],
        limits: StoreLimits = DEFAULT_LIMITS,
        schema: str | None = None,
    ) -> None:
        self._source = (
            partial(_external_server, database) if isinstance(database, str) else database
        )
        self._limits = limits
        self._schema = schema
        self._sql = Statements(schema)
        self._database: Database | None = None
        self._was_open = False
        commit_options: Any = {
            "wait_s": limits.wait_s,
            "batch": limits.commit_batch,
            "limit": limits.max_pending_commits,
            "gather_s": limits.gather_s,
        }
        self._sessions = GroupCommit[SessionRecord](
            self._insert_sessions, self._erase_sessions, **commit_options
        )
        self._joins = GroupCommit[ParticipantRecord](
            self._insert_participants, self._erase_participants, **commit_options
        )
        self._write_behind = WriteBehind(
            max_removals=limits.max_pending_removals, max_touches=limits.max_pending_touches
        )
        self._removal_noted = trio.Event()
        self._flush_attempted = trio.Event()
        self._outage = Outage(trio.current_time)
        self._last_cause: BaseException | None = None
        self._checking = trio.Lock()
        self._checked_at = float("-inf")
        self._failures = 0
        self._running = 0
        self._statements: Counter[Outcome] = Counter()
        self._seconds = Histogram()
        # One bulk statement at a time, so that no two lock the same rows in different orders.
        self._bulk = trio.Lock()

    # --- group commit ---------------------------------------------------------------------------

    async def create_session(self, session: SessionRecord) -> None:
        """Durable on return. Raises StoreUnavailable (nothing is kept); ValueError when no such
        row can be.
        """
        _check_text(session.name)
        await self._commit(self._sessions, session)

    async def add_participant(self, participant: ParticipantRecord) -> None:
        """Durable on return. Raises StoreUnavailable (nothing is kept), KeyError when the session
        is unknown, ValueError when no such row can be.
        """
        _check_text(participant.user_id, participant.display_name, participant.avatar_color)
        await self._commit(self._joins, participant)

    async def _commit(self, commits: GroupCommit[Any], record: Struct) -> None:
        if self._database is None:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable(retry_after=1)
        await commits.add(record)

    async def _insert_sessions(self, sessions: Sequence[SessionRecord]) -> Outcomes:
        async def insert(records: Sequence[SessionRecord]) -> Outcomes:
            await self._ask(self._sql.insert_sessions, records)
            return [None] * len(records)

        return await _one_by_one_if_refused(insert, sessions)

    async def _insert_participants(self, participants: Sequence[ParticipantRecord]) -> Outcomes:
        async def insert(records: Sequence[ParticipantRecord]) -> Outcomes:
            known = await self._ask(self._sql.insert_participants, records)
            return [
                None if record.session_id in known else KeyError(record.session_id)
                for record in records
            ]

        return await _one_by_one_if_refused(insert, participants)

    async def _erase_sessions(self, ids: Sequence[UUID]) -> None:
        await self._ask(self._sql.erase_sessions, ids)

    async def _erase_participants(self, ids: Sequence[UUID]) -> None:
        await self._ask(self._sql.erase_participants, ids)

    # --- write-behind ---------------------------------------------------------------------------

    async def deactivate_participant(self, session_id: UUID, user_id: str) -> None:
        """Durable on return, or queued. Cancelled, it is still queued."""
        self._write_behind.leave(session_id, user_id)
        await self._await_flush((session_id, user_id))

    def note_leaves(self, session_id: UUID, user_ids: Collection[str]) -> None:
        """Queue the leaves; they are written at once if the database is there."""
        for user_id in user_ids:
            self._write_behind.leave(session_id, user_id)
        self._removal_noted.set()

    async def set_locked(self, session_id: UUID, locked: bool) -> None:
        """Durable on return. Raises StoreUnavailable."""
        await self._ask(self._sql.set_locked, session_id, locked)

    async def set_link_key(self, session_id: UUID, link_key: str) -> None:
        """Durable on return. Raises StoreUnavailable."""
        await self._ask(self._sql.set_link_key, session_id, link_key)

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        """Durable on return. Raises StoreUnavailable."""
        await self._ask(self._sql.set_role, session_id, user_id, role)

    async def end_session(self, session_id: UUID) -> None:
        """Durable on return, or queued. Cancelled, it is still queued."""
        self._write_behind.end(session_id)
        await self._await_flush(session_id)

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        """Queue the notes; they are written within ``touch_every_s`` if the database is there."""
        self._write_behind.touch(session_id, last_activity, last_seen)

    async def _await_flush(self, removal: UUID | ParticipantKey) -> None:
        """Wait until ``removal`` is written or the database is known to be away."""
        self._removal_noted.set()
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(self._limits.wait_s):
            while self._write_behind.waits(removal) and not self._outage.active and self._database:
                await self._flush_attempted.wait()

    async def _run_write_behind(self) -> None:
        pause = self._limits.retry_min_s
        due = trio.current_time() + self._limits.touch_every_s
        while True:
            with trio.move_on_at(due):
                await self._removal_noted.wait()
            self._removal_noted = trio.Event()
            touches = trio.current_time() >= due
            try:
                if self._outage.active:
                    await self._recover()
                await self._flush_write_behind(touches=touches)
            except StoreUnavailable:
                self._failures += 1
                self._notify_waiters()
                await trio.sleep(_jittered(pause))
                pause = min(2 * pause, self._limits.retry_max_s)
                self._removal_noted.set()
                continue
            self._outage.end()
            pause = self._limits.retry_min_s
            if touches:
                due = trio.current_time() + self._limits.touch_every_s
            self._sessions.tidy()
            self._joins.tidy()

    async def _recover(self) -> None:
        """Return when every statement of this program works again."""
        if self._database is not None and isinstance(self._last_cause, _REFUSED_BY_SCHEMA):
            with suppress(LocshareError):
                await self._open(self._database)
        await self._probe()

    async def _flush_write_behind(self, *, touches: bool) -> None:
        """Write all that waits. Raises StoreUnavailable; unwritten changes are queued again."""
        count = self._limits.batch
        async with self._bulk:
            while batch := self._write_behind.take(count, touches=touches):
                try:
                    await self._ask(self._sql.write_batch, batch)
                except _REFUSED_DATA as error:
                    if count > 1:
                        self._write_behind.requeue()
                        count = 1  # one by one, until the refused one is found
                    else:
                        self._write_behind.discard()
                        count = self._limits.batch
                        # Without the library's text, which quotes the row.
                        log.error("late_write_refused", error=type(error).__name__)  # noqa: TRY400
                    continue
                except BaseException:
                    self._write_behind.requeue()
                    raise
                self._write_behind.done()
                self._notify_waiters()

    def _notify_waiters(self) -> None:
        self._flush_attempted.set()
        self._flush_attempted = trio.Event()

    # --- reads and upkeep -----------------------------------------------------------------------

    async def load_session(self, session_id: UUID) -> StoredSession | None:
        """The session, pending changes included. Raises StoreUnavailable."""
        with self._write_behind.reading() as written:
            stored = await self._ask(self._sql.load_session, session_id)
        if stored is None or self._sessions.is_uncertain(session_id):
            return None
        known = tuple(each for each in stored.participants if not self._joins.is_uncertain(each.id))
        return self._write_behind.overlay(structs.replace(stored, participants=known), written)

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        """As in the port. Raises StoreUnavailable."""
        return await self._ask(self._sql.find_participants, first, last)

    async def sweep(
        self, now: datetime, inactive_since: datetime, live: Collection[UUID]
    ) -> Mapping[UUID, EndReason]:
        """As in the port, one batch at a time. Pending activity and pending ends count."""
        ended: dict[UUID, EndReason] = {}
        while True:
            async with self._bulk:
                lively = self._write_behind.active_since(inactive_since).union(live)
                ending = self._write_behind.ending()
                count = self._limits.batch
                some = await self._ask(self._sql.sweep, now, inactive_since, lively, ending, count)
            ended.update(some)
            if len(some) < count:
                return ended

    async def purge(self, before: datetime) -> int:
        """As in the port, one batch at a time. Raises StoreUnavailable; rows deleted by then stay
        deleted.
        """
        total = 0
        limit = self._limits.batch
        while True:
            async with self._bulk:
                people = await self._ask(self._sql.purge_participants, before, limit)
            if people < limit:
                async with self._bulk:
                    count = await self._ask(self._sql.purge_sessions, before, limit)
                total += count
                if count < limit:
                    return total

    async def find_deletion(self, session_hash: str) -> Deletion | None:
        """As in the port. Raises StoreUnavailable."""
        return await self._ask(self._sql.find_deletion, session_hash)

    async def forget_deletions(self, before: datetime) -> int:
        """As in the port, one batch at a time. Raises StoreUnavailable."""
        total, limit = 0, self._limits.batch
        while True:
            async with self._bulk:
                count = await self._ask(self._sql.forget_deletions, before, limit)
            total += count
            if count < limit:
                return total

    async def check(self) -> None:
        """As in the port: runs every statement of this program on no rows, and a write that needs
        disk space. The result is reused for ``check_s``, a failure for a fifth of that.
        """
        async with self._checking:
            if self._database is None:
                raise StoreUnavailable
            well = not self._outage.active
            stands = self._limits.check_s if well else self._limits.check_s / 5
            if trio.current_time() < self._checked_at + stands:
                if not well:
                    raise StoreUnavailable
            else:
                await self._probe()
                self._removal_noted.set()  # after an outage: the write-behind ends it

    async def _probe(self, *, quietly: bool = False) -> None:
        try:
            if await self._ask(self._sql.probe, quietly=quietly):
                # Autovacuum is off. Without the privilege to truncate, some more pages are used.
                with suppress(StoreUnavailable):
                    await self._ask(self._sql.truncate_readiness, quietly=True)
        except StoreUnavailable:
            self._checked_at = trio.current_time()
            raise
        self._checked_at = trio.current_time()  # not when cancelled: nothing is known then

    def statistics(self) -> StoreStatistics:
        """For metrics."""
        return StoreStatistics(
            is_open=self._database is not None and not self._outage.active,
            pending_commits=len(self._sessions) + len(self._joins),
            pending_removals=self._write_behind.removals,
            pending_touches=self._write_behind.touches,
            dropped=self._write_behind.dropped,
            join_batches=self._joins.batches,
            failures=self._failures,
            outages=self._outage.count,
            running=self._running,
            statements={outcome: self._statements[outcome] for outcome in get_args(Outcome)},
            seconds=self._seconds.read(),
        )

    async def _ask(
        self,
        work: Callable[[Connection, *Ts], Awaitable[T]],
        *args: *Ts,
        quietly: bool = False,
    ) -> T:
        if self._database is None:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable("the database is not open", retry_after=1)
        outcome: Outcome = "cancelled"
        began = trio.current_time()
        self._running += 1
        try:
            result = await self._database.run(work, *args)
            outcome = "ok"
        except StoreUnavailable as error:
            outcome = "late" if isinstance(error.__cause__, TimeoutError) else "away"
            if not quietly:
                self._note_outage(error.__cause__ or error, self._database)
            raise
        except Exception:
            outcome = "refused"
            raise
        finally:
            self._running -= 1
            self._statements[outcome] += 1
            self._seconds.observe(trio.current_time() - began)
        return result

    def _note_outage(self, cause: BaseException, database: Database | None = None) -> None:
        self._last_cause = cause
        reason = str(cause)
        if database is not None and not isinstance(cause, LocshareError):
            reason = causes.sentence(cause, database.url)
        if self._outage.begin(reason):
            self._removal_noted.set()  # wakes the write-behind, which probes for the end
            self._notify_waiters()

    # --- life -----------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the database, bring it up to date, report started, write; until cancelled.

        The first run reports started once the database is open, and raises EmbeddedError,
        DatabaseRefused or MigrationError if it cannot be; it waits ``open_s`` for a server that is
        not there. After that first start it waits for the database without limit. A run after a
        crash reports started at once.

        Cancelled, it flushes pending writes, closes the pool and stops the embedded server, which
        takes at most ``flush_s`` + 0.9 s; 3 s if asyncio's thread has died.
        """
        if self._was_open:
            task_status.started()
        pause = self._limits.retry_min_s
        while True:
            began = trio.current_time()
            try:
                await self._serve(task_status)
            except _TRANSIENT as error:
                if not self._was_open:
                    raise
                self._note_outage(error)
            # After a minute of service the first retry is immediate.
            if trio.current_time() - began > _STEADY_S:
                pause = self._limits.retry_min_s
            await trio.sleep(_jittered(pause))
            pause = min(2 * pause, self._limits.reopen_max_s)

    async def _serve(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with (
                open_bridge() as bridge,
                self._source() as url,
                open_database(
                    bridge,
                    url,
                    connections=self._limits.connections,
                    timeout_s=self._limits.statement_s,
                ) as database,
            ):
                await self._bring_up_to_date(database)
                if not self._was_open:
                    self._was_open = True
                    task_status.started()
                await self._write()
        except BaseExceptionGroup as group:
            sole = _unwrapped(group)
            raise sole from sole.__cause__
        finally:
            self._database = None

    async def _bring_up_to_date(self, database: Database) -> None:
        """Migrate, then return when every statement works; calls are let through once the tables
        exist. Raises DatabaseRefused: before the first start only after ``open_s``, unless the
        cause is permanent.
        """
        pause = self._limits.retry_min_s
        give_up = trio.current_time() + self._limits.open_s
        while True:
            try:
                await self._open(database)
                self._database = database
                await self._probe(quietly=not self._was_open)
            except StoreUnavailable as error:
                refusal = DatabaseRefused(causes.sentence(error.__cause__ or error, database.url))
                permanent = isinstance(error.__cause__, causes.PERMANENT)
                late = trio.current_time() + pause > give_up
                if permanent or late or self._was_open:
                    raise refusal from error
                log.warning("database_not_open", reason=str(refusal))
                await trio.sleep(_jittered(pause))
                pause = min(2 * pause, self._limits.retry_max_s)
            else:
                return

    async def _open(self, database: Database) -> None:
        for migration in await database.open(partial(migrate, schema=self._schema)):
            log.info("migrated", version=migration.version, name=migration.name)

    async def _write(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sessions.run)
                nursery.start_soon(self._joins.run)
                nursery.start_soon(self._run_write_behind)
                self._removal_noted.set()  # an earlier run may have left something
        finally:
            with trio.move_on_after(self._limits.flush_s, shield=True):
                await self._sessions.flush()
                await self._joins.flush()
                with suppress(StoreUnavailable):
                    await self._flush_write_behind(touches=True)
            self._database = None
            for commits in (self._sessions, self._joins):
                commits.fail("the store was stopped")
            self._notify_waiters()
            if left := self._write_behind.removals + self._write_behind.touches:
                log.warning("writes_left", count=left)


def _jittered(pause: float) -> float:
    """``pause``, less up to half: many servers must not return to one database at once."""
    return pause * random.uniform(0.5, 1.0)  # noqa: S311


@asynccontextmanager
async def _external_server(url: str) -> AsyncIterator[str]:
    """The URL of a server that is not ours to start or stop."""
    yield url


async def _one_by_one_if_refused(
    insert: Callable[[Sequence[R]], Awaitable[Outcomes]], records: Sequence[R]
) -> Outcomes:
    """The outcome of each record; a record that the database refuses fails no other."""
    try:
        return await insert(records)
    except StoreUnavailable as error:
        return [type(error)() for _ in records]
    except _REFUSED_DATA as error:
        if len(records) == 1:
            # Without the library's text, which quotes the row.
            return [ValueError(f"the database refuses such a row ({type(error).__name__})")]
    return [(await _one_by_one_if_refused(insert, [record]))[0] for record in records]


def _check_text(*texts: str) -> None:
    """PostgreSQL has no NUL in a text, UTF-8 no half of a surrogate pair. Raises ValueError."""
    for text in texts:
        if "\0" in text:
            raise ValueError("a text with U+0000 cannot be stored")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("a text with lone surrogates cannot be stored") from None


def _unwrapped(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The only exception in nested groups. A cancellation wins over transient errors, which need
    no report when the store is being stopped.
    """
    cancelled, others = group.split(trio.Cancelled)
    if cancelled is not None and others is not None:
        _, faults = others.split(_TRANSIENT)
        if faults is None:
            return cancelled
    sole: BaseException = group
    while isinstance(sole, BaseExceptionGroup) and len(sole.exceptions) == 1:
        (sole,) = sole.exceptions
    return sole
