"""What waits to be written, without a database: bounds, order, overlay, group commit."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import trio
import trio.testing

from locshare.store.port import SessionRecord, StoredSession, StoreUnavailable
from locshare.store.writer import DoubtfulWrite, LateWrites, Outcomes, Promises
from tests.store.kit import START, a_participant, a_session

HOUR = timedelta(hours=1)
A, B, C = uuid4(), uuid4(), uuid4()


def test_orders_are_taken_oldest_first_and_a_batch_is_bounded() -> None:
    late = LateWrites(orders=10, touches=10)
    for session_id in (A, B, C):
        late.end(session_id)
    assert list(late.take(2, touches=False).ends) == [A, B]
    assert late.orders == 3
    late.done()
    assert list(late.take(2, touches=False).ends) == [C]


def test_a_batch_that_could_not_be_written_waits_again_before_all_others() -> None:
    late = LateWrites(orders=10, touches=10)
    late.end(A)
    late.take(10, touches=True)
    late.end(B)
    late.back()
    assert list(late.take(10, touches=True).ends) == [A, B]


def test_there_is_one_batch_at_a_time() -> None:
    late = LateWrites(orders=10, touches=10)
    late.end(A)
    late.take(1, touches=True)
    with pytest.raises(RuntimeError, match="being written"):
        late.take(1, touches=True)


def test_a_note_that_was_made_during_a_failed_write_is_not_replaced_by_the_older_one() -> None:
    late = LateWrites(orders=10, touches=10)
    late.touch(A, START, {"ana": START})
    late.take(10, touches=True)
    late.touch(A, START + HOUR, {"ana": START + HOUR})
    late.back()
    batch = late.take(10, touches=True)
    assert batch.activity == {A: START + HOUR}
    assert batch.seen == {(A, "ana"): START + HOUR}


def test_when_too_many_orders_wait_the_oldest_leave_gives_way_and_then_the_oldest_end() -> None:
    late = LateWrites(orders=2, touches=10)
    late.leave(A, "ana")
    late.end(A)
    late.end(B)
    assert not late.waits((A, "ana"))
    late.end(C)
    assert late.ending() == {B, C}
    assert late.dropped == 2


def test_when_a_batch_comes_back_the_bound_holds() -> None:
    late = LateWrites(orders=2, touches=2)
    late.end(A)
    late.touch(A, START, {})
    late.touch(B, START, {})
    late.take(10, touches=True)
    for session_id in (B, C):
        late.end(session_id)
        late.touch(session_id, START, {})
    late.back()
    assert late.ending() == {B, C}
    assert late.touches == 2


def test_too_many_notes_are_dropped_and_counted_but_known_ones_go_on() -> None:
    late = LateWrites(orders=10, touches=1)
    late.touch(A, START, {"ana": START, "ben": START})
    late.touch(A, START + HOUR, {})
    assert late.dropped == 1
    assert late.take(10, touches=True).activity == {A: START + HOUR}


@pytest.mark.parametrize("stage", ["waiting", "being written", "written while it was read"])
def test_what_was_read_is_seen_as_it_is_once_all_is_written(stage: str) -> None:
    session = a_session()
    ana, ben = a_participant(session.id), a_participant(session.id)
    late = LateWrites(orders=10, touches=10)
    late.end(session.id)
    late.leave(session.id, ana.user_id)
    late.touch(session.id, START + HOUR, {ben.user_id: START + HOUR, ana.user_id: START - HOUR})
    with late.reading() as written:
        if stage != "waiting":
            late.take(10, touches=True)
        if stage == "written while it was read":
            late.done()
    seen = late.overlay(StoredSession(session, (ana, ben)), written)
    assert seen.session.is_active is False
    assert seen.session.last_activity == START + HOUR
    assert [(each.id, each.last_seen) for each in seen.participants] == [(ben.id, START + HOUR)]


def test_another_session_is_seen_as_it_is() -> None:
    session = a_session()
    stored = StoredSession(session, (a_participant(session.id, user_id="ana"),))
    late = LateWrites(orders=10, touches=10)
    late.end(A)
    late.leave(A, "ana")
    late.touch(A, START + HOUR, {"ana": START + HOUR})
    assert late.overlay(stored) == stored


class Fake:
    """A database of which the test decides what happens to a batch."""

    def __init__(self, limit: int = 100, gather_s: float = 0.0) -> None:
        self.batches: list[list[UUID]] = []
        self.erased: list[UUID] = []
        self.gate = trio.Event()
        self.failure: StoreUnavailable | None = None
        self.promises = Promises[SessionRecord](
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


async def test_all_that_wait_share_the_next_batch(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    nursery.start_soon(fake.promises.run)
    sessions = [a_session() for _ in range(13)]
    async with trio.open_nursery() as callers:
        callers.start_soon(fake.promises.add, sessions[0])
        await trio.testing.wait_all_tasks_blocked()
        for session in sessions[1:]:
            callers.start_soon(fake.promises.add, session)
        await trio.testing.wait_all_tasks_blocked()
        fake.gate.set()
    assert [len(batch) for batch in fake.batches] == [1, 10, 2]


async def test_one_after_the_other_is_written_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake(gather_s=1.0)
    fake.gate.set()
    nursery.start_soon(fake.promises.run)
    for _ in range(3):
        await fake.promises.add(a_session())
    assert trio.current_time() == 0


async def test_after_a_batch_that_was_shared_many_share_the_next(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake(gather_s=1.0)
    fake.gate.set()
    nursery.start_soon(fake.promises.run)
    async with trio.open_nursery() as callers:
        for _ in range(2):
            callers.start_soon(fake.promises.add, a_session())
        for _ in range(3):
            await trio.sleep(0.3)
            callers.start_soon(fake.promises.add, a_session())
    assert trio.current_time() == pytest.approx(1)
    assert [len(batch) for batch in fake.batches] == [2, 3]


async def test_a_whole_batch_waits_for_nobody(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake(gather_s=1.0)
    fake.gate.set()
    async with trio.open_nursery() as callers:
        for _ in range(25):
            callers.start_soon(fake.promises.add, a_session())
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(fake.promises.run)
    assert [len(batch) for batch in fake.batches] == [10, 10, 5]
    assert trio.current_time() == pytest.approx(1), "the last five might have been joined by others"


async def test_a_caller_waits_so_long_and_what_is_written_afterwards_is_erased(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    nursery.start_soon(fake.promises.run)
    session = a_session()
    with pytest.raises(StoreUnavailable):
        await fake.promises.add(session)
    assert trio.current_time() == pytest.approx(2, abs=0.1)
    fake.gate.set()
    await trio.testing.wait_all_tasks_blocked()
    assert fake.erased == [session.id]


async def test_what_is_in_doubt_is_erased_before_it_is_written_again_and_not_shown_until_then(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    fake.gate.set()
    fake.failure = DoubtfulWrite()
    nursery.start_soon(fake.promises.run)
    session = a_session()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await fake.promises.add(session)
        assert fake.promises.doubts(session.id)
    assert len(fake.batches) == 1, "not written again while it cannot be erased"
    fake.failure = None
    await fake.promises.add(session)
    assert fake.erased == [session.id]
    assert not fake.promises.doubts(session.id)


async def test_a_failure_before_anything_was_sent_leaves_no_doubt(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    fake.gate.set()
    fake.failure = StoreUnavailable()
    nursery.start_soon(fake.promises.run)
    session = a_session()
    with pytest.raises(StoreUnavailable):
        await fake.promises.add(session)
    assert not fake.promises.doubts(session.id)


async def test_so_many_may_wait_and_no_more(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake(limit=2)
    for _ in range(2):
        nursery.start_soon(fake.promises.add, a_session())
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(StoreUnavailable, match="too much") as caught:
        await fake.promises.add(a_session())
    assert caught.value.retry_after == 1
    assert len(fake.promises) == 2
    nursery.cancel_scope.cancel()


def test_of_a_batch_that_comes_back_every_kind_waits_again_and_is_counted() -> None:
    late = LateWrites(orders=10, touches=10)
    late.end(A)
    late.leave(B, "ana")
    late.touch(C, START, {"ben": START, "cy": START})
    assert (late.orders, late.touches) == (2, 3)
    late.take(10, touches=True)
    assert (late.orders, late.touches) == (2, 3)
    late.back()
    assert (late.orders, late.touches) == (2, 3)
    again = late.take(10, touches=True)
    assert list(again.ends) == [A]
    assert list(again.leaves) == [(B, "ana")]
    assert again.activity == {C: START}
    assert again.seen == {(C, "ben"): START, (C, "cy"): START}
    late.done()
    assert (late.orders, late.touches) == (0, 0)
    assert late.dropped == 0


def test_a_batch_that_can_never_be_written_is_dropped_and_all_of_it_counted() -> None:
    late = LateWrites(orders=10, touches=10)
    late.end(A)
    late.leave(B, "ana")
    late.touch(C, START, {"ben": START, "cy": START})
    late.take(10, touches=True)
    late.give_up()
    assert late.dropped == 5
    assert (late.orders, late.touches) == (0, 0)
    assert not late.take(10, touches=True)


async def test_whoever_waits_when_it_is_stopped_is_told_so_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    told: list[str] = []

    async def add() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            await fake.promises.add(a_session())
        told.append(str(caught.value))

    for _ in range(2):
        nursery.start_soon(add)
    await trio.testing.wait_all_tasks_blocked()
    fake.promises.fail("stopped")
    assert len(fake.promises) == 0
    await trio.testing.wait_all_tasks_blocked()
    assert told == ["stopped"] * 2
    assert trio.current_time() == 0, "nobody waited for a deadline"


async def test_whoever_waits_behind_what_cannot_be_erased_is_told_so_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    fake.gate.set()
    fake.failure = DoubtfulWrite()
    nursery.start_soon(fake.promises.run)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await fake.promises.add(a_session())
    assert trio.current_time() == 0
    await fake.promises.flush()  # gives up too
    assert fake.promises.batches == len(fake.batches) == 1


async def test_a_fault_in_a_write_is_told_to_its_callers_and_the_next_batch_is_written(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    fake = Fake()
    fake.gate.set()
    real = fake.promises._write

    async def broken(records: Sequence[SessionRecord]) -> Outcomes:
        raise RuntimeError("a fault of ours")

    nursery.start_soon(fake.promises.run)
    session = a_session()
    fake.promises._write = broken
    with pytest.raises(DoubtfulWrite):
        await fake.promises.add(session)
    fake.promises._write = real
    await fake.promises.add(session)
    assert fake.erased == [session.id], "it may have been written"


def test_the_small_print_of_late_writes() -> None:
    late = LateWrites(orders=2, touches=1)
    late.touch(A, START, {})
    assert not late.take(10, touches=False), "touches are written at their own pace"
    assert late.active_since(START) == {A}
    assert late.active_since(START + timedelta(microseconds=1)) == set()
    assert late.take(10, touches=True), "activity alone is something to write"
    late.done()
    for number in range(5):
        late.leave(A, str(number))
    assert late.orders == 2, "leaves are bounded without an end"
    assert late.waits((A, "4"))
    assert not late.waits((A, "0"))
    late.touch(A, START, {})
    for _ in range(2):
        late.touch(B, START, {})
    assert late.dropped == 3 + 2
    with late.reading():
        assert late._readers
    assert not late._readers


async def test_a_flush_writes_all_that_waits_batch_by_batch() -> None:
    fake = Fake()
    fake.gate.set()
    async with trio.open_nursery() as callers:
        for _ in range(25):
            callers.start_soon(fake.promises.add, a_session())
        await trio.testing.wait_all_tasks_blocked()
        await fake.promises.flush()
    assert [len(batch) for batch in fake.batches] == [10, 10, 5]
    assert fake.promises.batches == 3


async def test_what_is_refused_at_once_is_a_checkpoint_too() -> None:
    fake = Fake(limit=0)
    with trio.testing.assert_checkpoints(), pytest.raises(StoreUnavailable):
        await fake.promises.add(a_session())
