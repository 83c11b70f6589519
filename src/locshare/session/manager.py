"""The façade of the room: the API and the connections ask here, and never meet an actor.

Each question goes to one of three: the directory (which process owns a session, and its table if it
is in memory), the loader (the store), the life cycle (start, sleep, end). Reads are done on the
table, or on the rows of a session that is not in memory: they start nothing. Whatever changes a
session goes through its actor.
"""

import secrets
from base64 import b32encode
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar, final, get_args
from uuid import UUID, uuid4

import trio
from msgspec import Struct, structs

from locshare.actors import Registry
from locshare.model.errors import LocshareError
from locshare.model.participant import ParticipantView, Role
from locshare.model.position import LocatedMember, Position
from locshare.model.reasons import EndReason
from locshare.session.calls import SessionCalls
from locshare.session.commands import (
    CancelReservation,
    End,
    Join,
    Report,
    ReserveSeat,
    SetRole,
    Update,
)
from locshare.session.counters import Resume, SessionCounters, SessionStatistics
from locshare.session.directory.directory import (
    Owner,
    SessionDirectory,
    always_this_process,
    short_id,
)
from locshare.session.directory.owned_store import OwnedStore
from locshare.session.errors import (
    ParticipantNotFound,
    SessionFull,
    SessionNotFound,
    SessionOver,
)
from locshare.session.features.feature import Candidate, FeatureCommand
from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.kept_parts import KeptParts
from locshare.session.features.registry import FEATURES
from locshare.session.features.roster import (
    Lock,
    Remove,
    ReplaceLink,
    roster_of,
)
from locshare.session.friendly_names import friendly_name
from locshare.session.lifecycle import SessionLifecycle, check_not_over
from locshare.session.limits import DEFAULT_LIMITS, MAILBOX_CAPACITY, SessionLimits
from locshare.session.link import SessionLink
from locshare.session.loader import SessionLoader
from locshare.session.moment import Moment, utc_now
from locshare.session.origin import NOWHERE, Origin
from locshare.session.reaper import Reaper
from locshare.session.rules import SessionRules
from locshare.session.sizes import table_bytes, waiting
from locshare.session.table import SessionTable, member_of
from locshare.store.port import FoundParticipant, ParticipantRecord, SessionRecord, Store, hash_of
from locshare.supervisor import Reporter, log_report
from locshare.telemetry.histogram import Distribution
from locshare.telemetry.traces import OFF, Tracer

R = TypeVar("R")


class DeletionStatus(Struct, frozen=True):
    """What the database has of a session, or had. ``at``: until its rows are deleted
    (``deleted_at`` is None) when they will be, at the latest; then when this record is forgotten.
    """

    session_hash: str
    participants: int
    ended_at: datetime | None
    deleted_at: datetime | None
    at: datetime


