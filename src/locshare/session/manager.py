"""Finds sessions, starts them, and keeps their tables over the crashes of their actors.

The front door of the room: the API and the connections ask here, and never meet an actor. A
session is in memory from the first time that somebody joins or opens it until its end, or until
nobody has been connected for a minute: then it sleeps in the store, and the next one wakes it. The
table of each is kept here, as an ETS table is kept by its heir. Reading (who is in it, how many) is
done on the table, or, of a session that is not in memory, in the store: it starts nothing. Whatever
changes a session goes through its actor.

Supervision. Each session is a small supervisor of its own (a temporary child of the dynamic
supervisor that is registered under :data:`SESSIONS`) with the session actor as its only child, so
that a session that keeps crashing spends its own restart budget. When that is spent the session
ends with ``internal_error``, and no other one notices. When the dynamic supervisor itself is
restarted, its sessions are started again: at once by whoever needs them, the others by the reaper.

Invariants between any two checkpoints: a session that has not ended has at most one table; a table
that is not in ``_tables`` is in nobody's hands but those of a start that is under way; a table that
is in somebody's hands over a checkpoint is counted in ``table.use_count``, and is not put to sleep.
"""

import heapq
import math
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar, final, get_args
from uuid import UUID, uuid4

import structlog
import trio
from msgspec import Struct

from locshare.actors import (
    ActorDown,
    ActorRef,
    CallTimeout,
    Down,
    Ref,
    Registry,
    Request,
    StartError,
)
from locshare.session.actor import SessionActor, SessionContext
from locshare.session.bans import NOWHERE, Bans, Origin
from locshare.session.commands import (
    CHECK_DEPARTURES,
    End,
    Join,
    Lock,
    ReleaseSeat,
    RemoveMember,
    ReserveSeat,
    SessionCast,
)
from locshare.session.counters import SessionCounters, SessionStatistics
from locshare.session.delivery import deliver_end, drop
from locshare.session.errors import (
    Banned,
    ParticipantNotFound,
    SessionFull,
    SessionNotFound,
    SessionOver,
    SessionUnavailable,
)
from locshare.session.friendly_names import friendly_name
from locshare.session.limits import DEFAULT_LIMITS, SessionLimits
from locshare.session.link import SessionLink
from locshare.session.reaper import Reaper
from locshare.session.rules import SessionRules
from locshare.session.table import Member, Moment, SessionTable
from locshare.store.port import (
    ParticipantRecord,
    SessionRecord,
    Store,
    StoredSession,
    StoreUnavailable,
)
from locshare.supervisor import (
    ChildNotFound,
    ChildSpec,
    DynamicSupervisorRef,
    MaxChildren,
    Report,
    Reporter,
    SupervisorSpec,
    log_report,
)
from locshare.wire.messages import EndReason, LeaveReason, ParticipantView, Role

log = structlog.get_logger()

R = TypeVar("R")

SESSIONS: Final = "sessions"
"""The name of the dynamic supervisor under which the sessions run."""
ROOM_FOR: Final = 16
"""How many sessions are put to sleep at once when there is no room for another."""
LOOK_FOR_ROOM_EVERY_S: Final = 1.0
"""When all are in use: looking takes a step for each session."""


