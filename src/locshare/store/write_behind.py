"""Write-behind: changes that may reach the database late. Plain data, no SQL, no tasks.

Ends and leaves (removals) and notes of activity (touches) wait here until they are written in
batches. The size is bounded, and the object outlives any crash of the task that writes.

Invariant between two checkpoints: a change is in exactly one place, waiting or being written, until
the database has it. :meth:`WriteBehind.overlay` sees both places, so a reader sees every change
that was accepted.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from msgspec import Struct, structs

from locshare.store.port import ParticipantRecord, StoredSession

T = TypeVar("T")
K = TypeVar("K")

ParticipantKey = tuple[UUID, str]
"""session_id and user_id."""


class WriteBehindBatch(Struct, frozen=True):
    """The changes that are being written. There is at most one batch at any time."""

    ends: Mapping[UUID, None] = {}
    leaves: Mapping[ParticipantKey, None] = {}
    activity: Mapping[UUID, datetime] = {}
    seen: Mapping[ParticipantKey, datetime] = {}

    def __bool__(self) -> bool:
        return bool(self.ends or self.leaves or self.activity or self.seen)


_NOTHING: Final = WriteBehindBatch()


class WriteBehind:
    """Ends, leaves and touches that the database does not have yet.

    ``max_removals`` bounds ends and leaves together: beyond it the oldest leave is dropped, or the
    oldest end if there is no leave. (The sweep makes up for a lost end, at the latest when the
    session expires; the end of the session for a lost leave.) ``max_touches`` bounds notes of
    last_seen, and likewise of last_activity; further ones are dropped. ``dropped`` counts both.
    """

    def __init__(self, *, max_removals: int, max_touches: int) -> None:
        self._max_removals = max_removals
        self._max_touches = max_touches
        self._ends: dict[UUID, None] = {}
        self._leaves: dict[ParticipantKey, None] = {}
        self._activity: dict[UUID, datetime] = {}
        self._seen: dict[ParticipantKey, datetime] = {}
        self._writing = _NOTHING
        self._readers: dict[int, list[WriteBehindBatch]] = {}
        self.dropped = 0

    @property
    def removals(self) -> int:
        """Ends and leaves that the database does not have yet."""
        return (
            len(self._ends)
            + len(self._leaves)
            + len(self._writing.ends)
            + len(self._writing.leaves)
        )

    @property
    def touches(self) -> int:
        """Notes of activity that the database does not have yet."""
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
        """The participant's row is deleted."""
        self._leaves[session_id, user_id] = None
        self._bound()

    def _bound(self) -> None:
        while len(self._ends) + len(self._leaves) > self._max_removals:
            if self._leaves:
                del self._leaves[next(iter(self._leaves))]
            else:
                del self._ends[next(iter(self._ends))]
            self.dropped += 1

    def touch(
        self, session_id: UUID, last_activity: datetime, last_seen: Mapping[str, datetime]
    ) -> None:
        """Note activity; a newer note replaces the waiting one."""
        self._note(self._activity, session_id, last_activity)
        for user_id, moment in last_seen.items():
            self._note(self._seen, (session_id, user_id), moment)

    def _note(self, notes: dict[K, datetime], key: K, moment: datetime) -> None:
        known = notes.get(key)
        if known is not None:
            notes[key] = max(known, moment)
        elif len(notes) < self._max_touches:
            notes[key] = moment
        else:
            self.dropped += 1

    def take(self, count: int, *, touches: bool) -> WriteBehindBatch:
        """The next batch to write: at most ``count`` changes of each kind, oldest first; with a
        ``count`` of 1 a single change, so that discarding it drops no other.

        Raises RuntimeError unless the previous batch was ``done``, requeued or discarded.
        """
        if self._writing:
            raise RuntimeError("a batch is being written")
        taken: list[dict[Any, Any]] = []
        for waiting in (self._ends, self._leaves, self._activity, self._seen):
            wanted = touches or waiting is self._ends or waiting is self._leaves
            room = count if wanted and (count > 1 or not any(taken)) else 0
            taken.append(_cut(waiting, room))
        self._writing = WriteBehindBatch(*taken)
        return self._writing

    def done(self) -> None:
        """The database has the batch."""
        for written in self._readers.values():
            written.append(self._writing)
        self._writing = _NOTHING

    def discard(self) -> None:
        """Drop the batch: the database will never take it."""
        batch, self._writing = self._writing, _NOTHING
        self.dropped += len(batch.ends) + len(batch.leaves) + len(batch.activity) + len(batch.seen)

    def requeue(self) -> None:
        """Put the batch back, before everything that waits."""
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

    def waits(self, removal: "UUID | ParticipantKey") -> bool:
        """Whether an end (by session id) or a leave (by key) is not in the database yet."""
        return any(removal in layer for layer in self._removal_layers())

    def _removal_layers(self) -> tuple[Mapping[Any, None], ...]:
        return self._ends, self._leaves, self._writing.ends, self._writing.leaves

    @contextmanager
    def reading(self) -> Iterator[list[WriteBehindBatch]]:
        """Collect the batches written during a read, which the read may or may not have seen."""
        written: list[WriteBehindBatch] = []
        self._readers[id(written)] = written
        try:
            yield written
        finally:
            del self._readers[id(written)]

    def overlay(
        self, stored: StoredSession, written: Sequence[WriteBehindBatch] = ()
    ) -> StoredSession:
        """``stored`` with all pending changes applied.

        Applying a batch twice changes nothing: ends and leaves are final, and times only grow.
        """
        session, participants = stored.session, stored.participants
        waiting = WriteBehindBatch(self._ends, self._leaves, self._activity, self._seen)
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


def _with(layer: WriteBehindBatch, participant: ParticipantRecord) -> ParticipantRecord:
    noted = layer.seen.get((participant.session_id, participant.user_id))
    return structs.replace(participant, last_seen=_newest(participant.last_seen, noted))


def _newest(known: datetime, noted: datetime | None) -> datetime:
    return known if noted is None else max(known, noted)


def _cut(waiting: dict[K, T], count: int) -> dict[K, T]:
    """Remove and return the oldest ``count`` entries."""
    taken = dict(islice(waiting.items(), count))
    for key in taken:
        del waiting[key]
    return taken