class SessionInfo(Struct, frozen=True):
    """A session as the API describes it. ``participant_count`` is the size of the roster."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime
    participant_count: int
    is_active: bool
    locked: bool
    creator_id: UUID
    link_key: str = ""
    """Empty while the join link is the first one."""


@final
class SessionManager:
    """``names`` is where the dynamic supervisor is registered, under ``SESSIONS``.

    ``window`` is the flush window of a session now, in seconds
    (:meth:`locshare.broadcast.flush_controller.FlushController.window`); ``now`` is the wall clock,
    in UTC; ``report`` gets the crash reports of the sessions; ``owner_of`` says which process owns
    a session; ``features`` are those of every session, the roster among them.
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
        owner_of: Callable[[UUID], Owner] = always_this_process,
        features: FeatureSet = FEATURES,
        tracer: Tracer = OFF,
    ) -> None:
        self._limits = limits
        self._tracer = tracer
        self._now = now
        self._counters = SessionCounters()
        self._kept = KeptParts()
        self._features = features
        self.directory: Final = SessionDirectory(names, owner_of)
        self._store = OwnedStore(store, self.directory)
        self._loader = SessionLoader(self._store, limits, now, features)
        self.lifecycle: Final = SessionLifecycle(
            self.directory,
            self._loader,
            self._store,
            limits,
            self._counters,
            window=window,
            now=now,
            kept=self._kept,
            features=features,
            report=report,
        )
        self._calls = SessionCalls(self.directory, self.lifecycle, self._store, limits)
        self.reaper: Final = Reaper(
            self.directory,
            self.lifecycle,
            self._loader,
            self._store,
            limits,
            self._counters,
            now=now,
            forget=self._kept.forget,
        )
        """Its ``run`` is a child of the tree."""

    # --- for the API ------------------------------------------------------------------------------

    async def create(self, *, name: str | None, expires_in: timedelta) -> SessionRecord:
        """Create a session, durable on return. Without a name it gets a friendly one.

        Raises StoreUnavailable. Cancelled: the session exists or not, and its id is lost.
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
        """Describe a session, or one that has ended while its rows are kept. Raises
        SessionNotFound, SessionUnavailable, StoreUnavailable.
        """
        table = self.directory.find(session_id)
        if table is not None:
            return _info(table, table.ended is None)
        stored = await self._loader.load(session_id)
        return _info(self._loader.view(stored), self._loader.is_live(stored.session))

    async def deletion(self, session_id: UUID) -> DeletionStatus:
        """Whether the rows of a session are deleted. Raises SessionNotFound when nothing is known
        of it (any more), SessionUnavailable, StoreUnavailable.
        """
        name = hash_of(session_id)
        try:
            info = await self.describe(session_id)
        except SessionNotFound:
            found = await self._store.find_deletion(name)
            if found is None:
                raise
            forgotten = found.deleted_at + timedelta(seconds=self._limits.keep_deletions)
            return DeletionStatus(
                name, found.participants, found.ended_at, found.deleted_at, forgotten
            )
        due = info.expires_at + timedelta(
            seconds=self._limits.keep_ended + self._limits.sweep_interval
        )
        return DeletionStatus(name, info.participant_count, None, None, due)

    async def authorise(self, session_id: UUID, user_id: str) -> Role:
        """The role that ``user_id`` has now: a token says for whom it was made, not that they are
        still there, nor which role was passed to them or from them since. The only place that
        decides this. Whoever created the session is always a host. Starts nothing.

        Raises ParticipantNotFound if it is of no use; SessionNotFound, SessionOver,
        SessionUnavailable, StoreUnavailable.
        """
        table = await self._table_or_view(session_id)
        member = table.roster.get(user_id) or table.lapsed.get(user_id)
        if member is not None:
            return member.role
        if user_id == str(table.session.creator_id):
            return "host"
        raise ParticipantNotFound

    async def join(
        self,
        session_id: UUID,
        *,
        display_name: str,
        avatar_color: str,
        role: Role,
        origin: Origin = NOWHERE,
        link_key: str = "",
    ) -> ParticipantRecord:
        """Add a participant, durable and known to the others on return. The record has the name
        that the others see. ``link_key`` is that of the link they come by; hosts need none.

        Raises SessionNotFound, SessionOver, SessionFull, SessionLocked, LinkReplaced, Banned,
        SessionUnavailable, StoreUnavailable. Cancelled before the write: nothing happened; later:
        the join is done. The row of a join that fails after its write is taken back.
        """
        about = {"session": short_id(session_id), "role": role} if self._tracer.on else None
        with self._tracer.span("join", about):
            return await self._join(session_id, display_name, avatar_color, role, origin, link_key)

    async def _join(
        self,
        session_id: UUID,
        display_name: str,
        avatar_color: str,
        role: Role,
        origin: Origin,
        link_key: str,
    ) -> ParticipantRecord:
        candidate = Candidate(role, origin, link_key)
        reservation = uuid4()
        async with self.lifecycle.using(session_id, partial(self._admits, candidate)) as table:
            try:
                name = await self._calls.ask(
                    table, ReserveSeat(reservation, display_name, role, origin, link_key)
                )
                now = self._now()
                record = ParticipantRecord(
                    id=reservation,
                    session_id=session_id,
                    user_id=str(uuid4()),
                    display_name=name,
                    avatar_color=avatar_color,
                    joined_at=now,
                    last_seen=now,
                    is_active=True,
                    role=role,
                )
                with trio.CancelScope(shield=True):  # each call has a deadline
                    await self._write(record)
                    await self._let_in(
                        table, Join(member_of(record), reservation, origin, link_key)
                    )
            except BaseException:
                self._calls.cast(table, CancelReservation(reservation))
                raise
        return record

    async def _write(self, record: ParticipantRecord) -> None:
        try:
            await self._store.add_participant(record)
        except KeyError:
            raise SessionNotFound from None  # deleted from the database by hand

    async def _let_in(self, table: SessionTable, join: Join) -> None:
        """Make the participant, whose row is written, a member; or take the row back."""
        user_id = join.member.user_id
        try:
            await self._calls.ask(table, join)
        except SessionOver:
            raise
        except LocshareError:  # unavailable, full by now, or refused by a feature
            if user_id in table.roster:
                return  # done by an incarnation that died; the next one sends the event
            await self._store.deactivate_participant(table.session.id, user_id)
            raise

    async def participants(self, session_id: UUID) -> tuple[ParticipantView, ...]:
        """The session's participants. Starts nothing. Raises SessionNotFound, SessionOver,
        SessionUnavailable, StoreUnavailable.
        """
        table = await self._table_or_view(session_id)
        return self._rules(table).views.participants(self._moment())

    async def participant(self, session_id: UUID, user_id: str) -> ParticipantRecord:
        """The row of a participant, from the store. Raises ParticipantNotFound, and as
        :meth:`participants`.
        """
        stored = await self._loader.load_now(session_id)
        for record in stored.participants:
            if record.user_id == user_id:
                return record
        raise ParticipantNotFound

    async def find_participants(self, first: UUID, last: UUID) -> tuple[FoundParticipant, ...]:
        """Participants whose row's id is from ``first`` to ``last``, of whatever session. Raises
        StoreUnavailable.
        """
        return await self._store.find_participants(first, last)

    async def _table_or_view(self, session_id: UUID) -> SessionTable:
        """The table of a live session; if it is not in memory, the table that it would have. Raises
        as :meth:`participants`.
        """
        table = self.directory.find(session_id)
        if table is None:
            stored = await self._loader.load(session_id)
            self._loader.check_live(stored.session)
            table = self._loader.view(stored)
        check_not_over(table)
        return table

    def _admits(self, candidate: Candidate, table: SessionTable) -> None:
        """Raise Banned, LinkReplaced or SessionLocked: who is refused wakes no session. Whether it
        is full is known once the session is awake, and has released what seats are not used.
        """
        refusal = self._rules(table).refusal(candidate, trio.current_time())
        if refusal is not None and not isinstance(refusal, SessionFull):
            raise refusal

    async def remove(self, session_id: UUID, user_id: str, *, ban: bool = False) -> None:
        """Remove a participant: their connection is closed, and their token is of no use any more.
        With ``ban`` a join from the same origin is refused for a while. Raises ParticipantNotFound,
        and as :meth:`participants`.
        """
        async with self.lifecycle.using(session_id) as table:
            if user_id not in table.roster and user_id not in table.lapsed:
                raise ParticipantNotFound
            await self._calls.take_out(table, user_id, Remove(user_id, ban))

    async def report(self, session_id: UUID, user_id: str, position: Position) -> None:
        """Take a position of a participant who needs no connection: they are online for a while
        after it. A sleeping session wakes. Raises ParticipantNotFound, and as :meth:`participants`.

        Cancelled: the position was taken or not.
        """
        received = trio.current_time()
        async with self.lifecycle.using(session_id, partial(_has_seat, user_id)) as table:
            await self._calls.ask(table, Report(Update(user_id, position, received)))

    async def others(self, session_id: UUID, user_id: str) -> tuple[LocatedMember, ...]:
        """What a participant may see of the others, as far as one without a connection asks. Starts
        nothing. Raises ParticipantNotFound, and as :meth:`participants`.
        """
        table = await self._table_or_view(session_id)
        if user_id not in table.roster:
            raise ParticipantNotFound
        return self._rules(table).views.others(user_id, self._moment())

    async def command(self, session_id: UUID, command: FeatureCommand[R]) -> R:
        """Let a feature decide ``command``. Raises FeatureFull, what the feature refuses with, and
        as :meth:`participants`.
        """
        async with self.lifecycle.using(session_id) as table:
            return await self._calls.ask(table, command)

    async def set_locked(self, session_id: UUID, locked: bool) -> SessionInfo:
        """Lock the session, so that only hosts join, or unlock it; durable on return. Raises as
        :meth:`participants`. Not cancelled once begun.
        """
        async with self.lifecycle.using(session_id) as table, table.local.changing:
            with trio.CancelScope(shield=True):  # both have a deadline
                await self._store.set_locked(session_id, locked)
                await self._calls.ask(table, Lock(locked))
            return _info(table, table.ended is None)

    async def replace_link(self, session_id: UUID) -> SessionInfo:
        """Give the session a new join link, so that nobody joins by the old one; durable on
        return. Raises as :meth:`participants`. Not cancelled once begun. After an error the link is
        the old one or, once the session has slept, a new one, which its members are shown.
        """
        link_key = _new_link_key()
        async with self.lifecycle.using(session_id) as table, table.local.changing:
            with trio.CancelScope(shield=True):  # both have a deadline
                await self._store.set_link_key(session_id, link_key)
                await self._calls.ask(table, ReplaceLink(link_key))
            return _info(table, table.ended is None)

    async def set_role(self, session_id: UUID, user_id: str, role: Role) -> None:
        """Make a participant a host, or no longer one; durable on return. Raises
        ParticipantNotFound, SessionFull, and as :meth:`participants`. Not cancelled once begun.
        """
        async with self.lifecycle.using(session_id) as table, table.local.changing:
            self._rules(table).check_role(user_id, role)
            with trio.CancelScope(shield=True):  # both have a deadline
                await self._store.set_role(session_id, user_id, role)
                try:
                    await self._calls.ask(table, SetRole(user_id, role))
                except SessionFull:  # somebody else took the seat during the write
                    await self._store.set_role(session_id, user_id, "host")
                    raise

    async def end(self, session_id: UUID) -> None:
        """End the session for its host; durable on return, or queued while the database is away.
        Raises as :meth:`participants`.
        """
        async with self.lifecycle.using(session_id) as table:
            await self._calls.ask(table, End())
            await self._store.end_session(session_id)

    # --- for connections --------------------------------------------------------------------------

    async def open(self, session_id: UUID, user_id: str) -> SessionLink:
        """A participant's way into the session, for one connection. Raises SessionNotFound,
        SessionOver, ParticipantNotFound, SessionUnavailable, StoreUnavailable.
        """
        table = await self.lifecycle.find(session_id, partial(_has_seat, user_id))
        if user_id not in table.roster and not self._rules(table).can_restore_seat(
            user_id, trio.current_time()
        ):
            raise ParticipantNotFound
        return SessionLink(self._calls, table, user_id)

    # --- statistics -------------------------------------------------------------------------------

    def _rules(self, table: SessionTable) -> SessionRules:
        return SessionRules(table, self._limits, self._features)

    def _moment(self) -> Moment:
        return Moment(self._now(), trio.current_time())

    def delivery_times(self) -> Distribution:
        """Seconds from the receipt of positions until their receivers were written to."""
        return self._counters.times.delivery.read()

    def statistics(self) -> SessionStatistics:
        """The state of now. Takes a step per session in memory."""
        tables = [table for table in self.directory.tables() if table.ended is None]
        counted = self._counters
        counters = structs.asdict(counted)
        counters["ended"] = {reason: counted.ended[reason] for reason in get_args(EndReason)}
        counters["resumes"] = {outcome: counted.resumes[outcome] for outcome in get_args(Resume)}
        del counters["times"]
        return SessionStatistics(
            live=len(tables),
            online=sum(len(table.online) for table in tables),
            paced=sum(len(table.paced) for table in tables),
            participants=sum(len(table.roster) for table in tables),
            mailboxes=waiting(
                (self.directory.actor(table.session.id) for table in tables), MAILBOX_CAPACITY
            ),
            positions=sum(len(table.positions) for table in tables),
            table_bytes=sum(map(table_bytes, tables)),
            routing=counted.times.routing.read(),
            delivery=counted.times.delivery.read(),
            **counters,
        )


def _has_seat(user_id: str, table: SessionTable) -> None:
    if user_id not in table.roster:
        raise ParticipantNotFound


def _new_link_key() -> str:
    """120 random bits, about as many as an id has, as 24 characters that no messenger changes."""
    return b32encode(secrets.token_bytes(15)).decode().lower()


def _info(table: SessionTable, active: bool) -> SessionInfo:
    session, roster = table.session, roster_of(table)
    return SessionInfo(
        session.id,
        session.name,
        session.created_at,
        session.expires_at,
        len(table.roster),
        active,
        roster.locked,
        session.creator_id,
        roster.link_key,
    )