class SessionInfo(Struct, frozen=True):
    """What a session tells of itself. ``participant_count`` is of those who have not left."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime
    participant_count: int
    is_active: bool
    locked: bool
    creator_id: UUID


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class _Flight:
    """One load, or start, of a session that several callers wait for."""

    __slots__ = ("done", "error", "stored")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.error: Exception | None = None
        self.stored: StoredSession | None = None


@final
class SessionManager:
    """``names`` is where the dynamic supervisor is registered, under :data:`SESSIONS`.

    ``window`` is the flush window of a session now, in seconds
    (:meth:`locshare.broadcast.flush_controller.FlushController.window`); ``now`` is the wall clock,
    in UTC; ``report`` gets the crash reports of the sessions.
    """

    def __init__(
        self,
        store: Store,
        names: Registry[Hashable],
        limits: SessionLimits = DEFAULT_LIMITS,
        *,
        window: Callable[[float, float], float] = lambda _now, _deliveries: 0.0,
        now: Callable[[], datetime] = utc_now,
        report: Reporter = log_report,
    ) -> None:
        self._store = store
        self._report = report
        self._names = names
        self._limits = limits
        self._now = now
        self._counters = SessionCounters()
        self._tables: dict[UUID, SessionTable] = {}
        self._flights: dict[UUID, _Flight] = {}
        """Sessions that are being started, or put to sleep."""
        self._loads: dict[UUID, _Flight] = {}
        self.reaper: Final = Reaper(
            store,
            limits,
            now=now,
            live=self._tables.keys,
            counters=self._counters,
            reap=self._reap,
            put_to_sleep=self._put_to_sleep,
            restart_orphans=self._restart_orphans,
        )
        """Its ``run`` is a child of the tree."""
        self._context = SessionContext(
            limits,
            self._counters,
            window,
            now,
            store.touch,
            self._note_end,
            store.note_leaves,
            self.reaper.queue_idle,
        )
        self._bans = Bans()
        self._full_until = -math.inf
        self._up_since = now()

    # --- for the API ------------------------------------------------------------------------------

    async def create(self, *, name: str | None, expires_in: timedelta) -> SessionRecord:
        """A new session, durable on return. Without a name it gets a friendly one.

        Raises StoreUnavailable. After a cancellation it may exist, and nobody knows its id.
        """
        now = self._now()
        session = SessionRecord(
            id=uuid4(),
            name=name or friendly_name(),
            created_at=now,
            expires_at=now + expires_in,
            creator_id=uuid4(),
            is_active=True,
            last_activity=now,
        )
        await self._store.create_session(session)
        self._counters.created += 1
        return session

    async def describe(self, session_id: UUID) -> SessionInfo:
        """Also of a session that has ended, as long as its rows are kept. Raises SessionNotFound,
        StoreUnavailable.
        """
        table = self._tables.get(session_id)
        if table is not None:
            return _info(table, table.ended is None)
        stored = await self._load(session_id)
        active = stored.session.is_active and stored.session.expires_at > self._now()
        return _info(self._look_at(stored), active)

    async def authorise(self, session_id: UUID, user_id: str) -> None:
        """Whether the token of ``user_id`` may do anything in a session: it is the host's own, or
        of somebody who is in it. The one place that decides it: a token says who it was made for,
        and not that they are still there.

        Raises ParticipantNotFound when it may not; SessionNotFound, SessionOver, StoreUnavailable.
        Starts nothing.
        """
        table = await self._table_or_look(session_id)
        if (
            user_id not in table.roster
            and user_id not in table.lapsed
            and user_id != str(table.session.creator_id)
        ):
            raise ParticipantNotFound

    async def join(
        self,
        session_id: UUID,
        *,
        display_name: str,
        avatar_color: str,
        role: Role,
        origin: Origin = NOWHERE,
    ) -> ParticipantRecord:
        """A new participant, durable and known to all on return. The name in the record is the one
        that the others see.

        Raises SessionNotFound, SessionOver, SessionFull, SessionLocked, Banned, SessionUnavailable,
        StoreUnavailable. Cancelled before the write it happens not at all; later, whole. What was
        written for a join that then fails is taken back.
        """
        if role != "host" and self._bans.bars(session_id, origin, trio.current_time()):
            await trio.lowlevel.checkpoint()
            raise Banned
        seat = uuid4()
        async with self._using(session_id) as table:
            try:
                name = await self.ask(table, ReserveSeat(seat, display_name, role))
                now = self._now()
                record = ParticipantRecord(
                    id=seat,
                    session_id=session_id,
                    user_id=str(uuid4()),
                    display_name=name,
                    avatar_color=avatar_color,
                    joined_at=now,
                    last_seen=now,
                    is_active=True,
                    role=role,
                )
                with trio.CancelScope(shield=True):  # all of these have deadlines of their own
                    await self._write(record)
                    await self._let_in(table, record, origin)
            except BaseException:
                self._cast(table, ReleaseSeat(seat))
                raise
        return record

    async def _write(self, record: ParticipantRecord) -> None:
        try:
            await self._store.add_participant(record)
        except KeyError:
            raise SessionNotFound from None  # deleted from the database by hand

    async def _let_in(self, table: SessionTable, record: ParticipantRecord, origin: Origin) -> None:
        """Make a member of whom ``record`` describes, which is written, or take it back."""
        try:
            await self.ask(table, Join(Member.of(record), record.id, origin))
        except (SessionFull, SessionUnavailable):
            if record.user_id in table.roster:
                return  # an incarnation that died had done it; the next one tells the others
            await self._store.deactivate_participant(record.session_id, record.user_id)
            raise

    async def participants(self, session_id: UUID) -> tuple[ParticipantView, ...]:
        """Who is in the session. Starts nothing. Raises SessionNotFound, SessionOver,
        StoreUnavailable.
        """
        table = await self._table_or_look(session_id)
        return SessionRules(table, self._limits).participants(self._moment())

    async def _table_or_look(self, session_id: UUID) -> SessionTable:
        """The table of a live session, or, of one that is not in memory, what it would be. Raises
        as :meth:`participants`.
        """
        table = self._tables.get(session_id)
        if table is None:
            stored = await self._load(session_id)
            self._check_live(stored.session)
            table = self._look_at(stored)
        _check_not_over(table)
        return table

    def _look_at(self, stored: StoredSession) -> SessionTable:
        table = SessionTable(stored, trio.current_time())
        SessionRules(table, self._limits).release_unused_seats(self._moment())
        return table

    async def remove(self, session_id: UUID, user_id: str, *, ban: bool = False) -> None:
        """Make a participant leave; their connection is closed, and their token does nothing any
        more. With ``ban`` whoever joins from where they did is refused for a while. Raises
        ParticipantNotFound, SessionUnavailable, and as :meth:`participants`.
        """
        async with self._using(session_id) as table:
            if user_id not in table.roster and user_id not in table.lapsed:
                raise ParticipantNotFound
            origin = table.origins.get(user_id, NOWHERE)
            await self._take_out(table, user_id, "removed")
        if ban:
            self._bans.add(session_id, origin, trio.current_time())

    async def set_locked(self, session_id: UUID, locked: bool) -> SessionInfo:
        """Let nobody but the host join any more, or everybody again; durable on return. Raises
        SessionUnavailable, and as :meth:`participants`.
        """
        async with self._using(session_id) as table:
            with trio.CancelScope(shield=True):  # both have deadlines of their own
                await self._store.set_locked(session_id, locked)
                await self.ask(table, Lock(locked))
            return _info(table, table.ended is None)

    async def end(self, session_id: UUID) -> None:
        """End it, by its host's wish; durable on return, or queued while the database is away.
        Raises as :meth:`participants`.
        """
        async with self._using(session_id) as table:
            await self.ask(table, End())
            await self._store.end_session(session_id)

    # --- for connections --------------------------------------------------------------------------

    async def open(self, session_id: UUID, user_id: str, role: Role) -> SessionLink:
        """A participant's way into the session, for one connection. Raises SessionNotFound,
        SessionOver, ParticipantNotFound, SessionUnavailable, StoreUnavailable.
        """
        table = await self._find(session_id, user_id)
        rules = SessionRules(table, self._limits)
        if user_id not in table.roster and not rules.can_restore_seat(user_id):
            raise ParticipantNotFound
        return SessionLink(self, table, user_id, role)

    async def leave(self, table: SessionTable, user_id: str) -> None:
        """A participant leaves by their own wish. Leaving twice is leaving once. Raises
        SessionOver, SessionUnavailable.
        """
        await self._take_out(table, user_id, "left")

    def wake(self, table: SessionTable) -> None:
        """Make the session look at ``table.departed``. A mailbox that is full, or an actor that
        is being restarted, gets there by itself.
        """
        self._cast(table, CHECK_DEPARTURES)

    async def ask(self, table: SessionTable, request: Request[R]) -> R:
        """Call the session's actor, once more if it dies before it has answered.

        Raises SessionOver, SessionUnavailable, and what the actor answers. A request that was
        handled by the incarnation that died is handled twice: they are all made for that, but a
        second :class:`RemoveMember` says ParticipantNotFound.
        """
        for _attempt in range(2):
            actor = await self.incarnation(table)
            try:
                return await actor.call(request, self._limits.call_timeout)
            except CallTimeout:
                raise SessionUnavailable from None
            except ActorDown:
                continue
        _check_not_over(table)
        raise SessionUnavailable("the session is being restarted")

    async def incarnation(self, table: SessionTable) -> ActorRef[SessionCast]:
        """The living actor of a session: there, waited for, or started again.

        Raises SessionOver, SessionUnavailable.
        """
        actor = self._names.lookup(table.session.id)
        if actor is not None and table.ended is None:
            return actor  # nearly always: without a deadline there is nothing to wait for
        with trio.move_on_after(self._limits.call_timeout):
            while table.ended is None:
                actor = self._names.lookup(table.session.id)
                if actor is not None:
                    return actor
                if table.starting or (table.supervisor is not None and table.supervisor.alive):
                    await table.waiters.park()
                else:
                    await self._start(table)
        _check_not_over(table)
        raise SessionUnavailable

    # --- find or start ----------------------------------------------------------------------------

    @asynccontextmanager
    async def _using(self, session_id: UUID) -> AsyncIterator[SessionTable]:
        """The table of a live session, which stays in memory for the time of the block. Raises as
        :meth:`_find`.
        """
        table = await self._find(session_id)
        table.use_count += 1
        try:
            yield table
        finally:
            table.use_count -= 1

    async def _find(self, session_id: UUID, asker: str | None = None) -> SessionTable:
        """The table of a live session, read from the store and started if need be; not for an
        ``asker`` who is not in it (ParticipantNotFound): a token of who left wakes nobody.

        Callers that come at the same time share one start, and its failure; when the one who does
        it is cancelled, another goes on.
        """
        while True:
            table = self._tables.get(session_id)
            if table is not None:
                _check_not_over(table)
                return table
            flight = self._flights.get(session_id)
            if flight is None:
                return await self._load_and_start(session_id, asker)
            await flight.done.wait()
            if flight.error is not None:
                raise flight.error

    async def _load_and_start(self, session_id: UUID, asker: str | None) -> SessionTable:
        flight = self._flights[session_id] = _Flight()
        try:
            stored = await self._load(session_id)
            self._check_live(stored.session)
            table = SessionTable(stored, trio.current_time())
            if asker is not None and asker not in table.roster:
                raise ParticipantNotFound  # to this one; who waited looks again
            await self._start(table)
            _check_not_over(table)  # and reaped, perhaps: it must not come back
            self._tables[session_id] = table
            self._counters.loaded += 1
        except (SessionNotFound, SessionOver, SessionUnavailable, StoreUnavailable) as error:
            flight.error = error
            raise
        finally:
            del self._flights[session_id]
            flight.done.set()
        return table

    async def _load(self, session_id: UUID) -> StoredSession:
        """Read it from the store, once for all who ask at the same time. Raises SessionNotFound,
        StoreUnavailable.
        """
        while (load := self._loads.get(session_id)) is not None:
            await load.done.wait()
            if load.error is not None:
                raise load.error
            if load.stored is not None:  # else whoever loaded was cancelled, or there is none
                return load.stored
        load = self._loads[session_id] = _Flight()
        try:
            load.stored = await self._store.load_session(session_id)
        except StoreUnavailable as error:
            load.error = error
            raise
        finally:
            del self._loads[session_id]
            load.done.set()
        if load.stored is None:
            raise SessionNotFound
        return load.stored

    def _check_live(self, session: SessionRecord) -> None:
        now = self._now()
        if not session.is_active:
            raise SessionOver
        if session.expires_at <= now:
            raise SessionOver("expired")
        inactive_since = now - timedelta(seconds=self._limits.inactive_after)
        if session.last_activity < inactive_since and self._up_since < inactive_since:
            raise SessionOver("inactive")

    async def _start(self, table: SessionTable) -> None:
        """Start the supervisor of ``table``, and with it the actor. Raises SessionUnavailable.

        Without a checkpoint after the start: whoever asked for it is there to keep it.
        """
        table.starting = True
        try:
            try:
                ref = await self._start_supervised(self._spec_of(table))
            except MaxChildren:
                await self._make_room()
                ref = await self._start_supervised(self._spec_of(table))
        except MaxChildren:
            raise SessionUnavailable("there are as many sessions as there may be") from None
        except StartError:
            raise SessionUnavailable from None
        finally:
            table.starting = False
            table.waiters.unpark_all()
        table.supervisor = ref
        ref.monitor(partial(self._supervisor_ended, table))
        if table.ended is not None:
            # It ended at once, and may have been reaped before its supervisor was known.
            self.reaper.queue_ended(table)

    def _spec_of(self, table: SessionTable) -> ChildSpec:
        """A supervisor with one session actor, which adopts ``table`` in each of its lives."""
        session = ChildSpec(
            "session",
            SessionActor,
            (table, self._context),
            restart="transient",
            shutdown=self._limits.shutdown,
            register=self._names.name(table.session.id),
            heir=table.heir,
        )
        return SupervisorSpec(
            [session],
            max_restarts=self._limits.max_restarts,
            max_seconds=self._limits.restart_window,
            report=partial(self._take_report, table),
        ).child(short_id(table.session.id), restart="temporary")

    async def _start_supervised(self, spec: ChildSpec) -> Ref:
        """Start a child of the dynamic supervisor, which is waited for while it is restarted."""
        with trio.move_on_after(self._limits.call_timeout):
            while isinstance(sessions := await self._names.wait(SESSIONS), DynamicSupervisorRef):
                # One that dies before it has answered takes the child with it; the next is asked.
                with suppress(ActorDown), trio.CancelScope(shield=True):
                    return await sessions.start_child(spec)
        raise SessionUnavailable("the sessions are being restarted")

    def _sessions(self) -> DynamicSupervisorRef | None:
        ref = self._names.lookup(SESSIONS)
        return ref if isinstance(ref, DynamicSupervisorRef) else None

    def _cast(self, table: SessionTable, message: SessionCast) -> None:
        actor = self._names.lookup(table.session.id)
        if actor is not None:
            actor.cast(message)

    async def _take_out(self, table: SessionTable, user_id: str, reason: LeaveReason) -> None:
        # What everyone was told is also written: neither half alone.
        with trio.CancelScope(shield=True):  # both have deadlines of their own
            try:
                await self.ask(table, RemoveMember(user_id, reason))
            except ParticipantNotFound:
                pass  # somebody else was faster, or an incarnation that died had done it
            except SessionUnavailable:
                if user_id in table.roster:
                    raise
            await self._store.deactivate_participant(table.session.id, user_id)

    # --- ends -------------------------------------------------------------------------------------

    def _take_report(self, table: SessionTable, report: Report) -> None:
        """Hear of a session's crashes, and pass the report on."""
        if report.kind == "crash":
            self._counters.restarts += 1
        elif report.kind == "gave_up":
            table.gave_up = True
        self._report(report)

    def _supervisor_ended(self, table: SessionTable, _down: Down) -> None:
        """Runs in the exit path of a session's supervisor."""
        table.waiters.unpark_all()
        if table.gave_up:
            drop(table)
            SessionRules(table, self._limits).end("internal_error")
            deliver_end(table, self._counters)
            self._note_end(table)
        elif table.ended is None and not table.asleep:
            self.reaper.restart_orphans_soon()

    def _note_end(self, table: SessionTable) -> None:
        reason = table.ended
        if reason is not None:
            self._counters.ended[reason] += 1
            self._bans.forget(table.session.id)
            log.info("session_ended", session=short_id(table.session.id), reason=reason)
        self.reaper.queue_ended(table)

    async def _stop(self, table: SessionTable) -> None:
        """Stop its supervisor, and with it the actor."""
        sessions = self._sessions()
        if sessions is not None and table.supervisor is not None:
            with suppress(ChildNotFound, ActorDown):
                await sessions.terminate_child(table.supervisor)
        table.heir.clear()

    async def _reap(self, table: SessionTable) -> None:
        """Give back what an ended session held. Its end is written."""
        await self._stop(table)
        if self._tables.get(table.session.id) is table:
            del self._tables[table.session.id]

    # --- sleep ------------------------------------------------------------------------------------

    def _may_sleep(self, table: SessionTable) -> bool:
        """Whether nobody would notice: nobody is connected, joining, or about to ask."""
        return (
            table.ended is None
            and not (table.use_count or table.receivers or table.seats or table.departed)
            and not table.starting
            and self._tables.get(table.session.id) is table
        )

    async def _put_to_sleep(self, table: SessionTable) -> None:
        """Keep a session in the store only, if nobody uses it. Who asks for it meanwhile waits."""
        if not self._may_sleep(table):
            return
        session_id = table.session.id
        table.asleep = True
        del self._tables[session_id]
        flight = self._flights[session_id] = _Flight()
        try:
            # Also by this one, for the actor may be between two lives, and cannot.
            rules = SessionRules(table, self._limits)
            if rules.has_unsaved_activity:
                self._store.touch(session_id, *rules.take_activity(self._moment()))
            with trio.CancelScope(shield=True):  # its actor must not outlive it
                await self._stop(table)
        except BaseException:
            table.asleep = False  # it may still have its actor: it goes on
            self._tables[session_id] = table
            raise
        finally:
            del self._flights[session_id]
            flight.done.set()
        self._counters.slept += 1

    async def _make_room(self) -> None:
        """There are as many sessions as there may be: those with nobody connected for longest give
        way, some at a time, so that looking for them is not done for each that comes.
        """
        now = trio.current_time()
        if now < self._full_until:
            return
        empty = [table for table in self._tables.values() if self._may_sleep(table)]
        for table in heapq.nsmallest(ROOM_FOR, empty, key=lambda table: table.active_at):
            await self._put_to_sleep(table)
        if not empty:
            self._full_until = now + LOOK_FOR_ROOM_EVERY_S

    async def _restart_orphans(self) -> None:
        """Start again what lost its actor together with the dynamic supervisor: a session in which
        nobody moves has nobody else who would notice.
        """
        for table in tuple(self._tables.values()):
            if table.supervisor is not None and not table.supervisor.alive:
                with suppress(SessionOver, SessionUnavailable):
                    await self.incarnation(table)

    # --- figures ----------------------------------------------------------------------------------

    def _moment(self) -> Moment:
        return Moment(self._now(), trio.current_time())

    def statistics(self) -> SessionStatistics:
        """A picture of now. Takes a step per session in memory."""
        tables = [table for table in self._tables.values() if table.ended is None]
        counters = self._counters
        return SessionStatistics(
            live=len(tables),
            online=sum(len(table.receivers) for table in tables),
            participants=sum(len(table.roster) for table in tables),
            created=counters.created,
            loaded=counters.loaded,
            joined=counters.joined,
            attached=counters.attached,
            updates=counters.updates,
            flushes=counters.flushes,
            events=counters.events,
            restarts=counters.restarts,
            slept=counters.slept,
            ended={reason: counters.ended[reason] for reason in get_args(EndReason)},
        )


def short_id(session_id: UUID) -> str:
    """Enough of an id for logs. All of it would be a join link."""
    return str(session_id)[:8]


def _check_not_over(table: SessionTable) -> None:
    if table.ended is not None:
        raise SessionOver(table.ended)


def _info(table: SessionTable, active: bool) -> SessionInfo:
    session = table.session
    return SessionInfo(
        session.id,
        session.name,
        session.created_at,
        session.expires_at,
        len(table.roster),
        active,
        table.locked,
        session.creator_id,
    )
