"""The store on PostgreSQL: :class:`PostgresStore` implements :class:`locshare.store.port.Store`.

::

    store = PostgresStore("postgresql://…")                           # a server of yours
    store = PostgresStore(partial(embedded_postgres, data_dir))       # the embedded one
    TaskSpec("store", store.run)                                      # a supervised child

``PostgresStore(database, limits=StoreLimits())``: ``database`` is a URL, or makes an async context
manager that gives one and keeps the server running while it is open.

What it promises beyond the port:

- ``run`` owns everything that can break: the server when it is embedded, asyncio's thread, the
  pool, the tasks that write. What stands in the way of the first start is raised; from then on an
  outage of any kind is waited out here, and never spends a restart. It may crash and be run again
  all the same; what waits to be written stays in the object.
- No call waits longer than ``StoreLimits.wait_s``. While ``run`` is not running, or the database is
  away, calls raise StoreUnavailable soon; the first that finds the database back succeeds.
- An outage is one line at ERROR, with the way out. It is over when the database was written to.
- Joins and new sessions are group commits: each statement takes all that wait.
- What is late is written in one transaction per batch, in order of age, and retried for ever. Until
  then ``load_session`` and ``sweep`` see it as if it were written.
- Not promised: that a late write survives the end of the process while the database is away.

Between two checkpoints: a late write is in :class:`LateWrites` until the database has it.
"""

import random
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
from typing import Any, Final, TypeVar, TypeVarTuple
from uuid import UUID

import structlog
import trio
from asyncpg import exceptions as pg
from msgspec import Struct, structs

from locshare.model.errors import LocshareError
from locshare.store import causes
from locshare.store.bridge import open_bridge
from locshare.store.database import (
    DATABASE_ERRORS,
    Connection,
    Database,
    DatabaseRefused,
    open_database,
)
from locshare.store.migrate import migrate
from locshare.store.outage import Outage
from locshare.store.port import (
    ParticipantRecord,
    SessionRecord,
    StoredSession,
    StoreUnavailable,
)
from locshare.store.statements import Statements
from locshare.store.writer import LateWrites, Outcomes, Person, Promises
from locshare.wire.messages import EndReason

log = structlog.get_logger()

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
R = TypeVar("R", SessionRecord, ParticipantRecord)

_REFUSED_DATA: Final[tuple[type[Exception], ...]] = (*causes.DATA, ValueError, TypeError)
_REFUSED_BY_SCHEMA: Final = (pg.SyntaxOrAccessError, pg.InvalidSchemaNameError)
"""Perhaps the database was replaced by an empty one."""
_WEATHER: Final[tuple[type[Exception], ...]] = (LocshareError, *DATABASE_ERRORS)
"""What ``run`` waits out. Everything else is a fault of the program, and crashes it."""
_STEADY_S: Final = 60.0


class StoreLimits(Struct, frozen=True):
    """Counts and seconds."""

    connections: int = 8
    statement_s: float = 1.0
    """One use of a connection, with waiting for the connection."""
    wait_s: float = 2.0
    """The longest that a caller waits for a promised write."""
    open_s: float = 15.0
    """How long the first start waits for a database that is not there."""
    promises: int = 2000
    """Joins, and new sessions, that may wait at once; further ones are refused."""
    promise_batch: int = 64
    """Of them in one statement: all who are in it go on in the same turn of the loop."""
    gather_s: float = 0.01
    """From the beginning of one that several shared to that of the next, unless so many wait: a
    statement costs as much of the core as all else that a join needs."""
    orders: int = 50_000
    """Ends and leaves that may wait while the database is away."""
    touches: int = 200_000
    """Notes of last_seen, and of last_activity, that may wait."""
    batch: int = 500
    touch_every_s: float = 3.0
    retry_min_s: float = 0.1
    retry_max_s: float = 5.0
    reopen_max_s: float = 15.0
    """Between two attempts to open the database again, the embedded server with it."""
    check_s: float = 5.0
    """How long a successful check stands for those that follow, so that nobody who asks for
    readiness makes the database work; a failed one for a fifth of that."""
    flush_s: float = 0.6
    """For what waits when the store is stopped."""


