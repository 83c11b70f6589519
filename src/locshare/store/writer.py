"""What waits to be written: promised writes that share statements, and late writes. No SQL here.

:class:`Promises` is for writes that somebody waits for: whoever writes takes all that wait, in
one statement (group commit). :class:`LateWrites` is for those that may be late; it is plain data,
its size is bounded, and it outlives any number of crashes of the task that writes.

Between two checkpoints this holds: a late write is in exactly one place, waiting or being written,
until the database has it; and :meth:`LateWrites.overlay` sees both.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

import trio
from msgspec import Struct, structs

from locshare.store.port import ParticipantRecord, StoredSession, StoreUnavailable
from locshare.telemetry.unexpected import log_unexpected

T = TypeVar("T")
K = TypeVar("K")

Person = tuple[UUID, str]
"""session_id and user_id."""


class Stored(Protocol):
    """What promises need to know of a record."""

    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=Stored)


class DoubtfulWrite(StoreUnavailable):
    """The database went away in the middle of a write: it may have been done or not."""


class _Promise(Generic[R]):
    """One caller who waits for ``record`` to be durable."""

    __slots__ = ("abandoned", "error", "record", "settled")

    def __init__(self, record: R) -> None:
        self.record = record
        self.settled = trio.Event()
        self.error: Exception | None = None
        self.abandoned = False


Outcomes = Sequence[Exception | None]
"""One for each record of a batch; None means that it is durable."""


class Promises(Generic[R]):
    """Writes with a waiting caller each; ``write`` gets all that wait, ``batch`` at most.

    Who finds nobody waiting is written at once. After a write that several shared the next begins
    ``gather_s`` later than it did, unless a whole batch waits: so under load many share each.

    ``write`` returns one outcome for each record. ``erase`` gets the ids of records that may have
    been written although their callers were told that they were not; it raises StoreUnavailable,
    and is asked again. An id is erased before a record with the same id is written anew.
    """

    def __init__(
        self,
        write: Callable[[Sequence[R]], Awaitable[Outcomes]],
        erase: Callable[[Sequence[UUID]], Awaitable[None]],
        *,
        wait_s: float,
        batch: int,
        limit: int,
        gather_s: float = 0.0,
    ) -> None:
        self._write = write
        self._erase = erase
        self._wait_s = wait_s
        self._batch = batch
        self._limit = limit
        self._gather_s = gather_s
        self._waiting: dict[_Promise[R], None] = {}
        self._doubtful: dict[UUID, None] = {}
        self._wake = trio.Event()
        self.batches = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def doubts(self, record_id: UUID) -> bool:
        """Whether the record, if it is in the database, is to be taken as not there."""
        return record_id in self._doubtful

    async def add(self, record: R) -> None:
        """Wait until ``record`` is durable. Raises its outcome; StoreUnavailable when it takes
        too long.

        Cancelled before the write was begun, nothing is written; later, it is as it may be. The
        others of the batch are not touched.
        """
        if len(self._waiting) >= self._limit:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable("too much waits to be written", retry_after=1)
        promise = _Promise(record)
        self._waiting[promise] = None
        self._wake.set()
        try:
            with trio.move_on_after(self._wait_s):
                await promise.settled.wait()
        finally:
            self._waiting.pop(promise, None)
        if not promise.settled.is_set():
            promise.abandoned = True
            raise StoreUnavailable("the database did not answer in time")
        if promise.error is not None:
            raise promise.error

    async def run(self) -> None:
        """Write what waits, for ever."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            began = trio.current_time()
            shared = await self._write_batch()
            if shared is None:
                continue
            if shared > 1 and len(self._waiting) < self._batch:
                await trio.sleep_until(began + self._gather_s)
            if self._waiting or self._doubtful:
                self._wake.set()

    def tidy(self) -> None:
        """Let ``run`` erase what is doubtful, if anything is."""
        if self._doubtful:
            self._wake.set()

    async def flush(self) -> None:
        """Write what waits now. Cancelled in the middle of a batch, its callers are told so."""
        while self._waiting or self._doubtful:
            if await self._write_batch() is None:
                return

    async def _write_batch(self) -> int | None:
        """Erase what is doubtful, then write one batch. Returns how many were in it, None when
        nothing can be written now.
        """
        if self._doubtful:
            doubtful = tuple(self._doubtful)
            try:
                await self._erase(doubtful)
            except StoreUnavailable as error:
                self.fail(str(error))
                return None
            for record_id in doubtful:
                del self._doubtful[record_id]
        batch = list(islice(self._waiting, self._batch))
        for promise in batch:
            del self._waiting[promise]
        if batch:
            await self._keep(batch)
        return len(batch)

    async def _keep(self, batch: Sequence[_Promise[R]]) -> None:
        self.batches += 1
        outcomes: Outcomes = [DoubtfulWrite("the store was stopped") for _ in batch]
        try:
            outcomes = await self._write([promise.record for promise in batch])
        except Exception as error:  # noqa: BLE001
            # A fault of ours. Whoever waits is told so, and the next batch may well be written.
            log_unexpected("write_failed", error, records=len(batch))
            outcomes = [DoubtfulWrite("the write failed") for _ in batch]
        finally:
            for promise, outcome in zip(batch, outcomes, strict=True):
                promise.error = outcome
                promise.settled.set()
                if isinstance(outcome, DoubtfulWrite) or (promise.abandoned and outcome is None):
                    self._doubtful[promise.record.id] = None
                    if len(self._doubtful) > self._limit:
                        del self._doubtful[next(iter(self._doubtful))]

    def fail(self, text: str) -> None:
        """Tell everyone who waits that nothing will be written."""
        for promise in self._waiting:
            promise.error = StoreUnavailable(text)
            promise.settled.set()
        self._waiting.clear()


