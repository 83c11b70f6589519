"""Group commit without a database: which records share a batch, and what becomes uncertain ones."""

from collections.abc import Sequence
from uuid import UUID

import pytest
import trio
import trio.testing

from locshare.store.group_commit import GroupCommit, Outcomes, UncertainWrite
from locshare.store.port import SessionRecord, StoreUnavailable
from tests.store.kit import a_session


class Fake:
    """A database of which the test decides what happens to a batch."""

    def __init__(self, limit: int = 100, gather_s: float = 0.0) -> None:
        self.batches: list[list[UUID]] = []
        self.erased: list[UUID] = []
        self.gate = trio.Event()
        self.failure: StoreUnavailable | None = None
        self.commits = GroupCommit[SessionRecord](
            self.write, self.erase, wait_s=2, batch=10, limit=limit, gather_s=gather_s
        )

    async def write(self, records: Sequence[SessionRecord]) -> Outcomes:
        self.batches.append([record.id for record in records])
        await self.gate.wait()
        return [self.failure] * len(records)

    async def erase(self, ids: Sequence[UUID]) -> None:
        if self.failure is not None:
            raise StoreUnavailable
        self.erased += ids


def running(
    nursery: trio.Nursery, failure: StoreUnavailable | None = None, gather_s: float = 0.0
) -> Fake:
    """One that writes at once, or fails."""
    fake = Fake(gather_s=gather_s)
    fake.failure = failure
    fake.gate.set()
    nursery.start_soon(fake.commits.run)
    return fake


async def test_all_waiting_records_share_the_next_batch(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    nursery.start_soon(fake.commits.run)
    sessions = [a_session() for _ in range(13)]
    async with trio.open_nursery() as callers:
        callers.start_soon(fake.commits.add, sessions[0])
        await trio.testing.wait_all_tasks_blocked()
        for session in sessions[1:]:
            callers.start_soon(fake.commits.add, session)
        await trio.testing.wait_all_tasks_blocked()
        fake.gate.set()
    assert [len(batch) for batch in fake.batches] == [1, 10, 2]


async def test_a_record_that_finds_no_other_is_written_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = running(nursery, gather_s=1.0)
    for _ in range(3):
        await fake.commits.add(a_session())
    assert trio.current_time() == 0


async def test_after_a_shared_batch_the_next_gathers_records(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = running(nursery, gather_s=1.0)
    async with trio.open_nursery() as callers:
        for _ in range(2):
            callers.start_soon(fake.commits.add, a_session())
        for _ in range(3):
            await trio.sleep(0.3)
            callers.start_soon(fake.commits.add, a_session())
    assert trio.current_time() == pytest.approx(1)
    assert [len(batch) for batch in fake.batches] == [2, 3]


async def test_a_full_batch_is_written_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake(gather_s=1.0)
    fake.gate.set()
    async with trio.open_nursery() as callers:
        for _ in range(25):
            callers.start_soon(fake.commits.add, a_session())
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(fake.commits.run)
    assert [len(batch) for batch in fake.batches] == [10, 10, 5]
    assert trio.current_time() == pytest.approx(1), "the last five might have been joined by others"


async def test_a_caller_waits_a_bounded_time_and_a_later_write_is_erased(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    nursery.start_soon(fake.commits.run)
    session = a_session()
    with pytest.raises(StoreUnavailable):
        await fake.commits.add(session)
    assert trio.current_time() == pytest.approx(2, abs=0.1)
    fake.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    assert fake.erased == [session.id]


async def test_an_uncertain_record_is_erased_before_it_is_written_again_and_hidden_until_then(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = running(nursery, UncertainWrite())
    session = a_session()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await fake.commits.add(session)
        assert fake.commits.is_uncertain(session.id)
    assert len(fake.batches) == 1, "not written again while it cannot be erased"
    fake.failure = None
    await fake.commits.add(session)
    assert fake.erased == [session.id]
    assert not fake.commits.is_uncertain(session.id)


async def test_a_failure_before_anything_was_sent_leaves_nothing_uncertain(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = running(nursery, StoreUnavailable())
    session = a_session()
    with pytest.raises(StoreUnavailable):
        await fake.commits.add(session)
    assert not fake.commits.is_uncertain(session.id)


async def test_at_most_limit_records_wait(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake(limit=2)
    for _ in range(2):
        nursery.start_soon(fake.commits.add, a_session())
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(StoreUnavailable, match="too much") as caught:
        await fake.commits.add(a_session())
    assert caught.value.retry_after == 1
    assert len(fake.commits) == 2
    nursery.cancel_scope.cancel()


async def test_a_stop_fails_all_waiting_callers_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    errors: list[str] = []

    async def add() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            await fake.commits.add(a_session())
        errors.append(str(caught.value))

    for _ in range(2):
        nursery.start_soon(add)
    await trio.testing.wait_all_tasks_blocked()
    fake.commits.fail("stopped")
    assert len(fake.commits) == 0
    await trio.testing.wait_all_tasks_blocked()
    assert errors == ["stopped"] * 2
    assert trio.current_time() == 0, "nobody waited for a deadline"


async def test_a_fault_in_a_write_fails_its_callers_and_the_next_batch_is_written(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    fake.gate.set()
    real = fake.commits._write

    async def broken(records: Sequence[SessionRecord]) -> Outcomes:
        raise RuntimeError("a fault of ours")

    nursery.start_soon(fake.commits.run)
    session = a_session()
    fake.commits._write = broken
    with pytest.raises(UncertainWrite):
        await fake.commits.add(session)
    fake.commits._write = real
    await fake.commits.add(session)
    assert fake.erased == [session.id], "it may have been written"


async def test_a_flush_writes_all_that_waits_batch_by_batch() -> None:
    fake = Fake()
    fake.gate.set()
    async with trio.open_nursery() as callers:
        for _ in range(25):
            callers.start_soon(fake.commits.add, a_session())
        await trio.testing.wait_all_tasks_blocked()
        await fake.commits.flush()
    assert [len(batch) for batch in fake.batches] == [10, 10, 5]
    assert fake.commits.batches == 3


async def test_a_refused_record_is_a_checkpoint_too() -> None:
    fake = Fake(limit=0)
    with trio.testing.assert_checkpoints(), pytest.raises(StoreUnavailable):
        await fake.commits.add(a_session())


async def test_callers_fail_at_once_while_uncertain_records_cannot_be_erased(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = running(nursery, UncertainWrite())
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await fake.commits.add(a_session())
    assert trio.current_time() == 0
    await fake.commits.flush()  # gives up too
    assert fake.commits.batches == len(fake.batches) == 1
