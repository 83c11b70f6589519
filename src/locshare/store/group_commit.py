"""Group commit: writes whose callers wait share one statement. No SQL here.

Each caller adds a record and waits until it is durable. The task that writes takes all records that
wait, up to one batch, in one statement. Concurrent joins so cost one round trip, not one each.

A write whose outcome is unknown (the connection broke in the middle, the caller gave up) is
*uncertain*: the caller got an error, so the record must not exist. It is erased before anything
else is written, and readers ignore it until then.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import trio

from locshare.store.port import StoreUnavailable
from locshare.telemetry.unexpected import log_unexpected


class Stored(Protocol):
    """What group commit needs to know of a record."""

    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=Stored)

Outcomes = Sequence[Exception | None]
"""One for each record of a batch; None means that the record is durable."""


class UncertainWrite(StoreUnavailable):
    """The connection broke in the middle of a write: it may or may not have taken effect."""


class _PendingRecord(Generic[R]):
    """A record, and the caller that waits until it is durable."""

    __slots__ = ("abandoned", "error", "record", "settled")

    def __init__(self, record: R) -> None:
        self.record = record
        self.settled = trio.Event()
        self.error: Exception | None = None
        self.abandoned = False


class GroupCommit(Generic[R]):
    """Shares statements between concurrent callers.

    A record that finds no other waiting is written at once. After a batch of several records, the
    next begins no earlier than ``gather_s`` after the start of the last, unless a full ``batch``
    waits: under load, many records share each statement.

    ``write`` returns one outcome per record. ``erase`` removes uncertain records by id; after a
    StoreUnavailable it is tried again. An id is erased before a record with the same id is written.
    At most ``limit`` records wait; :meth:`add` refuses further ones.
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
        self._waiting: dict[_PendingRecord[R], None] = {}
        self._uncertain: dict[UUID, None] = {}
        self._wake = trio.Event()
        self.batches = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def is_uncertain(self, record_id: UUID) -> bool:
        """Whether readers must ignore the record, even if the database has it."""
        return record_id in self._uncertain

    async def add(self, record: R) -> None:
        """Wait until ``record`` is durable. Raises its outcome; StoreUnavailable after ``wait_s``.

        Cancelled before the write starts: nothing written; later: outcome unknown. Other records
        of the batch are not affected.
        """
        if len(self._waiting) >= self._limit:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailable("too much waits to be written", retry_after=1)
        pending = _PendingRecord(record)
        self._waiting[pending] = None
        self._wake.set()
        try:
            with trio.move_on_after(self._wait_s):
                await pending.settled.wait()
        finally:
            self._waiting.pop(pending, None)
        if not pending.settled.is_set():
            pending.abandoned = True
            raise StoreUnavailable("the database did not answer in time")
        if pending.error is not None:
            raise pending.error

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            began = trio.current_time()
            shared = await self._write_batch()
            if shared is None:
                continue
            if shared > 1 and len(self._waiting) < self._batch:
                await trio.sleep_until(began + self._gather_s)
            if self._waiting or self._uncertain:
                self._wake.set()

    def tidy(self) -> None:
        """Wake :meth:`run` if there are uncertain records to erase."""
        if self._uncertain:
            self._wake.set()

    async def flush(self) -> None:
        """Write all that waits. Cancelled in the middle of a batch: its records are uncertain."""
        while self._waiting or self._uncertain:
            if await self._write_batch() is None:
                return

    async def _write_batch(self) -> int | None:
        """Erase uncertain records, then write one batch. Returns its size; None when the database
        is away.
        """
        if self._uncertain:
            uncertain = tuple(self._uncertain)
            try:
                await self._erase(uncertain)
            except StoreUnavailable as error:
                self.fail(str(error))
                return None
            for record_id in uncertain:
                del self._uncertain[record_id]
        batch = list(islice(self._waiting, self._batch))
        for pending in batch:
            del self._waiting[pending]
        if batch:
            await self._commit(batch)
        return len(batch)

    async def _commit(self, batch: Sequence[_PendingRecord[R]]) -> None:
        self.batches += 1
        outcomes: Outcomes = [UncertainWrite("the store was stopped") for _ in batch]
        try:
            outcomes = await self._write([pending.record for pending in batch])
        except Exception as error:  # noqa: BLE001
            # A fault of ours. This batch fails; the next may well be written.
            log_unexpected("write_failed", error, records=len(batch))
            outcomes = [UncertainWrite("the write failed") for _ in batch]
        finally:
            for pending, outcome in zip(batch, outcomes, strict=True):
                pending.error = outcome
                pending.settled.set()
                if isinstance(outcome, UncertainWrite) or (pending.abandoned and outcome is None):
                    self._uncertain[pending.record.id] = None
                    if len(self._uncertain) > self._limit:
                        del self._uncertain[next(iter(self._uncertain))]

    def fail(self, text: str) -> None:
        """Fail all waiting callers with StoreUnavailable."""
        for pending in self._waiting:
            pending.error = StoreUnavailable(text)
            pending.settled.set()
        self._waiting.clear()