class LateBatch(Struct, frozen=True):
    """What is being written now. Only one batch is, at any time."""

    ends: Mapping[UUID, None] = {}
    leaves: Mapping[Person, None] = {}
    activity: Mapping[UUID, datetime] = {}
    seen: Mapping[Person, datetime] = {}

    def __bool__(self) -> bool:
        return bool(self.ends or self.leaves or self.activity or self.seen)


_NOTHING: Final = LateBatch()


class LateWrites:
    """Ends, leaves and touches that the database does not have yet.

    ``orders`` bounds ends and leaves together: when it is reached the oldest leave gives way, or
    the oldest end. (A lost end is made up for by the sweep, at the latest when the session
    expires; a lost leave by the end of the session.) ``touches`` bounds last_seen, and likewise
    last_activity: further ones are not noted. Both are counted in ``dropped``.
    """

    def __init__(self, *, orders: int, touches: int) -> None:
        self._orders = orders
        self._touches = touches
        self._ends: dict[UUID, None] = {}
        self._leaves: dict[Person, None] = {}
        self._activity: dict[UUID, datetime] = {}
        self._seen: dict[Person, datetime] = {}
        self._writing = _NOTHING
        self._readers: dict[int, list[LateBatch]] = {}
        self.dropped = 0

    @property
    def orders(self) -> int:
        """How many ends and leaves are not in the database yet."""
        return (
            len(self._ends)
            + len(self._leaves)
            + len(self._writing.ends)
            + len(self._writing.leaves)
        )

    @property
    def touches(self) -> int:
        """How many notes of activity are not in the database yet."""
        return (
            len(self._activity)
            + len(self._seen)
            + len(self._writing.activity)
            + len(self._writing.seen)
        )

    def end(self, session_id: UUID) -> None:
        """``is_active`` of a session becomes false."""
        self._ends[session_id] = None
        self._bound()

    def leave(self, session_id: UUID, user_id: str) -> None:
        """The row of a participant goes."""
        self._leaves[session_id, user_id] = None
        self._bound()

    def _bound(self) -> None:
        while len(self._ends) + len(self._leaves) > self._orders:
            if self._leaves:
                del self._leaves[next(iter(self._leaves))]
            else:
                del self._ends[next(iter(self._ends))]
            self.dropped += 1

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        """The newest note of each replaces the one that waits."""
        self._note(self._activity, session_id, last_activity)
        for user_id, moment in last_seen.items():
            self._note(self._seen, (session_id, user_id), moment)

    def _note(self, notes: dict[K, datetime], key: K, moment: datetime) -> None:
        known = notes.get(key)
        if known is not None:
            notes[key] = max(known, moment)
        elif len(notes) < self._touches:
            notes[key] = moment
        else:
            self.dropped += 1

    def take(self, count: int, *, touches: bool) -> LateBatch:
        """The next batch to write: ``count`` of each kind at most, the oldest first.

        The one before must be ``done`` or given ``back``.
        """
        if self._writing:
            raise RuntimeError("a batch is being written")
        self._writing = LateBatch(
            _cut(self._ends, count),
            _cut(self._leaves, count),
            _cut(self._activity, count) if touches else {},
            _cut(self._seen, count) if touches else {},
        )
        return self._writing

    def done(self) -> None:
        """The database has the batch."""
        for written in self._readers.values():
            written.append(self._writing)
        self._writing = _NOTHING

    def give_up(self) -> None:
        """The batch can never be written."""
        batch, self._writing = self._writing, _NOTHING
        self.dropped += len(batch.ends) + len(batch.leaves) + len(batch.activity) + len(batch.seen)

    def back(self) -> None:
        """The batch could not be written: it waits again, before all others."""
        batch, self._writing = self._writing, _NOTHING
        self._ends = {**batch.ends, **self._ends}
        self._leaves = {**batch.leaves, **self._leaves}
        self._bound()
        for session_id, moment in batch.activity.items():
            self._note(self._activity, session_id, moment)
        for person, moment in batch.seen.items():
            self._note(self._seen, person, moment)

    def ending(self) -> set[UUID]:
        """Sessions that have ended, which the database does not know yet."""
        return {*self._ends, *self._writing.ends}

    def active_since(self, moment: datetime) -> set[UUID]:
        """Sessions with activity after ``moment`` that the database does not know yet."""
        return {
            session_id
            for notes in (self._activity, self._writing.activity)
            for session_id, last in notes.items()
            if last >= moment
        }

    def waits(self, order: "UUID | Person") -> bool:
        """Whether an end (by session id) or a leave (by person) is not in the database yet."""
        return any(order in orders for orders in self._layers_of_orders())

    def _layers_of_orders(self) -> tuple[Mapping[Any, None], ...]:
        return self._ends, self._leaves, self._writing.ends, self._writing.leaves

    @contextmanager
    def reading(self) -> Iterator[list[LateBatch]]:
        """For the time of a read: collects the batches that are written meanwhile, which the read
        may have seen or not.
        """
        written: list[LateBatch] = []
        self._readers[id(written)] = written
        try:
            yield written
        finally:
            del self._readers[id(written)]

    def overlay(self, stored: StoredSession, written: Sequence[LateBatch] = ()) -> StoredSession:
        """What was read from the database, as it is once all this is written.

        To lay a batch over what has it already changes nothing: ends and leaves are for ever, and
        times only grow.
        """
        session, participants = stored.session, stored.participants
        waiting = LateBatch(self._ends, self._leaves, self._activity, self._seen)
        for layer in (*written, self._writing, waiting):
            if layer:
                session = structs.replace(
                    session,
                    is_active=session.is_active and session.id not in layer.ends,
                    last_activity=_newest(session.last_activity, layer.activity.get(session.id)),
                )
                participants = tuple(
                    _with(layer, each)
                    for each in participants
                    if (each.session_id, each.user_id) not in layer.leaves
                )
        return StoredSession(session, participants)


def _with(layer: LateBatch, participant: ParticipantRecord) -> ParticipantRecord:
    noted = layer.seen.get((participant.session_id, participant.user_id))
    return structs.replace(participant, last_seen=_newest(participant.last_seen, noted))


def _newest(known: datetime, noted: datetime | None) -> datetime:
    return known if noted is None else max(known, noted)


def _cut(waiting: dict[K, T], count: int) -> dict[K, T]:
    """The oldest ``count`` entries, removed."""
    taken = dict(islice(waiting.items(), count))
    for key in taken:
        del waiting[key]
    return taken