DEFAULT_LIMITS: Final = StoreLimits()


class StoreStatistics(Struct, frozen=True):
    """Counts since the program started, but for what waits now."""

    is_open: bool
    waiting_promises: int
    waiting_orders: int
    waiting_touches: int
    dropped: int
    join_batches: int
    failures: int
    """Late batches that found the database away."""


class PostgresStore:
    """See the module. Methods are called from any Trio task of the run that ``run`` is in."""

    def __init__(
        self,
        database: str | Callable[[], AbstractAsyncContextManager[str]],
        limits: StoreLimits = DEFAULT_LIMITS,
        schema: str | None = None,
    ) -> None:
        self._source = partial(_as_it_is, database) if isinstance(database, str) else database
        self._limits = limits
        self._schema = schema
        self._sql = Statements(schema)
        self._database: Database | None = None
        self._was_open = False
        promises: Any = {
            "wait_s": limits.wait_s,
            "batch": limits.promise_batch,
            "limit": limits.promises,
            "gather_s": limits.gather_s,
        }
        self._sessions = Promises[SessionRecord](
            self._insert_sessions, self._erase_sessions, **promises
        )
        self._joins = Promises[ParticipantRecord](
            self._insert_participants, self._erase_participants, **promises
        )
        self._late = LateWrites(orders=limits.orders, touches=limits.touches)
        self._ordered = trio.Event()
        self._attempted = trio.Event()
        self._outage = Outage(trio.current_time)
        self._last_cause: BaseException | None = None
        self._checking = trio.Lock()
        self._checked_at = float("-inf")
        self._failures = 0
        # One bulk statement at a time, so that no two lock the same rows in different orders.
        self._bulk = trio.Lock()

    # --- promised writes ------------------------------------------------------------------------

    async def create_session(self, session: SessionRecord) -> None:
        """Durable on return. Raises StoreUnavailable (nothing is kept); ValueError when no such
        row can be.
        """
        _check_text(session.name)
        await self._promise(self._sessions, session)

    async def add_participant(self, participant: ParticipantRecord) -> None:
        """Durable on return. Raises StoreUnavailable (nothing is kept), KeyError when the session
        is unknown, ValueError when no such row can be.
        """
        _check_text(participant.user_id, participant.display_name, participant.avatar_color)
        await self._promise(self._joins, participant)

    async def _promise(self, promises: Promises[Any], record: Struct) -> None:
        if self._database is None:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable(retry_after=1)
        await promises.add(record)

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

    # --- late writes ----------------------------------------------------------------------------

    async def deactivate_participant(self, session_id: UUID, user_id: str) -> None:
        """Durable on return, or queued. Cancelled, it is queued at least."""
        self._late.leave(session_id, user_id)
        await self._attempt((session_id, user_id))

    def note_leaves(self, session_id: UUID, user_ids: Collection[str]) -> None:
        """Noted; written at once when the database is there."""
        for user_id in user_ids:
            self._late.leave(session_id, user_id)
        self._ordered.set()

    async def set_locked(self, session_id: UUID, locked: bool) -> None:
        """Durable on return. Raises StoreUnavailable."""
        await self._ask(self._sql.set_locked, session_id, locked)

    async def end_session(self, session_id: UUID) -> None:
        """Durable on return, or queued. Cancelled, it is queued at least."""
        self._late.end(session_id)
        await self._attempt(session_id)

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        """Noted; written within a few seconds when the database is there."""
        self._late.touch(session_id, last_activity, last_seen)

    async def _attempt(self, order: UUID | Person) -> None:
        """Wait until the order is written or the database is known to be away."""
        self._ordered.set()
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(self._limits.wait_s):
            while self._late.waits(order) and not self._outage.active and self._database:
                await self._attempted.wait()

    async def _write_late(self) -> None:
        pause = self._limits.retry_min_s
        due = trio.current_time() + self._limits.touch_every_s
        while True:
            with trio.move_on_at(due):
                await self._ordered.wait()
            self._ordered = trio.Event()
            touches = trio.current_time() >= due
            try:
                if self._outage.active:
                    await self._recover()
                await self._flush_late(touches=touches)
            except StoreUnavailable:
                self._failures += 1
                self._tell()
                await trio.sleep(_jittered(pause))
                pause = min(2 * pause, self._limits.retry_max_s)
                self._ordered.set()
                continue
            self._outage.end()
            pause = self._limits.retry_min_s
            if touches:
                due = trio.current_time() + self._limits.touch_every_s
            self._sessions.tidy()
            self._joins.tidy()

    async def _recover(self) -> None:
        """Return when all that this program does to the database works again."""
        if self._database is not None and isinstance(self._last_cause, _REFUSED_BY_SCHEMA):
            with suppress(LocshareError):
                await self._open(self._database)
        await self._rehearse()

    async def _flush_late(self, *, touches: bool) -> None:
        """Write what waits. Raises StoreUnavailable; what is not written waits again."""
        count = self._limits.batch
        async with self._bulk:
            while batch := self._late.take(count, touches=touches):
                try:
                    await self._ask(self._sql.write_late, batch)
                except _REFUSED_DATA as error:
                    if count > 1:
                        self._late.back()
                        count = 1  # until the one that is refused has been found
                    else:
                        self._late.give_up()
                        # Without the library's text, which quotes the row.
                        log.error("late_write_refused", error=type(error).__name__)  # noqa: TRY400
                    continue
                except BaseException:
                    self._late.back()
                    raise
                self._late.done()
                self._tell()

    def _tell(self) -> None:
        self._attempted.set()
        self._attempted = trio.Event()

    # --- reads and upkeep -----------------------------------------------------------------------

    async def load_session(self, session_id: UUID) -> StoredSession | None:
        """With all that waits to be written. Raises StoreUnavailable."""
        with self._late.reading() as written:
            stored = await self._ask(self._sql.load_session, session_id)
        if stored is None or self._sessions.doubts(session_id):
            return None
        known = tuple(each for each in stored.participants if not self._joins.doubts(each.id))
        return self._late.overlay(structs.replace(stored, participants=known), written)

    async def sweep(
        self, now: datetime, inactive_since: datetime, live: Collection[UUID]
    ) -> Mapping[UUID, EndReason]:
        """As in the port, some at a time; activity that waits to be written counts, and so do
        ends.
        """
        ended: dict[UUID, EndReason] = {}
        while True:
            async with self._bulk:
                lively = self._late.active_since(inactive_since).union(live)
                ending = self._late.ending()
                count = self._limits.batch
                some = await self._ask(self._sql.sweep, now, inactive_since, lively, ending, count)
            ended.update(some)
            if len(some) < count:
                return ended

    async def purge(self, before: datetime) -> int:
        """As in the port, some rows at a time. Raises StoreUnavailable; those deleted stay
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

    async def check(self) -> None:
        """As in the port: everything that this program does to the database, on nothing, and a
        write that needs room on the disk. The result stands for ``check_s``, a failure for less.
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
                await self._rehearse()
                self._ordered.set()  # if there was an outage, the writer finds it over

    async def _rehearse(self, *, quietly: bool = False) -> None:
        try:
            if await self._ask(self._sql.rehearse, quietly=quietly):
                # Autovacuum is off. A role that may not do this lives with some pages more.
                with suppress(StoreUnavailable):
                    await self._ask(self._sql.truncate_readiness, quietly=True)
        finally:
            self._checked_at = trio.current_time()

    def statistics(self) -> StoreStatistics:
        """For metrics."""
        return StoreStatistics(
            is_open=self._database is not None and not self._outage.active,
            waiting_promises=len(self._sessions) + len(self._joins),
            waiting_orders=self._late.orders,
            waiting_touches=self._late.touches,
            dropped=self._late.dropped,
            join_batches=self._joins.batches,
            failures=self._failures,
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
        try:
            return await self._database.run(work, *args)
        except StoreUnavailable as error:
            if not quietly:
                self._note_outage(error.__cause__ or error, self._database)
            raise

    def _note_outage(self, cause: BaseException, database: Database | None = None) -> None:
        self._last_cause = cause
        told = str(cause)
        if database is not None and not isinstance(cause, LocshareError):
            told = causes.sentence(cause, database.url)
        if self._outage.begin(told):
            self._ordered.set()  # the writer looks for its end
            self._tell()

    # --- life -----------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the database, bring it up to date, report started, write; until cancelled.

        The first time it reports started when the database is open, and raises what stands in the
        way: EmbeddedError, DatabaseRefused, MigrationError, or DatabaseRefused after ``open_s``.
        From then on it waits for the database as long as it takes. Run again after a crash it
        reports at once.

        Cancelled, it writes what waits, closes the pool and stops the embedded server, which takes
        ``flush_s`` and 0.9 s at most; 3 s if asyncio's thread has died.
        """
        if self._was_open:
            task_status.started()
        pause = self._limits.retry_min_s
        while True:
            began = trio.current_time()
            try:
                await self._serve(task_status)
            except _WEATHER as error:
                if not self._was_open:
                    raise
                self._note_outage(error)
            # What stood for a minute is tried again at once.
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
        """Return when everything works; from the moment that the tables are there calls are let
        through. Raises DatabaseRefused; the first time only after ``open_s``, if waiting may help.
        """
        pause = self._limits.retry_min_s
        give_up = trio.current_time() + self._limits.open_s
        while True:
            try:
                await self._open(database)
                self._database = database
                await self._rehearse(quietly=not self._was_open)
            except StoreUnavailable as error:
                refusal = DatabaseRefused(causes.sentence(error.__cause__ or error, database.url))
                hopeless = isinstance(error.__cause__, causes.HOPELESS)
                late = trio.current_time() + pause > give_up
                if hopeless or late or self._was_open:
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
                nursery.start_soon(self._write_late)
                self._ordered.set()  # what an earlier run has left
        finally:
            with trio.move_on_after(self._limits.flush_s, shield=True):
                await self._sessions.flush()
                await self._joins.flush()
                with suppress(StoreUnavailable):
                    await self._flush_late(touches=True)
            self._database = None
            for promises in (self._sessions, self._joins):
                promises.fail("the store was stopped")
            self._tell()
            if left := self._late.orders + self._late.touches:
                log.warning("writes_left", count=left)


def _jittered(pause: float) -> float:
    """So that many servers do not come back to one database at the same moment."""
    return pause * random.uniform(0.5, 1.0)  # noqa: S311


@asynccontextmanager
async def _as_it_is(url: str) -> AsyncIterator[str]:
    """A server that somebody else runs."""
    yield url


async def _one_by_one_if_refused(
    insert: Callable[[Sequence[R]], Awaitable[Outcomes]], records: Sequence[R]
) -> Outcomes:
    """The outcome of each record; what the database refuses in one harms no other."""
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
    """The one exception in a group of groups. A cancellation goes before the weather, which is
    nothing to report of what is being stopped.
    """
    cancelled, others = group.split(trio.Cancelled)
    if cancelled is not None and others is not None:
        _, faults = others.split(_WEATHER)
        if faults is None:
            return cancelled
    sole: BaseException = group
    while isinstance(sole, BaseExceptionGroup) and len(sole.exceptions) == 1:
        (sole,) = sole.exceptions
    return sole
